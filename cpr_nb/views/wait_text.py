"""The line of a wait as text, as wide as a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.views.wait_progress import WaitProgress

_BAR_CELLS = 24
_GLYPHS = {"run": "╌", "warn": "╌", "rest": "─"}
_COLOURS = {"ok": "32", "bad": "31", "run": "34", "warn": "33", "rest": "2", "mute": "2"}


def one_line_text(progress: WaitProgress, width: int, *, is_coloured: bool = False) -> str:
    """Returns the line for a terminal, without the last figures where they do not fit.

    Args:
        progress: What to show.
        width: How many characters fit.
        is_coloured: Whether to colour it.

    Example:
        >>> from cpr_nb.views.wait_progress import Piece, WaitProgress
        >>> pieces = [Piece("1 of 2 ended"), Piece("1 failed", "✕", "bad"), Piece("0:07")]
        >>> progress = WaitProgress("◐", "run", "docs", pieces, [("bad", 1), ("run", 1)], 1, "")
        >>> one_line_text(progress, 79)
        '◐ 1 of 2 ended ━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌ 1 failed · 0:07'
        >>> one_line_text(progress, 30)
        '◐ 1 of 2 ended 1 failed · 0:07'
    """

    def toned(text: str, tone: str) -> str:
        colour = _COLOURS.get(tone) if is_coloured else None
        return f"\x1b[{colour}m{text}\x1b[0m" if colour else text

    first, *rest = progress.pieces
    n_left = width - len(first.text) - 3  # the symbol and two blanks
    bar = _bar_parts(progress) if n_left > 2 * _BAR_CELLS else []
    n_left -= sum(len(cells) for cells, _ in bar) + bool(bar)
    kept: list[str] = []
    for piece in rest:
        n_left -= len(piece.text) + (3 if kept else 0)
        if n_left < 0:
            break
        kept.append(toned(piece.text, piece.tone))
    words = [
        f"{toned(progress.symbol, progress.tone)} {first.text}",
        "".join(toned(cells, tone) for cells, tone in bar),
        " · ".join(kept),
    ]
    return " ".join(filter(None, words))


def _bar_parts(progress: WaitProgress) -> list[tuple[str, str]]:
    """The parts of the bar: characters and tone."""
    total = sum(count for _, count in progress.parts) or 1
    parts, n_tasks, n_cells = [], 0, 0
    for tone, count in progress.parts:
        n_tasks += count
        end = round(_BAR_CELLS * n_tasks / total)
        parts.append((_GLYPHS.get(tone, "━") * (end - n_cells), tone))
        n_cells = end
    return parts
