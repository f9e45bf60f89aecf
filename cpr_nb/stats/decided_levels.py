"""A session that may stop early: its comparison has the range that was valid at every look."""

from __future__ import annotations

import math

from cpr_nb.model.decision import Decision, LevelDecision
from cpr_nb.model.sequential import THIS_TABLE
from cpr_nb.stats.comparison import (
    BETTER,
    NO_DIFFERENCE,
    NOT_SHOWN,
    WORSE,
    ComparedLevel,
    LevelComparison,
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


def with_decision(comparison: LevelComparison, decision: Decision) -> LevelComparison:
    """Puts the interval that was valid at every look in the place of one for a single look.

    Args:
        comparison: The comparison.
        decision: What stopped the session, or could have.
    """
    if not is_about(decision, comparison):
        return comparison
    known = {str(level.level): level for level in decision.levels}
    levels = [_decided(level, known.get(str(level.level))) for level in comparison.levels]
    return comparison._replace(levels=levels, confidence=1 - decision.alpha)


def _decided(level: ComparedLevel, decided: LevelDecision | None) -> ComparedLevel:
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
    verdict = _VERDICTS[decided.verdict]
    return level._replace(
        difference=difference,
        succeeded=None,
        p_value=math.nan,
        verdict=verdict,
        is_sequence=True,
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
