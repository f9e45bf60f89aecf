"""The table of the best: for each row the candidate that is chosen, and what all of them did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cpr_nb.frames.columns import RESULTS_DIR_ATTR, Column, table
from cpr_nb.frames.mapping import ANSWERS_ATTR, LIGHT, TASK_COLUMNS, answer_names
from cpr_nb.frames.table_html import set_html
from cpr_nb.model.errors import InputError
from cpr_nb.model.factors import REPEAT
from cpr_nb.model.grader import REASON_COLUMN, score_column
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.candidates import CandidateRow, Candidates, read_candidates

if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot

SCORE = "score"
#: The attribute that says that a table is one of the best.
BEST_ATTR = "cpr_best"
#: The column that the table has once the winners were scored anew.
RESCORED = Column("rescored", "Float64", "the score that the chosen one got when scored anew")
#: The columns that the table has beside those of `results_df`.
BEST = (
    Column("solved", "boolean", "whether a candidate solves the row; missing if nothing tells"),
    Column("candidate", "Int64", "which candidate is chosen, from 1; missing if none can be"),
    Column("margin", "Float64", "its score minus the next best one's; 0 for a tie"),
    Column("n_equal", "Int64", "candidates that are as good as it is, itself among them"),
    Column("n_candidates", "Int64", "candidates of the row"),
    Column("n_succeeded", "Int64", "those that succeeded"),
    Column("n_failed", "Int64", "those that failed"),
    Column("n_not_needed", "Int64", "those that did not run, or not to the end, for a sibling won"),
    Column("cost_usd", "Float64", "what all of them cost, in US dollars, as far as it is known"),
)
_IDS = ("session_id", "task_id")


def check_columns(frame: pd.DataFrame | None, schemas: Iterable[Mapping[str, Any] | None]) -> None:
    """Refuses columns that the table of the best would have twice.

    Args:
        frame: The user's frame, if there is one.
        schemas: The JSON schema of each task's answer; None for a text.

    Raises:
        InputError: Naming the column.
    """
    own = {column.name for column in (*BEST, RESCORED)}
    names: list[Any] = [] if frame is None else list(frame.columns)
    if frame is not None:
        for schema in {id(schema): schema for schema in schemas}.values():
            names += [] if schema is None else answer_names(schema)
    for name in names:
        if name in own:
            raise InputError(
                f"the table of the best has a column {name!r} of its own: rename yours", "best_of"
            )


def scores_of(results: pd.DataFrame, name: str) -> list[float | None]:
    """The scores of a table of results; None where there is no number.

    Args:
        results: The table.
        name: The column.
    """
    numbers = pd.to_numeric(results[name], errors="coerce")
    return [None if pd.isna(number) else float(number) for number in numbers]


def session_candidates(
    snapshot: Snapshot, results: pd.DataFrame, own_score: str | None = None
) -> Candidates:
    """The candidates of a session, with the scores of its table of results.

    Args:
        snapshot: The session.
        results: Its table of results.
        own_score: The column of a score that was made in this process, if there is one.

    Raises:
        SessionNotUsable: If it was launched without ``best_of``.
    """
    score = read_spec(snapshot.paths).get("score") or {}
    may_be_graded = score.get("kind", "grade") in ("check", "grade")
    is_graded = own_score is None and may_be_graded and REASON_COLUMN in results
    name = score_column(results) if is_graded else own_score
    if name is None:
        return read_candidates(snapshot)
    return read_candidates(snapshot, scores_of(results, name), is_graded=is_graded)


def winners(snapshot: Snapshot, results: pd.DataFrame) -> pd.DataFrame:
    """The best candidate of each row, as rows of a table of results; without ``best_of`` all.

    Args:
        snapshot: The session.
        results: Its table of results.
    """
    if "best_of" not in read_spec(snapshot.paths):
        return results
    rows = session_candidates(snapshot, results).rows
    return results.iloc[[row.best.position for row in rows if row.best is not None]]


def row_names(results: pd.DataFrame, candidates: Candidates) -> tuple[str, list[str]]:
    """What the rows are called: by their first column, or by their labels if that is no input.

    Args:
        results: The table of results, one row per candidate.
        candidates: The same candidates.

    Returns:
        The name of the column, and the name of each row.
    """
    firsts = [row.candidates[0].position for row in candidates.rows]
    outputs = {*results.attrs.get(ANSWERS_ATTR, ()), *TASK_COLUMNS, LIGHT, REPEAT}
    if results.columns[0] in outputs:
        return str(results.index.name or "row"), [str(results.index[n]) for n in firsts]
    column = results.iloc[:, 0]
    return str(column.name), [
        "" if pd.isna(column.iloc[n]) else str(column.iloc[n]) for n in firsts
    ]


def best_table(
    results: pd.DataFrame,
    candidates: Candidates,
    factors: Sequence[str],
    rescored: Mapping[tuple[str, str], float] | None = None,
) -> pd.DataFrame:
    """Makes the table of the best; see `Session.best_df`.

    Args:
        results: The table of results, one row per candidate.
        candidates: The same candidates.
        factors: The names of what varies.
        rescored: Session and task → the score of a winner that was scored anew.
    """
    chosen = [row.best or row.candidates[0] for row in candidates.rows]
    left_out = {*TASK_COLUMNS, LIGHT, REPEAT} - {"ok", "outcome"}
    whole = results.iloc[[one.position for one in chosen]]
    parts = whole.drop(columns=[name for name in left_out if name in whole.columns])
    own = table((_own_cells(row) for row in candidates.rows), BEST)
    own.index = parts.index
    ids = table((_ids(row) for row in candidates.rows), [Column(n, "string", "") for n in _IDS])
    ids.index = parts.index
    if rescored is not None:
        own.insert(2, RESCORED.name, _rescored_column(candidates, rescored).set_axis(own.index))
    answers = [name for name in results.attrs.get(ANSWERS_ATTR, ()) if name in parts.columns]
    taken = {*own.columns, *ids.columns}
    renamed = {name: f"answer_{name}" for name in parts.columns if name in taken}
    parts = parts.rename(columns=renamed)
    nobody = [row.best is None for row in candidates.rows]
    for name in [*(renamed.get(name, name) for name in answers), *factors, "ok", "outcome"]:
        if name in parts.columns and any(nobody):
            parts[name] = parts[name].mask(nobody)
    best = pd.concat([parts, own, ids], axis=1)
    best.attrs = {
        RESULTS_DIR_ATTR: results.attrs.get(RESULTS_DIR_ATTR),
        ANSWERS_ATTR: [renamed.get(name, name) for name in answers],
        BEST_ATTR: True,
    }
    return set_html(best)


def _own_cells(row: CandidateRow) -> dict[str, Any]:
    best = row.best
    return {
        "solved": row.solved,
        "candidate": None if best is None else best.number,
        "margin": row.margin,
        "n_equal": row.n_equal or None,
        "n_candidates": len(row.candidates),
        "n_succeeded": row.count("ended"),
        "n_failed": row.count("failed"),
        "n_not_needed": row.count("not_needed"),
        "cost_usd": row.cost_usd,
    }


def _ids(row: CandidateRow) -> dict[str, Any]:
    return {} if row.best is None else dict(zip(_IDS, row.best.ids, strict=True))


def _rescored_column(
    candidates: Candidates, rescored: Mapping[tuple[str, str], float]
) -> pd.Series[Any]:
    scores = [rescored.get(row.best.ids) if row.best else None for row in candidates.rows]
    return table(({RESCORED.name: score} for score in scores), [RESCORED])[RESCORED.name]
