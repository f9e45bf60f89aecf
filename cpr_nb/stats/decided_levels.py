"""A session that may stop early: its comparison has the range that was valid at every look."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from cpr_nb.model.decision import Decision, LevelDecision
from cpr_nb.model.sequential import THIS_TABLE
from cpr_nb.stats.comparison import (
    BETTER,
    NO_DIFFERENCE,
    NOT_SHOWN,
    WORSE,
    ComparedLevel,
    LevelComparison,
    LevelMeans,
    compare_levels,
    rows_among,
)
from cpr_nb.stats.metric_kinds import Metric

_VERDICTS = {
    "better": BETTER,
    "worse": WORSE,
    "no_difference": NO_DIFFERENCE,
    None: NOT_SHOWN,
}
_MIRRORED = {"better": "worse", "worse": "better", "no_difference": "no_difference"}


def decision_about(decision: Decision, comparison: LevelComparison) -> Decision | None:
    """What a decision says of a comparison, perhaps with another baseline; None if nothing.

    Args:
        decision: What the session's runner says.
        comparison: A comparison of its levels.
    """
    if (decision.factor, decision.metric) != (comparison.factor, comparison.metric.name):
        return None
    if str(decision.baseline) == str(comparison.baseline):
        return decision
    return against(decision, comparison.baseline, _width(comparison.metric))


def against(decision: Decision, baseline: Any, width: float) -> Decision | None:
    """The same decision with another baseline; None if it does not say so much.

    The old baseline has the mirrored interval. For two other levels, the ends of both intervals
    are subtracted: all of them hold together, so that this one holds, too, however wide it is.

    Args:
        decision: What the session's runner says.
        baseline: One of its levels.
        width: The largest difference that there can be.

    Example:
        >>> opus = LevelDecision("opus", "better", 0.25, 0.04, 0.44, 60, 0)
        >>> haiku = LevelDecision("haiku", None, -0.1, -0.3, 0.1, 70, 0)
        >>> over = "rows like these"
        >>> decision = Decision("ok", "model", "sonnet", 0.05, None, over, 400, (opus, haiku))
        >>> for level in against(decision, "opus", 1.0).levels:
        ...     print(level.level, level.verdict, f"{level.low:.2f} to {level.high:.2f}")
        sonnet worse -0.44 to -0.04
        haiku None -0.74 to 0.06
    """
    base = next((one for one in decision.levels if str(one.level) == str(baseline)), None)
    if base is None:
        return None
    others = [one for one in decision.levels if one is not base]
    if decision.over == THIS_TABLE and any(one.n_lost != base.n_lost for one in others):
        return None  # they are about different rows of the table
    old = LevelDecision(decision.baseline, None, 0.0, 0.0, 0.0, base.n_pairs, base.n_lost)
    mirrored = _between(base, old, None, width)._replace(verdict=_MIRRORED.get(base.verdict or ""))
    levels = (mirrored, *(_between(base, one, decision.delta, width) for one in others))
    return decision._replace(baseline=base.level, levels=levels)


def _width(metric: Metric) -> float:
    return metric.maximum - metric.minimum if metric.is_bounded else math.inf


def _between(
    base: LevelDecision, other: LevelDecision, delta: float | None, width: float
) -> LevelDecision:
    """What two sequences against the same level say of each other."""
    low, high = max(-width, other.low - base.high), min(width, other.high - base.low)
    verdict = "better" if low > 0 else "worse" if high < 0 else None
    if verdict is None and delta is not None and -delta < low and high < delta:
        verdict = "no_difference"
    difference = None
    if other.difference is not None and base.difference is not None:
        difference = other.difference - base.difference
    n_pairs, n_lost = min(base.n_pairs, other.n_pairs), max(base.n_lost, other.n_lost)
    return LevelDecision(other.level, verdict, difference, low, high, n_pairs, n_lost)


def compare_entered(
    comparison: LevelComparison,
    decision: Decision,
    rows: Mapping[Any, LevelMeans],
    costs: Mapping[Any, LevelMeans] | None,
    order: Sequence[Hashable],
) -> LevelComparison:
    """Compares the rows that have entered a decision, and no others, with its intervals.

    Pairs that ended later are counted. Whatever has ended first was the easy part, so they must
    not enter.

    Args:
        comparison: The comparison of all rows that have ended, for one look.
        decision: What stopped the session, or could have.
        rows: Level → its rows.
        costs: Level → what its rows have cost.
        order: The rows in the order that was drawn at the launch; empty if it is not known.
    """
    base = comparison.baseline
    known = {str(level.level): level for level in decision.levels}
    kept = {}
    for level in comparison.levels:
        decided = known.get(str(level.level))
        if decided is not None and order:
            both = {*rows[base].counted.rows} & {*rows[level.level].counted.rows}
            in_order = [row for row in order if row in both]
            kept[level.level] = set(in_order[: decided.n_pairs])
    entered = comparison
    if kept:
        kept[base] = set().union(*kept.values())
        entered = compare_levels(
            comparison.factor,
            comparison.metric,
            base,
            _only(rows, kept),
            None if costs is None else _only(costs, kept),
        )
    levels = [
        _decided(level, known.get(str(level.level)), every.difference.n_pairs)
        for level, every in zip(entered.levels, comparison.levels, strict=True)
    ]
    return entered._replace(
        levels=levels, confidence=1 - decision.alpha, left_out=comparison.left_out
    )


def _only(
    rows: Mapping[Any, LevelMeans], kept: Mapping[Any, set[Hashable]]
) -> dict[Any, LevelMeans]:
    return {
        level: LevelMeans(
            rows_among(means.counted, kept[level]),
            rows_among(means.succeeded, kept[level]),
            means.left_out,
        )
        if level in kept
        else means
        for level, means in rows.items()
    }


def _decided(level: ComparedLevel, decided: LevelDecision | None, n_ended: int) -> ComparedLevel:
    if decided is None:
        return level
    value = math.nan if decided.difference is None else decided.difference
    difference = level.difference._replace(
        value=value,
        low=decided.low,
        high=decided.high,
        p_value=math.nan,
        n_pairs=decided.n_pairs,
        detectable=math.nan,
        uncertain="",
    )
    return level._replace(
        difference=difference,
        succeeded=None,
        p_value=math.nan,
        verdict=_VERDICTS[decided.verdict],
        is_sequence=True,
        n_unpaired=decided.n_lost,
        n_later=max(0, n_ended - decided.n_pairs),
    )


def scope_words(decision: Decision) -> str:
    """What a decision speaks of, as the end of a clause.

    Args:
        decision: What the session's runner says.

    Example:
        >>> scope_words(Decision("ok", "model", "a", 0.05, None, "rows like these", 50, ()))
        'on rows like these'
    """
    if decision.over == THIS_TABLE:
        n_lost = max(level.n_lost for level in decision.levels)
        return f"on these {decision.n_rows - n_lost} rows, as run once"
    return f"on {decision.over}"


def other_baseline_note(decision: Decision) -> str:
    """What a reader must know of levels neither of which is the decision's baseline.

    Args:
        decision: What the session's runner says.
    """
    return (
        f"This session has compared its levels with {decision.baseline}. The range between two "
        "others is the difference of their ranges: it is valid at every look, but wide."
    )


def early_end_note(decision: Decision) -> str:
    """What a reader must know of a comparison that the decision is not about.

    Args:
        decision: What the session's runner says.
    """
    return (
        f"This session may stop early, by {decision.metric} against {decision.baseline}. This "
        "comparison is another one and does not know that: its ranges may be too narrow."
    )
