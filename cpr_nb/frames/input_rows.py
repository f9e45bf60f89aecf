"""The rows of a session's answers as the rows of a session that is planned to come after it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import Column, table
from cpr_nb.frames.mapping import (
    ANSWERS_ATTR,
    LIGHT,
    LIGHT_ATTR,
    RESULT,
    TASK_COLUMNS,
    answer_names,
)
from cpr_nb.frames.schema_columns import answer_table
from cpr_nb.frames.tables import TABLES
from cpr_nb.model.errors import InputError
from cpr_nb.model.grader import COST_COLUMN, REASON_COLUMN, SCORE_COLUMN


def select_rows(
    results: pd.DataFrame, condition: str | None, task_ids: Iterable[str] | None
) -> pd.DataFrame:
    """The rows of a table of results that a planned session is about.

    Args:
        results: The table.
        condition: An expression over its columns, as for `pandas.DataFrame.query`; None: ``ok``.
        task_ids: Only the rows of these tasks; None: of all.

    Raises:
        InputError: If the condition can't be evaluated, or is not true or false for each row.

    Example:
        >>> results = pd.DataFrame({"ok": [True, True, False], "score": [1.0, 4.0, None]})
        >>> select_rows(results, "ok and score < 3", None).index.tolist()
        [0]
    """
    fits = results["ok"] if condition is None else _evaluate(results, condition)
    fits = fits.astype("boolean").fillna(False).astype(bool)
    if task_ids is not None:
        fits &= results["task_id"].isin(list(task_ids))
    return results[fits]


def _evaluate(results: pd.DataFrame, condition: str) -> pd.Series[Any]:
    try:
        # Its own names only: a condition is kept, and evaluated where no variable is known.
        fits = results.eval(condition, engine="python", local_dict={}, global_dict={})
    except Exception as error:
        words = f"can't be evaluated: {type(error).__name__}: {error}"
        raise InputError(f"{condition!r} {words}", "where") from None
    if not isinstance(fits, pd.Series) or not (
        pd.api.types.is_bool_dtype(fits) or (fits.empty and fits.dtype == "object")
    ):
        raise InputError(f"{condition!r} is not true or false for each row", "where")
    return fits


def input_frame(results: pd.DataFrame) -> pd.DataFrame:
    """A table of results whose labels tell the rows apart: several repeats have one label.

    Args:
        results: The table, or some of its rows.

    Example:
        >>> input_frame(pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "a"], name="row")))
          row  n
        0   a  1
        1   a  2
    """
    if results.index.is_unique:
        return results
    named = [name for name in results.index.names if name is not None]
    unnamed = results.index.nlevels - len(named)
    taken = [name for name in named if name in results.columns]
    drop = bool(unnamed or taken)
    return results.reset_index(drop=drop)


def kept_frame(rows: pd.DataFrame, own: Iterable[str]) -> pd.DataFrame:
    """The rows as a planned session keeps them: with the answers, without how their tasks went.

    A column that the new answers have, too, gets a number: ``score`` is ``score_1`` then, and in
    the session after that one there is a ``score_2``.

    Args:
        rows: The rows of a table of results.
        own: The columns that the table of the planned session has anyway.

    Example:
        >>> rows = pd.DataFrame({"path": ["a"], "result": ["short"], "ok": [True]})
        >>> list(kept_frame(rows, ["result"]).columns)
        ['path', 'result_1']
    """
    names = kept_names(rows, own)
    kept = rows[list(names.values())].set_axis(list(names), axis="columns")
    kept.attrs = {}
    return kept


def kept_names(rows: pd.DataFrame, own: Iterable[str]) -> dict[Any, Any]:
    """The columns that a planned session keeps: their names there, and those of now.

    Args:
        rows: The rows of a table of results.
        own: The columns that the table of the planned session has anyway.
    """
    dropped = {*TASK_COLUMNS, *([LIGHT] if rows.attrs.get(LIGHT_ATTR) else [])}
    kept = [name for name in rows.columns if name not in dropped]
    taken = {RESULT, *own}
    used = {*kept, *taken}
    names = {}
    for name in kept:
        new = name
        if name in taken:
            number = 1
            while f"{name}_{number}" in used:
                number += 1
            new = f"{name}_{number}"
            used.add(new)
        names[new] = name
    return names


def own_columns(
    schema: Mapping[str, Any] | None, factors: Sequence[Mapping[str, Any]], more: Iterable[str] = ()
) -> list[str]:
    """The columns that a table of results has beside those of its frame.

    Args:
        schema: The JSON schema of its answers; None for texts.
        factors: The combinations of its factors.
        more: Further columns, such as ``score``.
    """
    return [*answer_names(schema), *(factors[0] if factors else ()), *more]


def empty_results(
    frame: pd.DataFrame | None,
    schema: Mapping[str, Any] | None,
    factors: Iterable[str],
    study: Iterable[str] = (),
) -> pd.DataFrame:
    """The table of results of a session that has not begun: its columns, without a row.

    Args:
        frame: The frame that its rows will have; None: prompts.
        schema: The JSON schema of its answers; None for texts.
        factors: Its factors.
        study: Its further keywords: with ``score`` or ``grade`` its answers have scores.

    Example:
        >>> list(empty_results(None, None, ["model"]).columns)[:4]
        ['prompt', 'model', 'result', 'ok']
    """
    inputs = table([], [Column("prompt", "string", "")]) if frame is None else frame.iloc[:0]
    answers = table([], [Column(RESULT, "string", "")])
    if schema is not None:
        answers = answer_table([], schema, pd.RangeIndex(0))
    answers = answers.join(table([], _score_columns(study, answers.columns)))
    columns = {column.name: column for column in TABLES["tasks_df"].columns}
    ends = table([], [columns[name] for name in TASK_COLUMNS])
    levels = pd.DataFrame({name: pd.Series(dtype="object") for name in factors})
    parts = [part.set_axis(inputs.index) for part in (inputs, levels, answers, ends)]
    results = pd.concat(parts, axis=1)
    results.attrs = {ANSWERS_ATTR: list(answers.columns), LIGHT_ATTR: False}
    return results


def _score_columns(study: Iterable[str], names: Container[str]) -> list[Column]:
    columns = [Column(SCORE_COLUMN, "Float64", "")] if {"score", "grade"} & {*study} else []
    if "grade" in {*study}:
        columns += [Column(REASON_COLUMN, "string", ""), Column(COST_COLUMN, "Float64", "")]
    return [column for column in columns if column.name not in names]
