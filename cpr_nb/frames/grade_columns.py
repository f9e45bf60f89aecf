"""The columns that a table of results gets from grades."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from cpr_nb.frames.columns import Column, table
from cpr_nb.model.grader import COST_COLUMN, REASON_COLUMN, SCORE_COLUMN
from cpr_nb.store.read import Snapshot
from cpr_nb.views.grades import counting_graders, grade_of, gradings
from cpr_nb.views.lineage import LinkedTask

_COLUMNS = [
    Column(SCORE_COLUMN, "Float64", ""),
    Column(REASON_COLUMN, "string", ""),
    Column(COST_COLUMN, "Float64", ""),
]


def grade_columns(
    snapshot: Snapshot,
    answers: Sequence[LinkedTask],
    heads: Sequence[Snapshot],
    *,
    other_names: Collection[str],
) -> pd.DataFrame | None:
    """The grade of each answer, why, and what it cost; missing where there is none.

    Args:
        snapshot: The session.
        answers: Its answers, in order.
        heads: The sessions of its results directory, the newest first.
        other_names: Other columns; a grade with one of these names is called ``grade_…``.

    Returns:
        The columns; None if nobody has asked for grades.
    """
    folder = str(Path(snapshot.paths.root).parent)
    found = gradings(folder, {snapshot.session_id, *(one.ids[0] for one in answers)}, heads)
    graders = counting_graders(found)
    if not (graders or "grading_id" in snapshot.head):
        return None
    tasks = [graders.get(one.ids) for one in answers]
    grades = [None if task is None else grade_of(task) for task in tasks]
    cells: list[dict[str, object]] = [
        {}
        if grade is None
        else {
            SCORE_COLUMN: grade.score,
            REASON_COLUMN: grade.reason,
            COST_COLUMN: grade.cost_usd,
        }
        for grade in grades
    ]
    columns = table(cells, _COLUMNS)
    return columns.rename(
        columns={name: f"grade_{name}" for name in columns if name in other_names}
    )
