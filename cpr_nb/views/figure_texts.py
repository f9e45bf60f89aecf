"""The figures of a session in words: its line of figures, and the line of who waits for it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.views.formatting import (
    amount,
    at_once,
    clock,
    plural,
    reused,
    short_count,
    unknown_costs,
    usd_amount,
)
from cpr_nb.views.task_figures import ESTIMATE_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import Figures
    from cpr_nb.views.forecast import Range

#: Explains the mark, once below a table.
ESTIMATE_HINT = (
    f"{ESTIMATE_MARK} from the tokens so far, at what they cost in the tasks of the same model that"
    " have ended; the CLI reports the figure when a task ends"
)
_UNITS = ((5400.0, 3600, "h"), (90.0, 60, "min"), (0.0, 1, "s"))


class Piece(NamedTuple):
    """A piece of the line of figures, which is never broken into two lines.

    Attributes:
        figure: What matters, in bold where there is bold.
        words: The rest.

    Example:
        >>> Piece("2 to 4 min", "left").text
        '2 to 4 min left'
    """

    figure: str
    words: str

    @property
    def text(self) -> str:
        """The whole piece."""
        return f"{self.figure} {self.words}".strip()


def figure_pieces(figures: Figures, snapshot: Snapshot) -> list[Piece]:
    """The line of figures: cost, tokens, time, what is left, cost in total, tasks at once.

    Args:
        figures: The figures.
        snapshot: The session.
    """
    elapsed = "elapsed" if snapshot.is_live else ""
    pieces = [
        _spent(figures, snapshot),
        Piece("", f"{short_count(figures.n_tokens)} tokens" if figures.n_tokens else ""),
        Piece("", f"{clock(figures.elapsed_s)} {elapsed}" if figures.elapsed_s is not None else ""),
        Piece("", reused(snapshot)),
        _left(figures, snapshot),
        Piece("", _total(figures)),
        Piece("", at_once(snapshot) if snapshot.state == states.RUNNING else ""),
    ]
    return [Piece(figure, words.strip()) for figure, words in pieces if figure or words.strip()]


def progress_pieces(figures: Figures, snapshot: Snapshot, n_questions: int = 0) -> list[str]:
    """The line of a session that someone waits for, most important first.

    Args:
        figures: The figures.
        snapshot: The session.
        n_questions: How many questions of its agents are open.
    """
    n_failed, n_skipped = snapshot.count("n_failed"), snapshot.count("n_skipped")
    texts = [
        ended_text(figures),
        f"{n_failed} failed" if n_failed else "",
        f"{n_skipped} skipped" if n_skipped else "",  # outside a pilot, not needed, …: never ran
        plural(n_questions, "question") if n_questions else "",
        cost_text(figures),
        clock(figures.elapsed_s),
        _left(figures, snapshot).text,
    ]
    return [text for text in texts if text]


def spent_text(figures: Figures, snapshot: Snapshot) -> str:
    """The cost so far, and of how many attempts it is unknown; empty if nothing is known."""
    return _spent(figures, snapshot).text


def left_text(figures: Figures, snapshot: Snapshot) -> str:
    """The forecast: when it will be done, and its cost in total; empty without a forecast.

    Args:
        figures: The figures.
        snapshot: The session.
    """
    left = _left(figures, snapshot)
    texts = (left.figure if left.words else left.text, _total(figures))
    return ", ".join(text for text in texts if text)


def ended_text(figures: Figures) -> str:
    """How many tasks have ended.

    Example:
        >>> from cpr_nb.views.figures import Figures
        >>> ended_text(Figures(5, 12, {}, None, None, False, None))
        '5 of 12 ended'
    """
    return f"{figures.n_ended} of {figures.n_total} ended"


def cost_text(figures: Figures) -> str:
    """The cost so far, marked where it is estimated; empty if unknown.

    Example:
        >>> from cpr_nb.views.figures import Figures
        >>> cost_text(Figures(1, 2, {}, None, 1.214, True, None))
        '≈ USD 1.21'
    """
    if figures.cost_usd is None:
        return ""
    text = usd_amount(figures.cost_usd)
    return f"{ESTIMATE_MARK} {text}" if figures.is_estimate else text


def range_text(low_s: float, high_s: float) -> str:
    """A range of durations in one unit, as coarse as its high end.

    Example:
        >>> range_text(130, 250), range_text(2, 40), range_text(0, 8000), range_text(61.2, 61.4)
        ('2 to 4 min', '2 to 40 s', 'up to 2.2 h', 'about 61 s')
        >>> range_text(130, math.inf)
        'at least 2 min'
    """
    if math.isinf(high_s):
        low = range_text(low_s, low_s)
        return low.replace("about", "at least") if low_s >= 1 else "an unknown time"
    size_s, unit = next((size, unit) for least, size, unit in _UNITS if high_s >= least)
    digits = 1 if unit == "h" and high_s < 36_000 else 0
    low, high = (f"{value / size_s:.{digits}f}" for value in (low_s, high_s))
    if low == high:
        return f"about {high} {unit}"
    return f"{low} to {high} {unit}" if float(low) else f"up to {high} {unit}"


def _spent(figures: Figures, snapshot: Snapshot) -> Piece:
    unknown = unknown_costs(snapshot.count("n_unknown_costs"))
    words = "so far" if figures.is_estimate else "estimate"
    if figures.cost_usd is None:
        return Piece("", unknown)
    return Piece(cost_text(figures), f"{words}, {unknown}" if unknown else words)


def _left(figures: Figures, snapshot: Snapshot) -> Piece:
    """What is left; of a session that waits for a limit to end, when it will be done."""
    if figures.left_s is None:
        return Piece("", "")
    if snapshot.state == states.WAITING:
        return Piece(f"done {_clock_range(figures.left_s)}", "")
    return Piece(range_text(*figures.left_s), "left")


def _clock_range(left_s: Range) -> str:
    now_s = time.time()
    if math.isinf(left_s[1]):
        return f"not before {time.strftime('%H:%M', time.localtime(now_s + left_s[0]))}"
    low, high = (time.strftime("%H:%M", time.localtime(now_s + value)) for value in left_s)
    return f"{low} to {high}" if low != high else f"about {high}"


def _total(figures: Figures) -> str:
    if figures.total_usd is None:
        return ""
    expected, low, high = figures.total_usd
    if math.isinf(high):
        return f"at least {usd_amount(low)} in total"
    ends = f" ({amount(low)} to {amount(high)})" if amount(low) != amount(high) else ""
    return f"{ESTIMATE_MARK} {usd_amount(expected)} in total{ends}"
