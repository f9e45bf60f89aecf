"""Regular expressions as the CLI reads them: JavaScript's, with the flag u."""

from __future__ import annotations

import re
import warnings

# One piece of a pattern: an escape, the start of a group, a quantifier, a class, anything else.
_PIECE = re.compile(
    r"""(?P<escape>\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{\w+(?:=\w+)?\}
                      |k<\w+>|c[a-zA-Z]|[1-9]\d*|0(?!\d)|[-dDsSwWbBfnrtv^$\\.*+?()\[\]{}|/]))
      |(?P<group>\((?:\?(?::|=|!|<=|<!|<\w+>))?(?!\?))
      |(?P<quantifier>(?:[*+?]|\{\d+(?:,\d*)?\})\??)
      |(?P<other>[^\\(*+?{}\[\]])
      |(?P<class>\[|\])""",
    re.VERBOSE,
)
# JavaScript's syntax that Python lacks: it is replaced, or Python's error is ignored.
_IN_PYTHON = ((r"\\[pP]\{[^}]*\}", r"\\w"), (r"\\u\{[^}]*\}", "x"), (r"\\c[a-zA-Z]", "x"))
_ONLY_PYTHONS = ("look-behind requires", "invalid group reference", "cannot refer to an open group")


def find_error(pattern: str) -> str:
    """The first error in a pattern, read as a regular expression of JavaScript.

    Args:
        pattern: The pattern.

    Returns:
        What is wrong; empty if no error was found.

    Example:
        >>> find_error(r"^[a-z-]+$"), find_error(r"(?i)yes")
        ('', "'(?i)yes' at character 0")
    """
    position, is_repeated = 0, True
    while position < len(pattern):
        piece = _PIECE.match(pattern, position)
        kind = piece.lastgroup if piece else None
        if piece is None or piece[0] in ("]", r"\-") or (kind == "quantifier" and is_repeated):
            return _error_at(pattern, position)
        # These can't be repeated: nothing at all, or something that is already repeated.
        is_repeated = kind in ("quantifier", "group") or piece[0] in ("|", "^")
        position = piece.end()
        if kind == "class":
            position, is_valid = _class_end(pattern, position)
            if not is_valid:
                return _error_at(pattern, position)
    return _wrong_in_python(pattern)


def _class_end(pattern: str, position: int) -> tuple[int, bool]:
    """The position after a class, and True; or that of an error in it, and False.

    In a class only escapes and its end have a meaning.
    """
    while position < len(pattern):
        piece = _PIECE.match(pattern, position)
        if piece is not None and piece.lastgroup == "escape":
            position = piece.end()
        elif pattern[position] == "\\":
            return position, False
        else:
            position += 1
            if pattern[position - 1] == "]":
                break
    return position, True


def _error_at(pattern: str, position: int) -> str:
    return f"{pattern[position : position + 8]!r} at character {position}"


def _wrong_in_python(pattern: str) -> str:
    if "[]" in pattern or "[^]" in pattern:
        return ""  # these match nothing and everything, in JavaScript only
    for javascript, python in _IN_PYTHON:
        pattern = re.sub(javascript, python, pattern)
    pattern = re.sub(r"\(\?<(?=\w)", "(?P<", pattern)
    try:
        _compiled(re.sub(r"\\k<(\w+)>", r"(?P=\1)", pattern))
    except (re.error, OverflowError, RecursionError) as error:
        return "" if str(error).startswith(_ONLY_PYTHONS) else str(error)
    return ""


def matches(pattern: str, text: str) -> bool:
    r"""Whether a pattern is found in a text, as far as Python can tell.

    Example:
        >>> matches("^n", "name"), matches(r"\p{Lu}", "name")
        (True, False)
    """
    try:
        return _compiled(pattern).search(text) is not None
    except (re.error, OverflowError, RecursionError):
        return False  # JavaScript only


def _compiled(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about syntax that Python may change some day
        return re.compile(pattern)
