"""JSON without the module json, which loads re, enum and functools: as long as Python's start.

The functions are the same, in C. What they refuse goes to the module json, which says why.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["dumps", "loads", "make_loads"]

_BLANKS = " \t\n\r"
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _Rules:
    """How JSON is read: as json reads it by default."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int

    def __init__(self, parse_constant: Callable[[str], Any]) -> None:
        self.parse_constant = parse_constant


def _refuse(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def make_loads(parse_constant: Callable[[str], Any]) -> Callable[[bytes | str], Any]:
    """Makes a function that reads JSON; called like ``json.loads``.

    Args:
        parse_constant: What becomes of ``NaN``, ``Infinity`` and ``-Infinity``, which are not JSON.

    Example:
        >>> make_loads(lambda _name: None)(b'{"a": [1, 2.5, NaN]}')
        {'a': [1, 2.5, None]}
    """
    scan = _c.make_scanner(_Rules(parse_constant)) if _c else None

    def loads(data: bytes | str) -> Any:
        try:
            text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
            text = text.strip(_BLANKS)
            value, end = scan(text, 0) if scan else (None, -1)
            if end == len(text):
                return value
        except (StopIteration, ValueError, SystemError):
            pass  # SystemError: Python 3.11 has no words for the refusal before json is loaded
        import json

        return json.loads(data, parse_constant=parse_constant)

    return loads


def dumps(value: object) -> str:
    """Writes compact JSON; characters beyond ASCII stay as they are.

    Raises:
        TypeError: If something in it has no form in JSON.
        ValueError: If it contains itself.

    Example:
        >>> dumps({"a": [1, "é"]})
        '{"a":[1,"é"]}'
    """
    if _c is None:
        import json

        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    encoder = _c.make_encoder({}, _refuse, _c.encode_basestring, None, ":", ",", False, False, True)
    return "".join(encoder(value, 0))


def _functions_in_c() -> Any:
    """The module with the functions in C; None if this Python has none, or others."""
    try:
        import _json

        scan: Any = _json.make_scanner
        encode: Any = _json.make_encoder
        encoder = encode({}, _refuse, _json.encode_basestring, None, ":", ",", False, False, True)
        is_same = "".join(encoder([1.5, "é"], 0)) == '[1.5,"é"]'
        is_same &= scan(_Rules(str))("[1.5, NaN]", 0) == ([1.5, "NaN"], 10)
    except (ImportError, AttributeError, TypeError):
        return None
    return _json if is_same else None


_c = _functions_in_c()
#: Reads JSON; called like ``json.loads``.
loads = make_loads(_CONSTANTS.__getitem__)
