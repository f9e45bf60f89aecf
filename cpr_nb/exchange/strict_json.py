"""JSON for other tools: what only Python's JSON knows is replaced."""

from __future__ import annotations

import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def strict_json(value: Any) -> str:
    r"""A value as JSON on one line, which UTF-8 can hold.

    Python also writes and reads ``NaN`` and ``Infinity``, and halves of characters, which other
    readers refuse.

    Args:
        value: What ``json`` can write.

    Example:
        >>> strict_json({"a": [1.5, float("nan"), "\ud800"]})
        '{"a": [1.5, null, "�"]}'
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:  # of a number, or of a half of a character
        return json.dumps(_strict(value), allow_nan=False, ensure_ascii=False)
    return text


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {_strict(key): _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def known(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: what is unknown is left out.

    Example:
        >>> known(cost_usd=0.0, score=None)
        {'cost_usd': 0.0}
    """
    return {name: value for name, value in fields.items() if value is not None}
