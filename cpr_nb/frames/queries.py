"""The tables of all sessions of a results directory, and of one session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, cast, overload

import numpy as np

from cpr_nb.frames import filters
from cpr_nb.frames.builder import TableBuilder
from cpr_nb.frames.columns import RESULTS_DIR_ATTR, DataFrame, table
from cpr_nb.frames.filters import Since, States
from cpr_nb.frames.gather import gather, unreadable
from cpr_nb.frames.session_rows import SessionIndex, read_session_index
from cpr_nb.frames.stream_cache import STREAM_CACHE
from cpr_nb.frames.streams import Problem, TaskSelection, list_streams
from cpr_nb.frames.tables import TABLES
from cpr_nb.frames.tasks import add_session, table_columns
from cpr_nb.model import states as words
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.public import public
from cpr_nb.store import catalog
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot
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
    """What a type checker sees of a function that makes a table."""
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
    """A row a session, the newest first; those that can't be read are ``unreadable``.

    Args:
        results_dir: The results directory, if it isn't the usual one.
        states: Only sessions in this state, or in one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions of this name; ``*`` and ``?`` stand for any characters.
        full: All columns, not only the usual ones.
        strict: False also returns why sessions can't be read.

    Returns:
        The table; with ``strict=False`` the table and a list of `Problem`.

    Raises:
        InputError: If a filter can't be right.
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> len(cpr.sessions_df("/none", since="2d"))
        0
    """
    wanted = filters.parse_states(states, words.SESSION_STATES)
    heads = read_session_index(catalog.results_dir(results_dir, os.environ), full=full)
    heads = filters.filter_sessions(heads, since, name)
    if wanted is not None:
        heads = heads.taken(np.flatnonzero(heads.rows["state"].isin(wanted)))
    # An unreadable session lacks nothing here: it has its row, which says so.
    made = heads.rows[[column.name for column in table_columns("sessions_df", full=full)]]
    return made if strict else (made, list(_session_problems(heads)))


def _session_problems(heads: SessionIndex) -> Iterator[Problem]:
    for name in heads.names:
        if name in heads.unreadable:
            root, session_id = f"{heads.directory}/{name}", name.removeprefix(SESSION_PREFIX)
            yield Problem(session_id, None, root, heads.unreadable[name])


def _all_sessions(name: str, doc: str) -> TableFunction:
    """The function that makes a table of the tasks of all sessions."""

    def function(
        results_dir: Folder | None = None,
        *,
        states: States | None = None,
        since: Since | None = None,
        name: str | None = None,
        full: bool = False,
        strict: bool = True,
    ) -> Any:
        wanted = filters.parse_states(states, filters.TASK_STATES)
        heads = read_session_index(catalog.results_dir(results_dir, os.environ))
        chosen = filters.filter_sessions(heads, since, name)
        everything = since is None and name is None
        table, problems = gather(chosen, table_name, wanted, full=full, everything=everything)
        if chosen.names:
            table.attrs[RESULTS_DIR_ATTR] = heads.directory
        return _check_problems(table, problems, strict=strict)

    table_name = name
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{TABLES[name].doc}

    {doc}

    Args:
        results_dir: The results directory, if it isn't the usual one.
        states: Only tasks in this state or with this outcome, or one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions of this name; ``*`` and ``?`` stand for any characters.
        full: All columns, not only the usual ones.
        strict: Whether what can't be read is an error.

    Returns:
        The table; with ``strict=False`` the table of what can be read, and a list of `Problem`.

    Raises:
        InputError: If a filter can't be right.
        SessionNotUsable: If something can't be read, unless ``strict=False``.
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> df = cpr.{name}(since="2d")  # doctest: +SKIP
    """
    return _typed(function)


tasks_df = _all_sessions("tasks_df", "Costs are the CLI's own estimate at list price.")
events_df = _all_sessions("events_df", "What every attempt has written so far, in its order.")
tool_calls_df = _all_sessions("tool_calls_df", "Of every attempt, in the order of the calls.")
denials_df = _all_sessions("denials_df", "What to allow so that the agents can do their work.")
usage_df = _all_sessions("usage_df", "Costs are the CLI's own estimate at list price.")


# -- one session ----------------------------------------------------------------------------


def build_session_table(snapshot: Snapshot, *, full: bool = False, strict: bool = True) -> Any:
    """`sessions_df` of one session."""
    made = table([session_row(snapshot, full=full)], table_columns("sessions_df", full=full))
    problems = [unreadable(snapshot)] if snapshot.state == words.UNREADABLE else []
    return made if strict else (made, problems)


def build_task_table(
    name: str,
    snapshots: Iterable[Snapshot],
    *,
    index: int | None = None,
    states: States | None = None,
    full: bool = False,
    strict: bool = True,
) -> Any:
    """A table of the tasks of some sessions; what was read of a stream is not read again.

    Args:
        name: Which table: a key of `TABLES`.
        snapshots: The sessions, with their tasks.
        index: Only this task, from 0.
        states: Only tasks in one of these states, or with one of these outcomes.
        full: All columns.
        strict: Whether what can't be read is an error.

    Returns:
        The table; with ``strict=False`` the table and a list of `Problem`.

    Raises:
        InputError: If ``states`` can't be right.
        SessionNotUsable: If something can't be read, unless ``strict=False``.
    """
    wanted = filters.parse_states(states, filters.TASK_STATES)
    problems: list[Problem] = []
    builder = TableBuilder(table_columns(name, full=full))
    place = None
    for snapshot in snapshots:
        place = str(Path(snapshot.paths.root).parent)
        if snapshot.state == words.UNREADABLE:
            problems.append(unreadable(snapshot))
        tasks = filters.filter_tasks(snapshot, wanted, index)
        view = TaskSelection(
            snapshot, tasks, list_streams(snapshot.paths.root), problems, STREAM_CACHE
        )
        add_session(builder, name, view, full=full)
    made = builder.frame()
    if place is not None:
        made.attrs[RESULTS_DIR_ATTR] = place
    return _check_problems(made, problems, strict=strict)


def _check_problems(made: DataFrame, problems: list[Problem], *, strict: bool) -> Any:
    """The table, and what it lacks; or an error if it may lack nothing."""
    if not strict:
        return made, problems
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SessionNotUsable(f"can't read {problems[0]}{more}; strict=False leaves it out")
    return made
