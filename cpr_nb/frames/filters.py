"""Which sessions and tasks a table is about."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from cpr_nb.frames.session_rows import CREATED, START, SessionIndex
from cpr_nb.model import states as words
from cpr_nb.model.errors import InputError
from cpr_nb.model.record import task_state
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso

Since = datetime | timedelta | str
States = str | Iterable[str]

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w|(?:second|minute|hour|day|week)s?)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

#: What a task can be in: its state, and how it ended.
TASK_STATES = tuple(dict.fromkeys((*words.TASK_STATES, *words.OUTCOMES)))


def filter_sessions(heads: SessionIndex, since: Since | None, name: str | None) -> SessionIndex:
    """The sessions that fit.

    Args:
        heads: All sessions.
        since: Only those launched since.
        name: Only those of this name; ``*`` and ``?`` stand for any characters.

    Raises:
        InputError: If ``since`` can't be right.
    """
    fits = [True] * len(heads.names)
    if since is not None:
        after_s = parse_since_s(since)
        starts = heads.rows[START].to_numpy("int64", na_value=0).tolist()
        pairs = zip(heads.rows[CREATED].tolist(), starts, strict=True)
        fits = [_created_s(created_at, start_s) >= after_s for created_at, start_s in pairs]
    if name is not None:
        called = [_matches_name(found, name) for found in heads.rows["name"].tolist()]
        fits = [fit and call for fit, call in zip(fits, called, strict=True)]
    return heads.taken(np.flatnonzero(np.array(fits, dtype=bool)))


def _matches_name(name: object, wanted: str) -> bool:
    return isinstance(name, str) and (name == wanted or fnmatchcase(name, wanted))


def _created_s(created_at: object, start_s: int) -> float:
    """When a session was launched, in seconds since the epoch; before all others if unknown."""
    known = parse_iso(created_at)
    return known if known is not None else start_s


def parse_since_s(since: Since) -> float:
    """A moment in seconds since the epoch.

    Args:
        since: A moment (without a zone: local time), or how long ago: ``timedelta(days=1)``,
            ``"2d"``, ``"90min"``, ``"2026-11-20"``, ``"2026-11-20T08:00Z"``.

    Raises:
        InputError: If it is neither.

    Example:
        >>> moment_s("1970-01-02T00:00Z")
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


def parse_states(states: States | None, known: tuple[str, ...]) -> frozenset[str] | None:
    """The states that are asked for; None for all.

    Raises:
        InputError: If one of them is none.

    Example:
        >>> sorted(chosen_words("failed", TASK_WORDS))
        ['failed']
    """
    if states is None:
        return None
    try:
        wanted = [states] if isinstance(states, str) else list(states)
    except TypeError:
        wanted = [str(states)]
    strange = [str(word) for word in wanted if word not in known]
    if strange:
        raise InputError(f"states: {', '.join(strange)}: must be among {', '.join(known)}")
    return frozenset(wanted)


def filter_tasks(
    snapshot: Snapshot, wanted: frozenset[str] | None, index: int | None = None
) -> list[tuple[int, dict[str, Any]]]:
    """The tasks of a session that fit: number from 0, fields."""
    return [
        (number, task)
        for number, task in enumerate(snapshot.tasks or ())
        if (index is None or number == index)
        and (wanted is None or not wanted.isdisjoint(task_state(task)))
    ]
