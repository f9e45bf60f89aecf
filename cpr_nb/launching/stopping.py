"""Plans ``stop_when="decided"``: what is compared, in which order, and what can be decided."""

from __future__ import annotations

import math
import random

from cpr_nb.model.betting import STAKES, bar
from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import REPEAT, as_json
from cpr_nb.model.sequential import ROWS_LIKE_THESE, SCOPES, THIS_TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan

DECIDED = "decided"
_METRICS = ("ok", "score")
_ALPHA = 0.05
_MOST_ALPHA = 0.5
#: The variance of the difference of a pair, as a part of the squared range of the metric: agents
#: that differ in a quarter of the rows (a score may be as coarse as that); scores that lie anywhere
#: in their range, whose difference has a standard deviation of 0.2.
_VARIANCE_COARSE, _VARIANCE_FINE = 0.25, 0.04
#: So much of that is shared by the repeats of a row.
_SHARED_BY_REPEATS = 0.5
#: Halvings of the differences from 0 to 1: enough for two digits.
_STEPS = 20
_MANY_ROWS = 10_000_000
#: With more of the tasks than this at work, what they do after the decision is worth a word.
_MANY_AT_ONCE = 0.1


def plan_stopping(plan: LaunchPlan, keywords: dict[str, Any]) -> None:
    """Adds the rule, and the order of the tasks, to a plan.

    Args:
        plan: The plan of the tasks.
        keywords: ``stop_when``, and the keywords beside it.

    Raises:
        InputError: If this can't be decided, or not early.
    """
    if keywords["stop_when"] != DECIDED:
        raise InputError(f"must be {DECIDED!r}, not {keywords['stop_when']!r}", "stop_when")
    for other in ("best_of", "pilot"):
        if other in keywords:
            raise InputError(f"can't be combined with {other}=", "stop_when")
    factor, levels, n_repeats = _levels(plan)
    baseline = _baseline(keywords.get("baseline", levels[0]), levels)
    metric, range_ = _metric(plan, keywords)
    n_rows = len(plan.tasks) // (len(levels) * n_repeats)
    rule = {
        "metric": metric,
        "factor": factor,
        "levels": levels,
        "baseline": baseline,
        "n_repeats": n_repeats,
        "alpha": _alpha(keywords.get("alpha", _ALPHA)),
        "delta": _delta(keywords.get("delta"), range_),
        "over": _scope(keywords.get("over", ROWS_LIKE_THESE)),
        "range": range_,
    }
    plan.study["stop_rule"] = rule
    plan.study["order"] = random_order(n_rows, len(levels), n_repeats, random.SystemRandom())
    is_fine = metric == "score" and _has_fine_scores(plan)
    plan.warnings += _words(rule, n_rows, is_fine=is_fine)
    plan.warnings += _at_once(plan.max_parallel, len(plan.tasks))


def random_order(n_rows: int, n_levels: int, n_repeats: int, chance: random.Random) -> list[int]:
    """The tasks in the order in which they start: rows as drawn, their levels side by side.

    Args:
        n_rows: How many rows there are.
        n_levels: How many tasks each repeat of a row has.
        n_repeats: How many repeats each row has.
        chance: Draws the rows.

    Returns:
        The numbers of all tasks, which are numbered by row, level and repeat.

    Example:
        >>> random_order(1, 2, 2, random.Random(0))
        [0, 2, 1, 3]
    """
    rows = list(range(n_rows))
    chance.shuffle(rows)
    return [
        (row * n_levels + level) * n_repeats + repeat
        for row in rows
        for repeat in range(n_repeats)
        for level in range(n_levels)
    ]


def decidable(n_rows: int, *, variance: float, n_others: int = 1, alpha: float = _ALPHA) -> float:
    """The difference that so many rows show with about an even chance.

    That of which the bets would just win enough if each row brought what it brings on average.

    Args:
        n_rows: How many rows there are.
        variance: The variance of a row's difference.
        n_others: How many levels are compared with the baseline.
        alpha: How often any of them may be wrong.

    Returns:
        A part of the range of the metric; infinity if so few rows show not even all of it.

    Example:
        >>> round(decidable(50, variance=0.25), 2), round(decidable(400, variance=0.25), 2)
        (0.21, 0.08)
        >>> decidable(8, variance=0.25), round(decidable(9, variance=0.25), 2)
        (inf, 0.89)
    """
    limit = bar(alpha / n_others)
    if _wealth(1.0, n_rows, variance) < limit:
        return math.inf
    hidden, shown = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (hidden + shown) / 2
        if _wealth(middle, n_rows, variance) < limit:
            hidden = middle
        else:
            shown = middle
    return shown


def _rows_to_show(difference: float, *, variance: float, n_others: int, alpha: float) -> int:
    """How many rows show such a difference with about an even chance."""
    limit = bar(alpha / n_others)
    n_rows = 1
    while _wealth(difference, n_rows, variance) < limit and n_rows < _MANY_ROWS:
        n_rows += 1 + n_rows // 50  # "about" 2 % too many
    return n_rows


def _wealth(mean: float, n_rows: int, variance: float) -> float:
    """The log of what the bets on a larger mean than 0 have on average, with two values a row."""
    spread = min(math.sqrt(variance), 1 - mean)  # no difference is larger than 1
    logs = [
        n_rows * (math.log1p(stake * (mean + spread)) + math.log1p(stake * (mean - spread))) / 2
        for stake in STAKES
    ]
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(STAKES))


# -- checks ---------------------------------------------------------------------------------


