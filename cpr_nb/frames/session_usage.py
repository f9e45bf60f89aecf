"""The public function usage_df: what tasks have used, also in groups such as days and projects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, overload

from cpr_nb.frames import queries
from cpr_nb.frames.columns import DataFrame
from cpr_nb.frames.filters import Since, States
from cpr_nb.frames.queries import Folder, build_session_table, build_task_table, check_problems
from cpr_nb.frames.streams import Problem
from cpr_nb.frames.usage_groups import group_usage, parse_by
from cpr_nb.model.public import public
from cpr_nb.store.read import Snapshot

#: Group → the column that has it.
_GROUPS = {
    "day": "at",
    "project": "project",
    "model": "model",
    "session": "session_id",
    "name": "name",
    "outcome": "outcome",
}
_IDS = ["session_id", "task_id"]


@overload
def usage_df(
    results_dir: Folder | None = None,
    *,
    by: str | Iterable[str] | None = None,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
    full: bool = False,
    strict: Literal[True] = True,
) -> DataFrame: ...
@overload
def usage_df(
    results_dir: Folder | None = None,
    *,
    by: str | Iterable[str] | None = None,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
    full: bool = False,
    strict: Literal[False],
) -> tuple[DataFrame, list[Problem]]: ...
@public
def usage_df(
    results_dir: Folder | None = None,
    *,
    by: str | Iterable[str] | None = None,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
    full: bool = False,
    strict: bool = True,
) -> Any:
    """One row per task and model, or per group of ``by``.

    Costs are the CLI's own estimates at list prices. A figure is missing if it is unknown in the
    whole group; ``n_unknown_costs`` says how many tasks of the group lack a cost.

    Args:
        results_dir: The results directory, if it is not the default one.
        by: One group or several: ``day`` (in UTC, on which the task started), ``project`` (the
            folder in which the session was launched), ``model``, ``session``, ``name`` (of the
            session), ``outcome``. A tool is no group: tokens belong to answers, not to calls.
        states: Only tasks in this state or with this outcome, or in one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions with this name; ``*`` and ``?`` stand for any characters.
        full: Whether to return all columns; groups have no more than these.
        strict: Whether it is an error if a file can't be read, and a warning if a line of a
            stream is no event.

    Returns:
        The table; with ``strict=False`` the table without what can't be read, and a list of
        `Problem`.

    Raises:
        InputError: If a filter is not valid, or there is no such group.
        SessionNotUsable: If something can't be read, unless ``strict=False``.
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> df = cpr.usage_df(by=["day", "project", "model"], since="30d")  # doctest: +SKIP
    """
    groups = None if by is None else parse_by(by, _GROUPS)
    rows, problems = queries.usage_df(
        results_dir, states=states, since=since, name=name, full=full, strict=False
    )
    if groups is not None:
        tasks, _ = queries.tasks_df(
            results_dir, states=states, since=since, name=name, full=True, strict=False
        )
        sessions, _ = queries.sessions_df(
            results_dir, since=since, name=name, full=True, strict=False
        )
        rows = _grouped(rows, groups, tasks, sessions)
    return check_problems(rows, problems, strict=strict, stacklevel=3)


def build_usage_groups(
    snapshot: Snapshot, by: str | Iterable[str], *, states: States | None, strict: bool
) -> Any:
    """`Session.usage_df` in groups.

    Args:
        snapshot: The session.
        by: The groups.
        states: Only tasks in one of these states, or with one of these outcomes.
        strict: As in `usage_df`.
    """
    groups = parse_by(by, _GROUPS)
    rows, problems = build_task_table("usage_df", [snapshot], states=states, strict=False)
    tasks, _ = build_task_table("tasks_df", [snapshot], states=states, full=True, strict=False)
    sessions, _ = build_session_table(snapshot, full=True, strict=False)
    rows = _grouped(rows, groups, tasks, sessions)
    return check_problems(rows, problems, strict=strict, stacklevel=4)


def _grouped(
    rows: DataFrame, groups: list[str], tasks: DataFrame, sessions: DataFrame
) -> DataFrame:
    of_task = tasks[[*_IDS, "started_at", "outcome"]].rename(columns={"started_at": "at"})
    of_session = sessions[["session_id", "name", "cwd"]].rename(columns={"cwd": "project"})
    rows = rows.merge(of_task, on=_IDS, how="left").merge(of_session, on="session_id", how="left")
    summed = group_usage(rows, groups, _GROUPS)
    return summed.rename(columns={"session": "session_id"})
