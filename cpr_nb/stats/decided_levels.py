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

_VERDICTS = {
    "better": BETTER,
    "worse": WORSE,
    "no_difference": NO_DIFFERENCE,
    None: NOT_SHOWN,
}


def is_about(decision: Decision, comparison: LevelComparison) -> bool:
    """Whether the decision that may stop a session is about the same comparison.

    Args:
        decision: What the session's runner says.
        comparison: A comparison of its levels.
    """
    return (
        decision.factor == comparison.factor
        and decision.metric == comparison.metric.name
        and str(decision.baseline) == str(comparison.baseline)
    )


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


def early_end_note(decision: Decision) -> str:
    """What a reader must know of a comparison that the decision is not about.

    Args:
        decision: What the session's runner says.
    """
    return (
        f"This session may stop early, by {decision.metric} against {decision.baseline}. This "
        "comparison is another one and does not know that: its ranges may be too narrow."
    )
