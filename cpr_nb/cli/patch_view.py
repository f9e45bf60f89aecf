"""A patch on a terminal: colours, the number of each line, and a pager."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from cpr_nb.display.patch_lines import PatchLine
from cpr_nb.model.text import visible_line

_BOLD, _DIM, _RED, _GREEN, _CYAN, _PLAIN = "1", "2", "31", "32", "36", ""
#: The beginning of a line of the file → its colour, and then that of headers.
_SIGNS = {"+": _GREEN, "-": _RED}
_HEADERS = (("diff ", _BOLD), ("--- ", _BOLD), ("+++ ", _BOLD), ("@@", _CYAN), ("", _DIM))
#: What less gets where the user has not set it, as from git: colours, and no pager for one screen.
_LESS = "FRX"


def patch_rows(lines: Iterable[PatchLine], *, is_coloured: bool) -> Iterator[str]:
    """The rows of a patch, each after the number that a comment on it has.

    Args:
        lines: The lines of the patch.
        is_coloured: Whether to add colours.

    Example:
        >>> list(patch_rows([PatchLine("+new", "x.py", None, 12)], is_coloured=False))
        ['    12 +new']
    """
    for line in lines:
        number = line.new_number
        if number is None and line.old_number is not None:
            number = -line.old_number
        gutter = f"{'' if number is None else number:>6} "
        text = visible_line(line.text.replace("\t", "    "))
        colour = _colour(line)
        if is_coloured and colour:
            text = f"\x1b[{colour}m{text}\x1b[0m"
        if is_coloured and number is not None:
            gutter = f"\x1b[{_DIM}m{gutter}\x1b[0m"
        yield gutter + text


def _colour(line: PatchLine) -> str:
    if line.is_content:
        return _SIGNS.get(line.text[:1], _PLAIN)
    return next(colour for beginning, colour in _HEADERS if line.text.startswith(beginning))


def show_in_pager(text: str) -> None:
    """Shows a text in the user's pager (``PAGER``), or prints it where there is none.

    Args:
        text: Fit for a terminal.
    """
    import pydoc

    os.environ.setdefault("LESS", _LESS)
    pydoc.pager(text)
