"""Text from anywhere, made fit to be shown: on one line, or safe for a terminal."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What can drive a terminal: escape sequences, and control characters other than tab and newline.
# Compiled at first use: the runner loads this module, but never needs the pattern.
_ESCAPES = (
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_].*?(?:\x07|\x1b\\\\|$)|\x1b.?"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def one_line(text: str, limit: int = 300) -> str:
    r"""The text on one line, without control characters, cut to ``limit`` characters.

    Example:
        >>> one_line("a\n b\x1b[31m")
        'a b [31m'
    """
    cleaned = text[: 4 * limit]
    if not cleaned.isprintable():
        cleaned = "".join(c if c.isprintable() else " " for c in cleaned)
    line = " ".join(cleaned.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def strip_controls(text: str) -> str:
    r"""The text without anything that could drive a terminal.

    Example:
        >>> strip_controls("\x1b[31mred\x1b[0m\x07")
        'red'
    """
    return re.sub(_ESCAPES, "", text)


def shorten(names: Sequence[str], most: int = 10) -> str:
    """Names for the user, not too many.

    Example:
        >>> shorten(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
