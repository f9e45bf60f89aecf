"""One number a row and level: what every comparison starts from.

Repeats of a row are averaged first, and rows then weigh equally. A failure counts: as no success,
or as the worst end of a score's range. What the machine, the network or a cancellation has ended is
missing, and so is what has not ended; both are counted with their reasons.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.record import task_state
from cpr_nb.model.verdict import has_verdict
from cpr_nb.stats.bounds import Array
from cpr_nb.stats.estimates import CONFIDENCE, Estimate
from cpr_nb.stats.metric_kinds import SHARE, Metric, interval_of, metric_of
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.result_rows import ResultRow, result_rows

Integers = npt.NDArray[np.int64]

#: Why a task is missing that has no end.
NOT_ENDED = "not ended"


class TaskFacts(NamedTuple):
    """What a table of results does not say about its tasks, in its order.

    Args:
        rows: The number of the row that each task is about.
        reasons: Why each has ended; None before.
    """

    rows: list[int]
    reasons: list[str | None]


class LevelRows(NamedTuple):
    """The rows of one level, each with its number.

    Args:
        rows: The numbers of the rows, ascending.
        means: The mean of each row's repeats.
        repeats: How many repeats it has.
        n_tasks: How many tasks the level has, with those that are missing.
        left_out: Why tasks are missing → how many.
        missing: A row without any number → why.
    """

    rows: Integers
    means: Array
    repeats: Integers
    n_tasks: int
    left_out: dict[str, int]
    missing: dict[int, str]


class RowMetric(NamedTuple):
    """One number a row and level.

    Args:
        metric: The column.
        counted: Level → its rows, where failures count.
        succeeded: Level → its rows, of the tasks that succeeded alone.
    """

    metric: Metric
    counted: dict[Any, LevelRows]
    succeeded: dict[Any, LevelRows]


def task_facts(snapshot: Snapshot) -> TaskFacts:
    """The rows and reasons of a session's tasks, in the order of its table of results.

    Args:
        snapshot: The session.
    """
    tasks = result_rows(snapshot)
    return TaskFacts(row_numbers(tasks), [_reason(row.answer.fields) for row in tasks])


def _reason(fields: Mapping[str, Any]) -> str | None:
    reason = fields.get("reason")
    return reason if isinstance(reason, str) and task_state(dict(fields))[1] else None


def row_numbers(tasks: Iterable[ResultRow]) -> list[int]:
    """The row that each task is about: that of the frame, or else one for each prompt.

    A prompt that was given twice makes two rows: the second begins where a combination of factors
    occurs again.

    Args:
        tasks: Of a session, in order.
    """
    numbers: dict[Hashable, int] = {}
    occurred: Counter[tuple[str, str]] = Counter()
    found = []
    for task, _, _ in tasks:
        row = task.spec.get("row")
        if not isinstance(row, int):
            prompt = str(task.spec.get("prompt", task.fields.get("prompt")))
            factors = repr(task.spec.get("factors"))
            row = (prompt, occurred[prompt, factors])
            occurred[prompt, factors] += 1
        found.append(numbers.setdefault(row, len(numbers)) if isinstance(row, tuple) else row)
    return found


def session_metric(
    snapshot: Snapshot, name: str, stated: Mapping[str, tuple[float, float]] | None = None
) -> Metric:
    """What a column of a session's results is.

    Args:
        snapshot: The session.
        name: The column.
        stated: Column → its least and its most, as the user has stated them.
    """
    schemas = [row.task.schema for row in result_rows(snapshot)]
    is_one = bool(schemas) and all(schema == schemas[0] for schema in schemas)
    score = read_spec(snapshot.paths).get("score")
    score = score if isinstance(score, dict) else None
    return metric_of(name, schemas[0] if is_one else None, score=score, stated=stated)


def row_metric(
    results: pd.DataFrame,
    facts: TaskFacts,
    metric: Metric,
    levels: Mapping[Any, Sequence[int]],
) -> RowMetric:
    """Averages a column of results by row and level.

    Args:
        results: The table of results.
        facts: The rows and reasons of its tasks.
        metric: The column, and what it is.
        levels: Level → the positions of its tasks in the table.

    Raises:
        InputError: If a value lies outside the range that was stated.
    """
    values = column_numbers(results[metric.name])
    outcomes = [None if pd.isna(outcome) else str(outcome) for outcome in results["outcome"]]
    verdicts = zip(outcomes, facts.reasons, strict=True)
    has_end = np.array([has_verdict(*verdict) for verdict in verdicts], bool)
    is_success = np.array([outcome == states.SUCCEEDED for outcome in outcomes], bool)
    if metric.kind == SHARE and metric.name == "ok":
        values = np.where(has_end, is_success.astype(float), np.nan)
    elif metric.is_bounded:
        _check_range(metric, values)
        values = np.where(has_end & ~is_success & np.isnan(values), metric.minimum, values)
    why = [
        _why_missing(outcome, reason, metric.name)
        for outcome, reason in zip(outcomes, facts.reasons, strict=True)
    ]
    rows = np.array(facts.rows, np.int64)
    why_no_success = [
        words if outcome in (None, states.SUCCEEDED) or not is_end else "failed"
        for words, outcome, is_end in zip(why, outcomes, has_end.tolist(), strict=True)
    ]
    counted, succeeded = {}, {}
    for level, positions in levels.items():
        chosen = np.array(positions, np.int64)
        parts = rows[chosen], values[chosen]
        counted[level] = _average(*parts, has_end[chosen], [why[n] for n in chosen])
        is_counted = (has_end & is_success)[chosen]
        succeeded[level] = _average(*parts, is_counted, [why_no_success[n] for n in chosen])
    return RowMetric(metric, counted, succeeded)


def level_interval(
    metric: Metric,
    rows: LevelRows,
    *,
    confidence: float = CONFIDENCE,
    clusters: Mapping[int, Any] | None = None,
) -> Estimate:
    """The mean of a level over its rows with its interval.

    Args:
        metric: The column.
        rows: The level's rows.
        confidence: The share of such intervals that hold the truth.
        clusters: Row → its cluster, if rows of one resemble each other.

    Raises:
        StatsMissing: If SciPy is not installed.
    """
    labels = None if clusters is None else [clusters[row] for row in rows.rows.tolist()]
    return interval_of(metric, rows.means, rows.repeats, confidence=confidence, clusters=labels)


def column_numbers(column: pd.Series[Any]) -> Array:
    """A column as numbers; NaN where it has none, such as for texts and times.

    Example:
        >>> column_numbers(pd.Series(["1", "x", None])).tolist()
        [1.0, nan, nan]
    """
    if column.dtype.kind in "mMc":  # pandas would convert times to counts
        return np.full(len(column), np.nan)
    if column.dtype == object:  # such as a table in a cell, which pandas refuses
        column = column.map(lambda value: value if np.isscalar(value) else None)
        kinds = (complex, pd.Timestamp, pd.Timedelta)
        column = column.map(lambda value: None if isinstance(value, kinds) else value)
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers.to_numpy("float64", na_value=np.nan)


def _check_range(metric: Metric, values: Array) -> None:
    outside = values[(values < metric.minimum) | (values > metric.maximum)]
    if len(outside):
        raise InputError(
            f"{outside[0]:g} lies outside the range that was stated for it, {metric.minimum:g} to "
            f"{metric.maximum:g}: state the range that it has",
            metric.name,
        )


def _why_missing(outcome: str | None, reason: str | None, name: str) -> str:
    if outcome is None:
        return NOT_ENDED
    if not has_verdict(outcome, reason):
        return reason or outcome
    return f"no {name}" if outcome == states.SUCCEEDED else f"failed, no {name}"


def _average(rows: Integers, values: Array, is_counted: Any, why: Sequence[str]) -> LevelRows:
    is_there = is_counted & ~np.isnan(values)
    numbers, codes = np.unique(rows[is_there], return_inverse=True)
    repeats = np.bincount(codes, minlength=len(numbers))
    with np.errstate(all="ignore"):  # infinite scores
        means = np.bincount(codes, weights=values[is_there], minlength=len(numbers)) / repeats
    lost = np.flatnonzero(~is_there).tolist()
    reasons: dict[int, list[str]] = {}
    for position in lost:
        reasons.setdefault(int(rows[position]), []).append(why[position])
    known = set(numbers.tolist())
    missing = {
        row: ", ".join(dict.fromkeys(words)) for row, words in reasons.items() if row not in known
    }
    left_out = Counter(why[position] for position in lost)
    return LevelRows(numbers, means, repeats, len(rows), dict(left_out), missing)


def depends_on_failures(all_ends: Estimate, successes: Estimate) -> bool:
    """Whether a mean without failures lies outside the interval of the mean with them.

    Args:
        all_ends: Where failures count.
        successes: Of the tasks that succeeded alone.
    """
    if math.isnan(all_ends.low) or math.isnan(successes.value):
        return False
    return not all_ends.low <= successes.value <= all_ends.high
