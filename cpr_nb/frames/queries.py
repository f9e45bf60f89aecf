"""The tables of all sessions of a results directory, and of one session."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, cast, overload

import numpy as np

from cpr_nb.frames import filters
from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columns import RESULTS_DIR_ATTR, DataFrame, table
from cpr_nb.frames.event_filter import EventFilter, add_filtered_events
from cpr_nb.frames.filters import Since, States
from cpr_nb.frames.gather import gather, session_problem
from cpr_nb.frames.session_rows import SessionIndex, read_session_index
from cpr_nb.frames.stream_cache import STREAM_CACHE
from cpr_nb.frames.streams import Problem, TaskSelection
from cpr_nb.frames.table_html import set_html
from cpr_nb.frames.tables import TABLES, TABLES_OF_A_SESSION
from cpr_nb.frames.tasks import add_session, table_columns
from cpr_nb.model import states as model_states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.public import public
from cpr_nb.model.text import visible_line
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot
from cpr_nb.store.stream_list import list_streams
from cpr_nb.views.nodes import node_rows
from cpr_nb.views.rows import session_row

Folder = str | os.PathLike[str]


class TableFunction(Protocol):
    """A function that makes a table of all sessions: its result depends on ``strict``."""

    @overload
    def __call__(
        self,
        results_dir: Folder | None = None,
        *,
        states: States | None = None,
        since: Since | None = None,
        name: str | None = None,
        full: bool = False,
        strict: Literal[True] = True,
    ) -> DataFrame: ...
    @overload
    def __call__(
        self,
        results_dir: Folder | None = None,
        *,
        states: States | None = None,
        since: Since | None = None,
        name: str | None = None,
        full: bool = False,
        strict: Literal[False],
    ) -> tuple[DataFrame, list[Problem]]: ...


def _typed(function: Callable[..., Any]) -> TableFunction:
    """Declares the type of a function that makes a table."""
    return cast(TableFunction, public(function))


# -- all sessions ---------------------------------------------------------------------------


@_typed
def sessions_df(
    results_dir: Folder | None = None,
    *,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
    full: bool = False,
    strict: bool = True,
) -> Any:
    """One row per session, the newest first; those that can't be read are ``unreadable``.

    Args:
        results_dir: The results directory, if it is not the default one.
        states: Only sessions in this state, or in one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions with this name; ``*`` and ``?`` stand for any characters.
        full: Whether to return all columns.
        strict: If False, also return which sessions can't be read, and why.

    Returns:
        The table; with ``strict=False`` the table and a list of `Problem`.

    Raises:
        InputError: If a filter is not valid.
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> len(cpr.sessions_df("/none", since="2d"))
        0
    """
    session_states = filters.parse_states(states, model_states.SESSION_STATES)
    sessions = read_session_index(catalog.results_dir(results_dir, os.environ), full=full)
    sessions = filters.filter_sessions(sessions, since, name)
    if session_states is not None:
        sessions = sessions.select(np.flatnonzero(sessions.rows["state"].isin(session_states)))
    # An unreadable session is no error here: its row says that it is unreadable.
    rows = sessions.rows.assign(foreign=sessions.are_foreign(read_marks()))
    rows = rows[[column.name for column in table_columns("sessions_df", full=full)]]
    rows.attrs[RESULTS_DIR_ATTR] = sessions.directory
    return set_html(rows) if strict else (set_html(rows), list(_session_problems(sessions)))


def _session_problems(sessions: SessionIndex) -> Iterator[Problem]:
    for name in sessions.names:
        if name in sessions.unreadable:
            root, session_id = f"{sessions.directory}/{name}", name.removeprefix(SESSION_PREFIX)
            yield Problem(session_id, None, root, sessions.unreadable[name])


def _all_sessions(name: str, doc: str) -> TableFunction:
    """Creates the function that makes a table of the tasks of all sessions."""

    def function(
        results_dir: Folder | None = None,
        *,
        states: States | None = None,
        since: Since | None = None,
        name: str | None = None,
        full: bool = False,
        strict: bool = True,
    ) -> Any:
        task_states = filters.parse_states(states, filters.SELECTABLE_STATES)
        sessions = read_session_index(catalog.results_dir(results_dir, os.environ))
        sessions = filters.filter_sessions(sessions, since, name)
        is_complete = since is None and name is None
        table, problems = gather(
            sessions, table_name, task_states, full=full, is_complete=is_complete
        )
        if sessions.names:
            table.attrs[RESULTS_DIR_ATTR] = sessions.directory
        return check_problems(table, problems, strict=strict, stacklevel=3)

    table_name = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{TABLES[name].doc}

    {doc}

    Args:
        results_dir: The results directory, if it is not the default one.
        states: Only tasks in this state or with this outcome, or in one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions with this name; ``*`` and ``?`` stand for any characters.
        full: Whether to return all columns.
        strict: Whether it is an error if a file can't be read, and a warning if a line of a
            stream is no event.

    Returns:
        The table; with ``strict=False`` the table without what can't be read, and a list of
        `Problem`.

    Raises:
        InputError: If a filter is not valid.
        SessionNotUsable: If something can't be read, unless ``strict=False``.
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> df = cpr.{name}(since="2d")  # doctest: +SKIP
    """
    return _typed(function)


