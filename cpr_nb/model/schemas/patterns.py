"""Regular expressions as the CLI reads them: JavaScript's, with the flag u."""

from __future__ import annotations

import re
import warnings

# One piece of a pattern: an escape, the begin of a group, a quantifier, a class, anything else.
_PIECE = re.compile(
    r"""(?P<escape>\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{\w+(?:=\w+)?\}
                      |k<\w+>|c[a-zA-Z]|[1-9]\d*|0(?!\d)|[-dDsSwWbBfnrtv^$\\.*+?()\[\]{}|/]))
      |(?P<group>\((?:\?(?::|=|!|<=|<!|<\w+>))?(?!\?))
      |(?P<quantifier>(?:[*+?]|\{\d+(?:,\d*)?\})\??)
      |(?P<other>[^\\(*+?{}\[\]])
      |(?P<class>\[|\])""",
    re.VERBOSE,
)
# What JavaScript has and Python has not: it is put in another way, or its error means nothing.
_IN_PYTHON = ((r"\\[pP]\{[^}]*\}", r"\\w"), (r"\\u\{[^}]*\}", "x"), (r"\\c[a-zA-Z]", "x"))
_ONLY_PYTHONS = ("look-behind requires", "invalid group reference", "cannot refer to an open group")


def find_error(pattern: str) -> str:
    """What keeps a pattern from being a regular expression of JavaScript.

    Args:
        pattern: The pattern.

    Returns:
        What is wrong, in words; empty if nothing was found.

    Example:
        >>> find_error(r"^[a-z-]+$"), find_error(r"(?i)yes")
        ('', "'(?i)yes' at character 0")
    """
    at, in_class, repeated = 0, False, True
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        kind = piece.lastgroup if piece else None
        if in_class:
            # In a class only escapes and its end mean anything.
            if pattern[at] == "\\" and kind != "escape":
                return f"{pattern[at : at + 8]!r} at character {at}"
            in_class = pattern[at] != "]"
            at = piece.end() if piece and kind == "escape" else at + 1
            repeated = False
            continue
        unknown = piece is None or piece[0] in ("]", r"\-")
        if piece is None or unknown or (kind == "quantifier" and repeated):
            return f"{pattern[at : at + 8]!r} at character {at}"
        in_class = kind == "class"
        # What can't be repeated: nothing, or what is repeated already.
        repeated = kind in ("quantifier", "group") or piece[0] in ("|", "^")
        at = piece.end()
    return _wrong_in_python(pattern)


def _wrong_in_python(pattern: str) -> str:
    if "[]" in pattern or "[^]" in pattern:
        return ""  # nothing and everything, in JavaScript only
    for what, instead in _IN_PYTHON:
        pattern = re.sub(what, instead, pattern)
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
        return False  # of JavaScript only


def _compiled(pattern: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Python may read in another way some day
        return re.compile(pattern)
