"""The user's frame joined with what the agents answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import RESULTS_DIR_ATTR, Column, table
from cpr_nb.frames.mapping import ANSWERS_ATTR, RESULT, TASK_COLUMNS, check_added_columns
from cpr_nb.frames.schema_columns import answer_table
from cpr_nb.frames.tables import TABLES
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.store.result_line import last_result
from cpr_nb.views.lineage import LinkedTask, linked_tasks, newest_answers
from cpr_nb.views.rows import task_row

_PROMPT = "prompt"
_COLUMNS = {column.name: column for column in TABLES["tasks_df"].columns}


def build_results(snapshot: Snapshot, frame: pd.DataFrame | None, *, flatten: bool) -> pd.DataFrame:
    """A table of answers; see `Session.results_df`.

    Args:
        snapshot: The session.
        frame: The frame whose rows the tasks are about, if there is one.
        flatten: Nested objects as columns of their own.
    """
    first, best = linked_tasks(snapshot), newest_answers(snapshot)
    parts = [_input_rows(first, frame), factor_columns(first)]
    schemas = [step.schema for step in first]
    schema = schemas[0] if schemas and all(s == schemas[0] for s in schemas) else None
    answers = [
        _answer(step) if task_state(step.task)[1] == states.SUCCEEDED else None for step in best
    ]
    if schema is not None:
        parts.append(answer_table(answers, schema, pd.RangeIndex(len(best)), flatten=flatten))
    else:
        dtype = "string" if all(s is None for s in schemas) else "object"
        parts.append(table(({RESULT: answer} for answer in answers), [Column(RESULT, dtype, "")]))
    rows = [task_row(step.snapshot, step.task, streamed=False) for step in best]
    parts.append(table(rows, [_COLUMNS[name] for name in TASK_COLUMNS]))
    if frame is None:  # a launch takes any schema: its answers give way here
        ours = {*parts[0].columns, *parts[1].columns, *TASK_COLUMNS}
        parts[2] = parts[2].rename(columns={name: f"answer_{name}" for name in ours})
    index = parts[0].index
    made = pd.concat([part.set_axis(index) for part in parts], axis=1)
    made.attrs |= {
        RESULTS_DIR_ATTR: str(Path(snapshot.paths.root).parent),
        ANSWERS_ATTR: list(parts[2].columns),
    }
    return made


def _input_rows(first: list[LinkedTask], frame: pd.DataFrame | None) -> pd.DataFrame:
    """The rows of the frame, one a task; the prompts if there is no frame."""
    told = [step.spec.get("row") for step in first]
    if frame is not None:
        numbers = [n for n in told if isinstance(n, int) and 0 <= n < len(frame)]
        if len(numbers) == len(told):
            return frame.iloc[numbers]
    prompts = [step.spec.get("prompt", step.task.get("prompt")) for step in first]
    return table(({_PROMPT: prompt} for prompt in prompts), [Column(_PROMPT, "string", "")])


def factor_columns(tasks: list[LinkedTask]) -> pd.DataFrame:
    """What varied: a column a factor, a category in the order of its levels."""
    told = [step.spec.get("factors") for step in tasks]
    levels = [mine if isinstance(mine, dict) else {} for mine in told]
    found = {}
    for name in dict.fromkeys(name for mine in levels for name in mine):
        values = [mine.get(name) for mine in levels]
        try:
            kinds = list(dict.fromkeys(value for value in values if value is not None))
            found[name] = pd.Series(pd.Categorical(values, categories=kinds))
        except TypeError:  # such as lists: a level of ``allow``
            found[name] = pd.Series(values, dtype="object")
    return pd.DataFrame(found, index=range(len(tasks)))


def add_factors(tasks: pd.DataFrame, snapshot: Snapshot) -> pd.DataFrame:
    """The table of a session's tasks with a column a factor, after the prompts.

    Args:
        tasks: The table.
        snapshot: The session.
    """
    told = linked_tasks(snapshot)
    made = factor_columns(told)
    if made.columns.empty:
        return tasks
    numbers = {step.ids[1]: number for number, step in enumerate(told)}
    made = made.iloc[[numbers[task_id] for task_id in tasks["task_id"]]].set_axis(tasks.index)
    tasks = tasks.rename(columns={name: f"{name}_used" for name in made.columns})
    at = list(tasks.columns).index("prompt") + 1
    parts = [tasks.iloc[:, :at], made, tasks.iloc[:, at:]]
    return pd.concat(parts, axis=1)


def _answer(step: LinkedTask) -> Any:
    """The object of a task with a schema, else its text."""
    paths = step.snapshot.paths
    if step.schema is None:
        text = read_answer(paths, step.ids[1])
        return None if text is None else text.removesuffix("\n")
    return (last_result(paths.newest_stream(step.task)) or {}).get("structured_output")


def add_score(
    made: pd.DataFrame,
    name: str,
    function: Callable[[pd.Series[Any]], Any],
    known: dict[tuple[str, str], Any],
) -> pd.DataFrame:
    """The results with a score.

    Args:
        made: The results.
        name: The column's name.
        function: Scores a row.
        known: Scores and errors of attempts that were scored before; it is added to.
    """
    error_name = f"{name}_error"
    check_added_columns(made, [name, error_name])
    scores: list[Any] = []
    errors: list[str | None] = []
    for number in range(len(made)):
        row = made.iloc[number]
        if pd.isna(row["outcome"]):
            score, error = None, None
        else:
            key = (row["session_id"], row["task_id"])
            if key not in known:
                known[key] = _compute_score(function, row)
            score, error = known[key]
        scores.append(score)
        errors.append(error)
    column = _convert_dtypes(pd.Series(scores, index=made.index, dtype="object"))
    told = pd.Series(errors, index=made.index, dtype="string")
    scored = pd.concat([made, column.rename(name), told.rename(error_name)], axis=1)
    scored.attrs = {**made.attrs, ANSWERS_ATTR: [*made.attrs[ANSWERS_ATTR], name, error_name]}
    return scored


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
