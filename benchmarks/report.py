"""Comparisons, and the table that shows them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

_FORM = "{:<44} {:>10}  {:<28} {:>10} {:>7}  {:<9} {}"
_UNITS = {"s": 1.0, "ms": 1e3, "MB": 1e-6}


class Comparison(NamedTuple):
    """One row: our figure and what it is compared with.

    Args:
        label: What was measured.
        ours: Our median, with its unit.
        against: What ours is compared with; empty for an absolute figure.
        theirs: Their median, with its unit.
        ratio: The median of the rounds' ratios, or None for an absolute figure.
        goal: The goal in words, empty if there is none.
        met: Whether it is met, or None if there is no goal.
    """

    label: str
    ours: str
    against: str
    theirs: str
    ratio: float | None
    goal: str
    met: bool | None


def compare(
    label: str,
    ours: Sequence[float],
    against: str,
    theirs: Sequence[float],
    *,
    unit: str,
    limit: float | None = None,
) -> Comparison:
    """Makes a row from two series that were measured in turns.

    The ratio is computed per round, and its median counts. So a disturbance of the machine in one
    round affects both sides of that ratio.

    Args:
        label: What was measured.
        ours: Our figures, one per round, in seconds or bytes.
        against: What ours is compared with.
        theirs: Their figures.
        unit: The unit shown: ``s``, ``ms`` or ``MB`` (a million bytes).
        limit: The goal: the largest acceptable ratio.

    Returns:
        The row.
    """
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    return Comparison(
        label,
        _with_unit(statistics.median(ours), unit),
        against,
        _with_unit(statistics.median(theirs), unit),
        ratio,
        "" if limit is None else f"≤ {limit:.3g}",
        None if limit is None else ratio <= limit,
    )


def absolute(label: str, ours: Sequence[float], *, unit: str, limit: float) -> Comparison:
    """Makes a row from one series in seconds or bytes; the goal is in the unit shown."""
    median = statistics.median(ours)
    met = median * _UNITS[unit] <= limit
    return Comparison(label, _with_unit(median, unit), "", "", None, f"≤ {limit:.3g} {unit}", met)


def figure(
    label: str, ours: Sequence[float], *, unit: str, limit: float | None = None
) -> Comparison:
    """Makes a row from one series that is already in the unit shown, as its goal is."""
    median = statistics.median(ours)
    text = f"{median:.3g} {unit}"
    if limit is None:
        return Comparison(label, text, "", "", None, "", None)
    return Comparison(label, text, "", "", None, f"≤ {limit:.3g} {unit}", median <= limit)


def header() -> str:
    """The table's first line."""
    return _FORM.format("what", "cpr_nb", "compared with", "", "ratio", "goal", "").rstrip()


def line(row: Comparison, *, judge: bool = True) -> str:
    """A row as text.

    Args:
        row: The row.
        judge: Whether to say if the goal is met; a smoke run's sizes are too small for that.
    """
    verdict = "" if row.met is None or not judge else "met" if row.met else "MISSED"
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return _FORM.format(
        row.label, row.ours, row.against, row.theirs, ratio, row.goal, verdict
    ).rstrip()


def _with_unit(value: float, unit: str) -> str:
    return f"{value * _UNITS[unit]:.3g} {unit}"
