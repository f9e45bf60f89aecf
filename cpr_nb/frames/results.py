"""The user's frame joined with the answers of the agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import RESULTS_DIR_ATTR, Column, table
from cpr_nb.frames.grade_columns import grade_columns
from cpr_nb.frames.mapping import (
    ANSWERS_ATTR,
    LIGHT,
    LIGHT_ATTR,
    RESULT,
    TASK_COLUMNS,
    check_added_columns,
)
from cpr_nb.frames.schema_columns import answer_table
from cpr_nb.frames.table_html import set_html
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import states
from cpr_nb.model.json_values import text_or_none
from cpr_nb.model.record import task_state
from cpr_nb.model.scores import SCORE, SCORE_ERROR, score_number
from cpr_nb.store.catalog import list_sessions
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.store.result_line import last_result
from cpr_nb.views.lineage import LinkedTask, linked_tasks
from cpr_nb.views.result_rows import result_rows
from cpr_nb.views.rows import task_row

_PROMPT = "prompt"
_COLUMNS = {column.name: column for column in TABLES["tasks_df"].columns}
_SCORES = {SCORE: Column(SCORE, "Float64", ""), SCORE_ERROR: Column(SCORE_ERROR, "string", "")}


def build_results(snapshot: Snapshot, frame: pd.DataFrame | None, *, flatten: bool) -> pd.DataFrame:
    """Makes a table of answers; see `Session.results_df`.

    Args:
        snapshot: The session.
        frame: The frame whose rows the tasks are about, if there is one.
        flatten: Whether nested objects become columns.
    """
    heads = list_sessions(str(Path(snapshot.paths.root).parent))
    rows = result_rows(snapshot, heads)
    tasks, newest = [row.task for row in rows], [row.answer for row in rows]
    inputs = [_input_rows(tasks, frame), factor_columns(tasks)]
    answers = _answer_columns(tasks, newest, flatten=flatten)
    cells = [task_row(task.snapshot, task.fields, streamed=False) for task in newest]
    has_light = any(cell[LIGHT] for cell in cells) and LIGHT not in inputs[1].columns
    added = [*TASK_COLUMNS, *([LIGHT] if has_light else [])]
    outcomes = table(cells, [_COLUMNS[name] for name in added])
    if frame is None:  # a launch allows any schema, so its fields are renamed on a collision
        existing = {*inputs[0].columns, *inputs[1].columns, *added}
        answers = answers.rename(columns={name: f"answer_{name}" for name in existing})
    index = inputs[0].index
    scores = _score_columns(newest, is_scored="score" in snapshot.head)
    scores = scores.drop(columns=[name for name in scores if name in answers])
    if "grading_id" in snapshot.head:  # what grades its answers has their scores
        scores = scores.drop(columns=SCORE, errors="ignore")
    names = {*inputs[0].columns, *answers.columns, *scores.columns}
    graded = grade_columns(snapshot, newest, heads, other_names=names)
    answers = answers if graded is None else pd.concat([answers, graded], axis=1)
    parts = [part.set_axis(index) for part in (*inputs, answers, scores, outcomes)]
    results = pd.concat(parts, axis=1)
    results.attrs |= {
        RESULTS_DIR_ATTR: str(Path(snapshot.paths.root).parent),
        ANSWERS_ATTR: [*answers.columns, *scores.columns],
        LIGHT_ATTR: has_light,
    }
    return set_html(results)


def _input_rows(tasks: list[LinkedTask], frame: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of the frame, one per task; the prompts if there is no frame."""
    rows = [task.spec.get("row") for task in tasks]
    if frame is not None:
        valid_rows = [row for row in rows if isinstance(row, int) and 0 <= row < len(frame)]
        if len(valid_rows) == len(rows):
            return frame.iloc[valid_rows]
    prompts = [task.spec.get("prompt", task.fields.get("prompt")) for task in tasks]
    return table(({_PROMPT: prompt} for prompt in prompts), [Column(_PROMPT, "string", "")])


def _answer_columns(
    tasks: list[LinkedTask], newest: list[LinkedTask], *, flatten: bool
) -> pd.DataFrame:
    """The answers as the columns of their schema, else as one column."""
    answers = [
        _answer(task) if task_state(task.fields)[1] == states.SUCCEEDED else None for task in newest
    ]
    schemas = [task.schema for task in tasks]
    if schemas and schemas[0] is not None and all(schema == schemas[0] for schema in schemas):
        return answer_table(answers, schemas[0], pd.RangeIndex(len(newest)), flatten=flatten)
    dtype = "string" if all(schema is None for schema in schemas) else "object"
    return table(({RESULT: answer} for answer in answers), [Column(RESULT, dtype, "")])


