"""Plans a launch in which each row has several candidates, of which the best is chosen."""

from __future__ import annotations

from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import combinations
from cpr_nb.model.full_mark import BY_SCORE, BY_SUCCESS, UNKNOWN, BestOf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan

#: Keywords that decide in another way which tasks run.
_OTHER_RULES = ("stop_when", "pilot")


def repeats_of(best_of: Any, vary: Mapping[str, Any] | None, repeats: int) -> int:
    """How often each combination of factors runs, so that a row has so many candidates.

    Args:
        best_of: How many candidates a row has.
        vary: Factor → its levels.
        repeats: What the launch was given for that.

    Raises:
        InputError: If that is not possible.

    Example:
        >>> repeats_of(6, {"model": ["sonnet", "opus"]}, 1)
        3
    """
    if isinstance(best_of, bool) or not isinstance(best_of, int) or best_of < 2:
        raise InputError(f"must be a whole number, at least 2, not {best_of!r}", "best_of")
    if repeats != 1:
        raise InputError("best_of says how often each row runs: leave one of both out", "repeats")
    n_levels = len(combinations(vary))
    if best_of % n_levels:
        raise InputError(
            f"{best_of} candidates can't be shared out evenly over {n_levels} combinations of "
            f"vary: give a multiple of {n_levels}",
            "best_of",
        )
    return best_of // n_levels


def plan_best_of(plan: LaunchPlan, keywords: Mapping[str, Any]) -> None:
    """Checks what tells which candidate is the best, and adds it to a plan.

    Args:
        plan: The plan; its scores and grades are planned already.
        keywords: ``best_of``, and perhaps ``at_once`` and ``full_mark``.

    Raises:
        InputError: If nothing tells which candidate is the best, or a keyword can't be right.
    """
    for name in _OTHER_RULES:
        if name in keywords:
            raise InputError(f"can't be combined with {name}=: leave out one of both", "best_of")
    n = keywords["best_of"]
    at_once = keywords.get("at_once", n)
    if isinstance(at_once, bool) or not isinstance(at_once, int) or not 1 <= at_once <= n:
        raise InputError(f"must be a whole number from 1 to best_of={n}", "at_once")
    score = _score(plan)
    has_check = all("check" in {**plan.options, **task.options} for task in plan.tasks)
    if score is None and not has_check:
        raise InputError(
            "needs something that tells which candidate is the best: score=, check= or grade=",
            "best_of",
        )
    full_mark = _full_mark(keywords.get("full_mark"), score)
    solved_by = BY_SUCCESS if has_check else BY_SCORE if full_mark is not None else UNKNOWN
    if score is not None and full_mark is None:
        plan.warnings.append(
            f"best_of: the score has no maximum, so all {n} candidates of each row run; "
            "full_mark= says which score is enough"
        )
    _check_columns(plan)
    best_of = BestOf(n, at_once, solved_by, score is not None, full_mark)
    plan.study["best_of"] = best_of.as_json()


def _check_columns(plan: LaunchPlan) -> None:
    """Refuses columns of a frame that the table of the best would have twice."""
    if plan.frame is not None:
        from cpr_nb.frames.best_rows import check_columns

        check_columns(plan.frame, plan.schemas())


def _score(plan: LaunchPlan) -> Mapping[str, Any] | None:
    """What session.json says of the score that ranks candidates; None if success alone does."""
    score = plan.study.get("score")
    return None if score is None or score.get("kind") == "check" else dict(score)


def _full_mark(wish: Any, score: Mapping[str, Any] | None) -> float | None:
    """The score from which no better candidate is needed; None if no score is that good."""
    if wish is None:
        maximum = None if score is None else score.get("maximum")
        return None if maximum is None else float(maximum)
    if score is None:
        raise InputError("means something only with score= or grade=", "full_mark")
    if isinstance(wish, bool) or not isinstance(wish, int | float):
        raise InputError(f"must be a number, not {wish!r}", "full_mark")
    return float(wish)
