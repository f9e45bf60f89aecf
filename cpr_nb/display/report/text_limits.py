"""The beginnings and ends of texts of any size, so that a page stays small."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from cpr_nb.model.text import visible
from cpr_nb.store.files import open_regular

_MARK = "…"


class Beginning(NamedTuple):
    """The beginning of a text, fit to be shown.

    Args:
        text: What is shown.
        is_cut: Whether there is more of it.
    """

    text: str
    is_cut: bool


def beginning_of(text: str, limit_bytes: int) -> Beginning:
    r"""Returns as much of a text as fits into some bytes of HTML, in whole lines if possible.

    Args:
        text: The text.
        limit_bytes: The most bytes that it may have once it is escaped.

    Example:
        >>> beginning_of("one\ntwo", 5)
        Beginning(text='one', is_cut=True)
        >>> beginning_of("one", 5)
        Beginning(text='one', is_cut=False)
    """
    shown = visible(text[: limit_bytes + 1])
    size = html_bytes(shown)
    if size <= limit_bytes and len(text) <= limit_bytes:
        return Beginning(shown, False)
    while size > limit_bytes:
        shown = shown[: min(len(shown) - 1, len(shown) * limit_bytes // size)]
        size = html_bytes(shown)
    lines, newline, _ = shown.rpartition("\n")
    return Beginning(lines if newline and len(lines) > len(shown) // 2 else shown, True)


def html_bytes(text: str) -> int:
    """Returns how many bytes a text has as HTML."""
    return len(escape(text).encode("utf-8", "replace"))


def read_beginning(path: str, limit_bytes: int) -> str:
    """Returns the text of a file, or more of it than `limit_bytes`; empty if it can't be read.

    Example:
        >>> read_beginning("/no/such/file", 10)
        ''
    """
    try:
        with open_regular(path) as file:
            return file.read(4 * limit_bytes + 4).decode("utf-8", "replace")
    except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
        return ""


def read_last_lines(path: str, n_lines: int, limit_bytes: int) -> str:
    """Returns the last lines of a file, such as a log; empty if it can't be read.

    Args:
        path: The file.
        n_lines: The most lines.
        limit_bytes: The most bytes that they have as HTML.

    Example:
        >>> read_last_lines("/no/such/file", 3, 100)
        ''
    """
    try:
        with open_regular(path) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit_bytes))
            text = file.read().decode("utf-8", "replace").strip()
    except (OSError, ValueError):
        return ""
    lines = visible(text).splitlines()[-n_lines:]
    while lines and html_bytes("\n".join(lines)) > limit_bytes:
        lines.pop(0)
    return "\n".join(lines)
