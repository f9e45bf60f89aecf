"""How the figures of a comparison were made, in words."""

from __future__ import annotations

from cpr_nb.model.text import one_line
from cpr_nb.stats.comparison import LevelComparison
from cpr_nb.stats.metric_kinds import SHARE, SKEWED, UNBOUNDED
from cpr_nb.views.formatting import plural

_BILL = "ratio of the totals by a jackknife over rows"
_TYPICAL = "typical row: Student's t on the logs of the ratios"
_BOUNDED = "Newcombe's for pairs, of Wilson's with Student's t on row means"
_MAX_NAME = 40
_SEQUENCE = "a confidence sequence by betting, valid at every look"


def method_words(comparison: LevelComparison) -> str:
    """How the figures were made.

    Args:
        comparison: The comparison.
    """
    fewest, most = comparison.n_repeats
    repeats = str(fewest) if fewest == most else f"{fewest} to {most}"
    parts = [f"Paired by row, {repeats} {'repeat' if repeats == '1' else 'repeats'} each."]
    is_sequence = any(level.is_sequence for level in comparison.levels)
    parts.append(
        f"{_intervals(comparison)}: {_metric_method(comparison, is_sequence=is_sequence)}."
    )
    if comparison.cluster:
        parts.append(_cluster_method(comparison))
    if comparison.metric.kind != SKEWED and any(level.bill for level in comparison.levels):
        parts.append(f"Cost: {_BILL}.")
    if is_sequence:
        parts.append("The ranges of the cost do not know that the session may stop early.")
    elif len(comparison.levels) > 1:
        parts.append(f"{plural(len(comparison.levels), 'comparison')}: p by Holm.")
    if comparison.metric.kind == SHARE:
        parts.append("A point is one of a hundred attempts.")
    parts.append("A failure counts; what the network, an account or a machine ended is missing.")
    return " ".join(parts)


def _cluster_method(comparison: LevelComparison) -> str:
    has_bill = comparison.metric.kind == SKEWED or any(level.bill for level in comparison.levels)
    jackknife = "; the jackknife leaves out all of them at once" if has_bill else ""
    name = one_line(comparison.cluster, _MAX_NAME)
    return f"Rows of one {name} resemble each other: CR2 and Satterthwaite{jackknife}."


def _intervals(comparison: LevelComparison) -> str:
    percent = f"{100 * comparison.confidence:g} %"
    return f"{percent} ranges" if len(comparison.levels) == 1 else f"Ranges, together {percent}"


def _metric_method(comparison: LevelComparison, *, is_sequence: bool) -> str:
    if is_sequence:
        return _SEQUENCE
    if comparison.metric.kind == SKEWED:
        return f"{_BILL}; {_TYPICAL}"
    if comparison.metric.kind == UNBOUNDED:
        return "Student's t on the differences of rows"
    return _BOUNDED
