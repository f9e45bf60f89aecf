"""The table of the events of all sessions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any, Literal, overload

from cpr_nb.frames import filters
from cpr_nb.frames.columns import RESULTS_DIR_ATTR, DataFrame
from cpr_nb.frames.event_filter import EventFilter, add_filtered_events, parse_event_filter
from cpr_nb.frames.filters import Since, States
from cpr_nb.frames.gather import GatheredTable, gather, gather_uncached
from cpr_nb.frames.queries import Folder, check_problems
from cpr_nb.frames.session_rows import SessionIndex, read_session_index
from cpr_nb.frames.streams import Problem
from cpr_nb.model.public import public
from cpr_nb.store import catalog


@overload
def events_df(
    results_dir: Folder | None = ...,
    *,
    states: States | None = ...,
    since: Since | None = ...,
    name: str | None = ...,
    columns: str | Iterable[str] | None = ...,
    types: str | Iterable[str] | None = ...,
    tail: int | None = ...,
    full: bool = ...,
    strict: Literal[True] = ...,
) -> DataFrame: ...
@overload
def events_df(
    results_dir: Folder | None = ...,
    *,
    states: States | None = ...,
    since: Since | None = ...,
    name: str | None = ...,
    columns: str | Iterable[str] | None = ...,
    types: str | Iterable[str] | None = ...,
    tail: int | None = ...,
    full: bool = ...,
    strict: Literal[False],
) -> tuple[DataFrame, list[Problem]]: ...
@public
def events_df(
    results_dir: Folder | None = None,
    *,
    states: States | None = None,
    since: Since | None = None,
    name: str | None = None,
    columns: str | Iterable[str] | None = None,
    types: str | Iterable[str] | None = None,
    tail: int | None = None,
    full: bool = False,
    strict: bool = True,
) -> Any:
    """One row per content block of a stream, or per event without any; every attempt, in order.

    With ``columns``, ``types`` or ``tail``, time and memory are those of what is asked for:
    ``tail`` reads only the end of each stream.

    Args:
        results_dir: The results directory, if it is not the default one.
        states: Only tasks in this state or with this outcome, or in one of these.
        since: Only sessions launched since: a moment (without a zone: local time), or how long
            ago (a timedelta, ``"2d"``, ``"90min"``).
        name: Only sessions with this name; ``*`` and ``?`` stand for any characters.
        columns: Only this column, or these, in this order.
        types: Only events of this type, or of these, such as ``"result"``.
        tail: Only so many rows of each attempt, the last ones. Where the stream's beginning was
            not read, ``seq`` and ``result_index`` are missing, and so is the ``tool`` of an output
            whose call came before.
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
        >>> df = cpr.events_df(types="result", columns=["task_id", "text"])  # doctest: +SKIP
    """
    event_filter = parse_event_filter(columns, types, tail)
    task_states = filters.parse_states(states, filters.SELECTABLE_STATES)
    sessions = read_session_index(catalog.results_dir(results_dir, os.environ))
    selected = filters.filter_sessions(sessions, since, name)
    is_complete = since is None and name is None
    table, problems = _gather(selected, task_states, event_filter, is_complete=is_complete)
    if selected.names:
        table.attrs[RESULTS_DIR_ATTR] = selected.directory
    return check_problems(table, problems, strict=strict, stacklevel=3)


def _gather(
    sessions: SessionIndex,
    task_states: frozenset[str] | None,
    event_filter: EventFilter | None,
    *,
    is_complete: bool,
) -> GatheredTable:
    if event_filter is None:
        return gather(sessions, "events_df", task_states, is_complete=is_complete)
    add = partial(add_filtered_events, event_filter=event_filter)
    return gather_uncached(sessions, task_states, event_filter.table_columns, add)