def _levels(plan: LaunchPlan) -> tuple[str, list[Any], int]:
    """The factor that varies, its levels as session.json has them, and the number of repeats."""
    every = [task.origin.get("factors") or {} for task in plan.tasks]
    names = [name for name in every[0] if name != REPEAT] if every else []
    if len(names) != 1:
        found = "nothing varies here" if not names else f"here {len(names)} things vary"
        raise InputError(
            f"compares the levels of one factor, and {found}: "
            "pass it as in vary={'model': ['sonnet', 'opus']}",
            "stop_when",
        )
    levels: list[Any] = []
    for factors in every:
        if factors[names[0]] not in levels:
            levels.append(factors[names[0]])
    if len(levels) < 2:
        raise InputError("needs at least two levels to compare", f"vary[{names[0]!r}]")
    return names[0], levels, max(int(factors.get(REPEAT, 1)) for factors in every)


def _baseline(value: Any, levels: Sequence[Any]) -> int:
    """The number of the level that the others are compared with."""
    if as_json(value) not in levels:
        known = ", ".join(map(repr, levels))
        raise InputError(f"{value!r} is not a level: there are {known}", "baseline")
    return levels.index(as_json(value))


def _metric(plan: LaunchPlan, keywords: dict[str, Any]) -> tuple[str, tuple[float, float]]:
    """What is compared, and its range."""
    score = plan.study.get("score")
    metric = keywords.get("metric", "ok" if score is None else "score")
    if callable(metric):
        raise InputError(
            "a function lives in this kernel, and the runner that decides outlives it: give the "
            'session a score= (a column of the schema, "check", "grade" or "module:function") and '
            "say metric='score'",
            "metric",
        )
    if metric not in _METRICS:
        raise InputError(
            f"{metric!r} has no known range, so it can't be decided early: it must be 'ok' or "
            "'score'. Run all rows, and s.compare() compares costs, durations and tokens",
            "metric",
        )
    if metric == "ok":
        return metric, (0.0, 1.0)
    if score is None:
        raise InputError(
            "there is no score: say what it is, as in score='check' or score='quality' (a number "
            "of the schema)",
            "metric",
        )
    low, high = score.get("minimum"), score.get("maximum")
    if low is None or high is None or not low < high:
        raise InputError(
            "this score has no known range, so it can't be decided early: its schema must say "
            "minimum and maximum",
            "score",
        )
    return metric, (float(low), float(high))


def _alpha(value: Any) -> float:
    if not _is_number(value) or not 0 < value <= _MOST_ALPHA:
        raise InputError(
            f"must be between 0 and {_MOST_ALPHA:g} (how often a verdict may be wrong), "
            f"not {value!r}",
            "alpha",
        )
    return float(value)


def _delta(value: Any, range_: tuple[float, float]) -> float | None:
    width = range_[1] - range_[0]
    if value is not None and (not _is_number(value) or not 0 < value < width):
        raise InputError(
            "must be the smallest difference that matters, above 0 and below the range of "
            f"{width:g}, not {value!r}",
            "delta",
        )
    return None if value is None else float(value)


def _scope(value: Any) -> str:
    if value not in SCOPES:
        raise InputError(f"must be {SCOPES[0]!r} or {SCOPES[1]!r}, not {value!r}", "over")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- words ----------------------------------------------------------------------------------


def _has_fine_scores(plan: LaunchPlan) -> bool:
    """Whether a score may lie anywhere in its range; where nobody says so, it is 0 or 1."""
    score = plan.study.get("score") or {}
    if score.get("kind") != "column":
        return score.get("kind") == "grade"
    fields = [(schema or {}).get("properties", {}) for schema in plan.schemas()]
    return all(own.get(score["name"], {}).get("type") == "number" for own in fields)


def _words(rule: dict[str, Any], n_rows: int, *, is_fine: bool) -> list[str]:
    """What so many rows can decide at all."""
    if rule["over"] == THIS_TABLE:
        return [
            f"stop_when: a verdict will be about these {n_rows} rows, as run once. Whoever asks "
            f"about rows like these needs over={ROWS_LIKE_THESE!r}"
        ]
    variance = _VARIANCE_FINE if is_fine else _VARIANCE_COARSE
    variance *= _SHARED_BY_REPEATS + (1 - _SHARED_BY_REPEATS) / rule["n_repeats"]
    share = decidable(
        n_rows, variance=variance, n_others=len(rule["levels"]) - 1, alpha=rule["alpha"]
    )
    width = rule["range"][1] - rule["range"][0]
    size = f"{100 * share:.0f} points" if rule["metric"] == "ok" else f"{share * width:.2g}"
    rows = f"{n_rows} row{'s' * (n_rows != 1)}"
    if math.isinf(share):
        return [f"stop_when: {rows} can't show a difference, however large; all of them will run"]
    lines = [
        f"stop_when: {rows} can show only a difference of about {size} or more; with a smaller "
        "one, most likely all of them run and nothing is decided"
    ]
    delta = rule["delta"]
    if delta is not None and delta < share * width:
        needed = _rows_to_show(
            delta / width, variance=variance, n_others=len(rule["levels"]) - 1, alpha=rule["alpha"]
        )
        lines.append(
            f"delta: to show that no difference of {delta:g} or more is there takes about "
            f"{needed} rows"
        )
    return lines


def _at_once(max_parallel: int, n_tasks: int) -> list[str]:
    """How much of the savings the tasks eat that are at work when it is decided."""
    most = min(max_parallel or n_tasks, n_tasks)
    if most <= _MANY_AT_ONCE * n_tasks:
        return []
    return [
        f"max_parallel: {most} of {n_tasks} tasks at once. Those that are at work when it is "
        "decided run to their end; fewer at once save more"
    ]