tasks_df = _all_sessions("tasks_df", "Costs are the CLI's own estimates at list prices.")
tool_calls_df = _all_sessions("tool_calls_df", "The calls of every attempt, in order.")
denials_df = _all_sessions(
    "denials_df", "Shows what to allow so that the agents can do their work."
)
usage_df = _all_sessions("usage_df", "Costs are the CLI's own estimates at list prices.")


# -- one session ----------------------------------------------------------------------------


def build_session_table(snapshot: Snapshot, *, full: bool = False, strict: bool = True) -> Any:
    """`sessions_df` of one session."""
    row = session_row(snapshot, full=full, marks=read_marks())
    rows = set_html(table([row], table_columns("sessions_df", full=full)))
    problems = [session_problem(snapshot)] if snapshot.state == model_states.UNREADABLE else []
    return rows if strict else (rows, problems)


def build_node_table(snapshot: Snapshot) -> DataFrame:
    """`Session.nodes_df`: the nodes of one session."""
    rows = [{**node, "session_id": snapshot.session_id} for node in node_rows(snapshot)]
    return set_html(table(rows, TABLES_OF_A_SESSION["nodes_df"].columns))


def build_task_table(
    name: str,
    snapshots: Iterable[Snapshot],
    *,
    index: int | None = None,
    states: States | None = None,
    full: bool = False,
    strict: bool = True,
    event_filter: EventFilter | None = None,
) -> Any:
    """Makes a table of the tasks of some sessions; each part of a stream is read only once.

    Args:
        name: Which table: a key of `TABLES`.
        snapshots: The sessions, with their tasks.
        index: Only the task with this number, from 0.
        states: Only tasks in one of these states, or with one of these outcomes.
        full: Whether to return all columns.
        strict: Whether it is an error if a file can't be read, and a warning if a line of a
            stream is no event.
        event_filter: Which events, if not all are wanted.

    Returns:
        The table; with ``strict=False`` the table and a list of `Problem`.

    Raises:
        InputError: If ``states`` is not valid.
        SessionNotUsable: If something can't be read, unless ``strict=False``.
    """
    task_states = filters.parse_states(states, filters.SELECTABLE_STATES)
    problems: list[Problem] = []
    columns = event_filter.table_columns if event_filter else table_columns(name, full=full)
    builder = TableBuilder(columns)
    results_dir = None
    for snapshot in snapshots:
        results_dir = str(Path(snapshot.paths.root).parent)
        if snapshot.state == model_states.UNREADABLE:
            problems.append(session_problem(snapshot))
        tasks = filters.filter_tasks(snapshot, task_states, index)
        streams = list_streams(snapshot.paths.root)
        selection = TaskSelection(snapshot, tasks, streams, problems)
        if event_filter is not None:
            add_filtered_events(builder, selection, event_filter)
        else:
            selection = selection._replace(stream_cache=STREAM_CACHE)
            add_session(builder, selection, name, full=full)
    rows = builder.frame()
    if results_dir is not None:
        rows.attrs[RESULTS_DIR_ATTR] = results_dir
    return check_problems(rows, problems, strict=strict, stacklevel=5)


def check_problems(
    rows: DataFrame, problems: list[Problem], *, strict: bool, stacklevel: int
) -> Any:
    """Returns the table and its problems; with ``strict`` a problem is an error.

    Minor problems are one warning: a wrapper around the CLI that prints a banner must not hide
    the figures of all sessions.
    """
    set_html(rows)
    if not strict:
        return rows, problems
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    for problem in problems:
        if not problem.is_minor:
            raise SessionNotUsable(f"can't read {problem}{more}; strict=False leaves it out")
    if problems:
        text = f"left out of the table: {problems[0]}{more}; strict=False returns them"
        warnings.warn(visible_line(text), stacklevel=stacklevel)
    return rows
