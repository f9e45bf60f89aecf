"""Filters: which sessions and tasks a table is about."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from cpr_nb.frames.session_rows import CREATED, START, SessionIndex
from cpr_nb.model import states as model_states
from cpr_nb.model.errors import InputError
from cpr_nb.model.record import task_state
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso

Since = datetime | timedelta | str
States = str | Iterable[str]

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|(?:second|minute|hour|day|week)s?)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

#: The states that select tasks: states and outcomes.
SELECTABLE_STATES = tuple(dict.fromkeys((*model_states.TASK_STATES, *model_states.OUTCOMES)))


def filter_sessions(sessions: SessionIndex, since: Since | None, name: str | None) -> SessionIndex:
    """Selects sessions.

    Args:
        sessions: All sessions.
        since: Only those launched since.
        name: Only those with this name; ``*`` and ``?`` stand for any characters.

    Raises:
        InputError: If ``since`` is neither a moment nor a duration.
    """
    is_selected = [True] * len(sessions.names)
    if since is not None:
        since_s = parse_since_s(since)
        starts = sessions.rows[START].to_numpy("int64", na_value=0).tolist()
        pairs = zip(sessions.rows[CREATED].tolist(), starts, strict=True)
        is_selected = [_created_s(created_at, start_s) >= since_s for created_at, start_s in pairs]
    if name is not None:
        matches = [_matches(value, name) for value in sessions.rows["name"].tolist()]
        is_selected = [a and b for a, b in zip(is_selected, matches, strict=True)]
    return sessions.select(np.flatnonzero(np.array(is_selected, dtype=bool)))


def _matches(name: object, pattern: str) -> bool:
    return isinstance(name, str) and (name == pattern or fnmatchcase(name, pattern))


def _created_s(created_at: object, start_s: int) -> float:
    """When a session was launched, in seconds since the epoch."""
    created_s = parse_iso(created_at)
    return created_s if created_s is not None else start_s


def parse_since_s(since: Since) -> float:
    """Parses a moment, or how long ago it was, as seconds since the epoch.

    Args:
        since: A moment (without a zone: local time), or how long ago: ``timedelta(days=1)``,
            ``"2d"``, ``"90min"``, ``"2026-11-20"``, ``"2026-11-20T08:00Z"``.

    Raises:
        InputError: If it is neither.

    Example:
        >>> parse_since_s("1970-01-02T00:00Z")
        86400.0
    """
    try:
        if isinstance(since, str):
            return _parse_text_s(since.strip())
        if isinstance(since, timedelta):
            return time.time() - since.total_seconds()
        if isinstance(since, datetime):
            return since.timestamp()  # a naive one is in local time, as everywhere in Python
    except (ValueError, OverflowError, OSError):
        pass
    raise InputError(
        f"since: {since!r} is neither a moment (a datetime, '2026-11-20', '2026-11-20T08:00') "
        "nor how long ago (a timedelta, '2d', '90min')"
    )


def _parse_text_s(text: str) -> float:
    ago = _AGO.fullmatch(text.lower())
    if ago is None:
        return datetime.fromisoformat(text).timestamp()
    return time.time() - float(ago[1]) * _UNIT_S[ago[2][0]]


def parse_states(states: States | None, allowed: tuple[str, ...]) -> frozenset[str] | None:
    """Checks the states that select rows; None stands for all.

    Args:
        states: One state, or several.
        allowed: The states that exist.

    Raises:
        InputError: If one of them does not exist.

    Example:
        >>> sorted(parse_states("failed", SELECTABLE_STATES))
        ['failed']
    """
    if states is None:
        return None
    try:
        selected = [states] if isinstance(states, str) else list(states)
    except TypeError:
        selected = [str(states)]
    unknown = [str(state) for state in selected if state not in allowed]
    if unknown:
        raise InputError(f"states: {', '.join(unknown)}: must be among {', '.join(allowed)}")
    return frozenset(selected)


def filter_tasks(
    snapshot: Snapshot, states: frozenset[str] | None, index: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """Selects tasks of a session: the number (from 0) and the fields of each."""
    return [
        (number, task)
        for number, task in enumerate(snapshot.tasks or ())
        if (index is None or number == index)
        and (states is None or not states.isdisjoint(task_state(task)))
    ]