def _score_columns(newest: list[LinkedTask], *, is_scored: bool) -> pd.DataFrame:
    """The score of each task, and why it has none, if its session was launched with ``score``."""
    fields = [task.fields for task in newest]
    names = [name for name in _SCORES if any(name in one for one in fields)]
    if is_scored and SCORE not in names:
        names.insert(0, SCORE)
    cells = ({SCORE: score_number(one.get(SCORE)), **_error_of(one)} for one in fields)
    return table(cells, [_SCORES[name] for name in names])


def _error_of(fields: Mapping[str, Any]) -> dict[str, str | None]:
    return {SCORE_ERROR: text_or_none(fields.get(SCORE_ERROR))}


def factor_columns(tasks: list[LinkedTask]) -> pd.DataFrame:
    """One column per factor: a category whose order is that of the levels."""
    factors = [task.spec.get("factors") for task in tasks]
    levels = [level_by_name if isinstance(level_by_name, dict) else {} for level_by_name in factors]
    names = dict.fromkeys(name for level_by_name in levels for name in level_by_name)
    columns = {
        name: _factor_column([level_by_name.get(name) for level_by_name in levels])
        for name in names
    }
    return pd.DataFrame(columns, index=range(len(tasks)))


def _factor_column(values: list[Any]) -> pd.Series[Any]:
    try:
        categories = list(dict.fromkeys(value for value in values if value is not None))
        return pd.Series(pd.Categorical(values, categories=categories))
    except TypeError:  # such as lists: a level of ``allow``
        return pd.Series(values, dtype="object")


def add_factors(tasks: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    """Adds one column per factor to the table of a session's tasks, after the prompts.

    Args:
        tasks: The table.
        snapshot: The session.
    """
    linked = linked_tasks(snapshot)
    factors = factor_columns(linked)
    if factors.columns.empty:
        return tasks
    numbers = {task.ids[1]: number for number, task in enumerate(linked)}
    rows = [numbers[task_id] for task_id in tasks["task_id"]]
    factors = factors.iloc[rows].set_axis(tasks.index)
    tasks = tasks.rename(columns={name: f"{name}_used" for name in factors.columns})
    position = list(tasks.columns).index("prompt") + 1
    parts = [tasks.iloc[:, :position], factors, tasks.iloc[:, position:]]
    return set_html(pd.concat(parts, axis=1))


def _answer(task: LinkedTask) -> Any:
    """The object of a task with a schema, else its text."""
    paths = task.snapshot.paths
    if task.schema is None:
        text = read_answer(paths, task.ids[1])
        return None if text is None else text.removesuffix("\n")
    field = "structured_output"
    return (last_result(paths.newest_stream(task.fields), field) or {}).get(field)


def add_score(
    results: pd.DataFrame,
    name: str,
    function: Callable[[pd.Series[Any]], Any],
    scored: dict[tuple[str, str], Any],
) -> pd.DataFrame:
    """Adds a score to the results.

    Args:
        results: The results.
        name: The column's name.
        function: Scores a row.
        scored: Session and task → its score and error; gets those that are computed now.
    """
    error_name = f"{name}_error"
    check_added_columns(results, [name, error_name])
    scores: list[Any] = []
    errors: list[str | None] = []
    for number in range(len(results)):
        row = results.iloc[number]
        if pd.isna(row["outcome"]):
            score, error = None, None
        else:
            key = (row["session_id"], row["task_id"])
            if key not in scored:
                scored[key] = _compute_score(function, row)
            score, error = scored[key]
        scores.append(score)
        errors.append(error)
    score_column = _convert_dtypes(pd.Series(scores, index=results.index, dtype="object"))
    error_column = pd.Series(errors, index=results.index, dtype="string")
    columns = [results, score_column.rename(name), error_column.rename(error_name)]
    table_with_score = pd.concat(columns, axis=1)
    answers = [*results.attrs[ANSWERS_ATTR], name, error_name]
    table_with_score.attrs = {**results.attrs, ANSWERS_ATTR: answers}
    return set_html(table_with_score)


def _convert_dtypes(column: pd.Series[Any]) -> pd.Series[Any]:
    try:
        return column.convert_dtypes()
    except TypeError:  # pandas 2.1, for complex numbers
        return column.infer_objects()


def _compute_score(
    function: Callable[[pd.Series[Any]], Any], row: pd.Series[Any]
) -> tuple[Any, str | None]:
    try:
        return function(row), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
