"""The table of a decision: as HTML for a notebook, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cpr_nb.display.escaping import plain
from cpr_nb.model.text import one_line

_MAX_TEXT = 60


class Column(NamedTuple):
    """A column.

    Args:
        title: What stands above it.
        is_number: Whether its cells are figures: they stand to the right.
        is_joined: Whether the title of the column before stands above this one, too.
    """

    title: str = ""
    is_number: bool = False
    is_joined: bool = False


class Cell(NamedTuple):
    """A cell.

    Args:
        text: What is in it. Anyone may have written it.
        tone: ``ok``, ``bad``, ``run``, ``warn``, ``mute`` or ``strong``.
        picture: An SVG of ours that is shown instead of the text, where pictures can be.
        span: Over how many columns it stands.
    """

    text: str
    tone: str = ""
    picture: str = ""
    span: int = 1


class DecisionTable(NamedTuple):
    """A table.

    Args:
        label: What it is, for those who can't see it.
        columns: Its columns.
        rows: The cells of each row; the first one names the row.
    """

    label: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | str]]

    def html(self) -> str:
        """The table as HTML."""
        head = "".join(_head_html(title, span, right) for title, span, right in self._heads())
        body = "".join(f"<tr>{self._row_html(row)}</tr>" for row in self.rows)
        return (
            f'<div class="wide" tabindex="0" role="region" aria-label="{plain(self.label)}">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def text(self) -> str:
        """The table as text, whose columns are as wide as they need to be.

        Example:
            >>> columns = [Column(), Column("mean", is_number=True)]
            >>> print(DecisionTable("t", columns, [["opus", "80.6"], ["haiku", "7"]]).text())
                   mean
            opus   80.6
            haiku     7
        """
        rows = [[_as_cell(cell) for cell in row] for row in self.rows]
        widths = [0 for _ in self.columns]
        for row in rows:
            for place, cell in _places(row):
                if cell.span == 1:
                    widths[place] = max(widths[place], len(_shown(cell.text)))
        self._widen_for_heads(widths)
        lines = [self._head_text(widths)]
        lines += [self._row_text(row, widths) for row in rows]
        return "\n".join(line.rstrip() for line in lines)

    def _heads(self) -> list[tuple[str, int, bool]]:
        """The titles: over how many columns each stands, and whether to the right."""
        heads: list[tuple[str, int, bool]] = []
        for column in self.columns:
            if column.is_joined and heads:
                title, span, _ = heads[-1]
                heads[-1] = (title, span + 1, False)
            else:
                heads.append((column.title, 1, column.is_number))
        return heads

    def _row_html(self, row: Sequence[Cell | str]) -> str:
        parts: list[str] = []
        for place, cell in _places([_as_cell(cell) for cell in row]):
            is_number = self.columns[place].is_number and cell.span == 1
            classes = " ".join(name for name in ("n" if is_number else "", cell.tone) if name)
            # A notebook that is not trusted drops the rules, and keeps this.
            attributes = ' style="text-align:right"' if is_number else ""
            attributes += f' class="{classes}"' if classes else ""
            attributes += f' colspan="{cell.span}"' if cell.span > 1 else ""
            tag = "td" if parts else "th"
            attributes += ' scope="row"' if tag == "th" else ""
            parts.append(f"<{tag}{attributes}>{_content_html(cell)}</{tag}>")
        return "".join(parts)

    def _widen_for_heads(self, widths: list[int]) -> None:
        place = 0
        for title, span, _ in self._heads():
            missing = len(_shown(title)) - sum(widths[place : place + span]) - 2 * (span - 1)
            widths[place + span - 1] += max(0, missing)
            place += span

    def _head_text(self, widths: Sequence[int]) -> str:
        parts, place = [], 0
        for title, span, right in self._heads():
            width = sum(widths[place : place + span]) + 2 * (span - 1)
            parts.append(_padded(_shown(title), width, right=right))
            place += span
        return "  ".join(parts)

    def _row_text(self, row: Sequence[Cell], widths: Sequence[int]) -> str:
        parts = []
        for place, cell in _places(row):
            width = sum(widths[place : place + cell.span]) + 2 * (cell.span - 1)
            right = self.columns[place].is_number and cell.span == 1
            parts.append(_padded(_shown(cell.text), width, right=right))
        return "  ".join(parts)


def _as_cell(cell: Cell | str) -> Cell:
    return Cell(cell) if isinstance(cell, str) else cell


def _places(row: Sequence[Cell]) -> list[tuple[int, Cell]]:
    """The cells of a row, each with the column that it begins in."""
    places, place = [], 0
    for cell in row:
        places.append((place, cell))
        place += cell.span
    return places


def _shown(text: str) -> str:
    return one_line(text, _MAX_TEXT)


def _padded(text: str, width: int, *, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)


def _head_html(title: str, span: int, right: bool) -> str:
    if not title and span == 1:
        return "<td></td>"
    attributes = f' colspan="{span}"' if span > 1 else ""
    attributes += ' class="n" style="text-align:right"' if right else ""
    return f'<th scope="col"{attributes}>{plain(_shown(title))}</th>'


def _content_html(cell: Cell) -> str:
    text = str(plain(_shown(cell.text)))
    if not cell.picture:
        return text
    return f'<span class="pic" hidden="hidden">{cell.picture}</span><span>{text}</span>'
