"""The tasks of a session whose rows are answers of an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from cpr_nb.frames import mapping
from cpr_nb.frames.input_rows import input_frame
from cpr_nb.frames.mapping import ANSWERS_ATTR
from cpr_nb.model import templates
from cpr_nb.model.errors import InputError
from cpr_nb.model.spec import TaskSpec, check_tasks


class InputTasks(NamedTuple):
    """The tasks, and the rows that they are about.

    Args:
        tasks: One per row and combination of factors.
        rows: The rows of the table of results.
        left_out: What was left out, in words; empty for nothing.
    """

    tasks: list[TaskSpec]
    rows: pd.DataFrame
    left_out: str


def input_tasks(
    template: str,
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    factors: Sequence[Mapping[str, Any]],
) -> InputTasks:
    """Makes one task per row and combination of factors.

    A row without a value for a placeholder is left out: when the rows are known, nobody may be
    there who could say what to do with it.

    Args:
        template: The prompt with ``{column}`` placeholders.
        rows: Rows of a table of results.
        columns: Option → its column.
        factors: The combinations of factors.

    Raises:
        InputError: If a prompt can't be made; a table without rows only finds what is wrong with
            the template.
    """
    source = input_frame(rows)
    used = [name for name in templates.names(template) if name in source.columns]
    complete = source.dropna(subset=used) if used else source
    complete.attrs = rows.attrs
    elements = list(mapping.build_elements(template, complete, columns, factors, "the answers'"))
    if not elements:
        check_names(template, source, factors)
        tasks = []
    else:
        labels = [label for _, _, label in elements]
        tasks = check_tasks((element for element, _, _ in elements), label=labels)
    session_ids, task_ids = complete["session_id"].tolist(), complete["task_id"].tolist()
    for task, (_, origin, _) in zip(tasks, elements, strict=True):
        row = origin["row"]
        task.origin.update(origin)
        task.origin["input"] = {"session_id": session_ids[row], "task_id": task_ids[row]}
    return InputTasks(tasks, complete, _left_out(source, used))


def check_names(template: str, source: pd.DataFrame, factors: Sequence[Mapping[str, Any]]) -> None:
    """Refuses a placeholder that no column fills.

    Raises:
        InputError: Naming the placeholder.
    """
    known = {*source.columns, *source.index.names, *(factors[0] if factors else ())}
    templates.fill(template, {str(name): "" for name in known if name is not None}, "template")


def check_columns(columns: Mapping[str, str], rows: pd.DataFrame) -> None:
    """Refuses options that an agent's answer would choose.

    Args:
        columns: Option → its column.
        rows: Rows of a table of results.

    Raises:
        InputError: Naming the column.
    """
    answers = rows.attrs.get(ANSWERS_ATTR, ())
    for option, column in columns.items():
        if column in answers:
            raise InputError(
                f"the column {column!r} is an answer, and no agent chooses the {option} of another",
                f"{option}_col",
            )


def _left_out(source: pd.DataFrame, used: Sequence[str]) -> str:
    missing = [name for name in used if source[name].isna().any()]
    if not missing:
        return ""
    n_rows = int(source[missing].isna().any(axis=1).sum())
    names = " and ".join(missing)
    return f"{n_rows} row{'s' * (n_rows != 1)} left out: no value for {names}"
