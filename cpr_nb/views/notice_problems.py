"""The notices of a session that were not sent, as lines that every interface shows."""

from __future__ import annotations

import fcntl
import os

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, text_or_none
from cpr_nb.model.quick_json import loads
from cpr_nb.model.text import one_line
from cpr_nb.store.files import is_locked, open_regular, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.layout import SessionPaths
    from cpr_nb.store.read import Snapshot

#: The last line of a notice's file is one of these once nothing more is to be done.
_OVER = ("sent", "gave_up", "not_needed")


def notice_warnings(snapshot: Snapshot, program: str = "cpr") -> list[str]:
    """The notices that were given up, or whose sender was ended, one line each.

    Args:
        snapshot: The session.
        program: How the command is called here.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> from cpr_nb.store.read import Snapshot
        >>> notice_warnings(Snapshot(SessionPaths("/r/session-1"), {}, [], "completed"))
        []
    """
    paths = snapshot.paths
    given_up = [line for kind in _kinds(paths) if (line := _problem(kind, _last(paths, kind)))]
    send = f"{program} resume {snapshot.short_id} sends it"
    open_lines = [f"the notice {kind} was not sent: {send}" for kind in unsent_notices(snapshot)]
    return [*given_up, *open_lines]


def unsent_notices(snapshot: Snapshot) -> list[str]:
    """The notices of a session that has ended which nobody sends any more.

    Args:
        snapshot: The session.
    """
    paths = snapshot.paths
    if not snapshot.head.get("notices") or snapshot.state not in states.ENDED_STATES:
        return []
    kinds = [kind for kind in _kinds(paths) if _last(paths, kind).get("event") not in _OVER]
    # A runner that has just written the end may still start what sends them.
    if not kinds or is_locked(paths):
        return []
    return [kind for kind in kinds if not _is_at_work(paths.notice(kind))]


def _kinds(paths: SessionPaths) -> list[str]:
    try:
        names = sorted(os.listdir(paths.notices))
    except OSError:
        return []
    return [name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl")]


def _problem(kind: str, last: dict[str, Any]) -> str:
    if last.get("event") != "gave_up":
        return ""
    why = text_or_none(last.get("error")) or "unknown"
    tries = f" ({n} tries)" if (n := integer(last.get("n_tries")) or 1) > 1 else ""
    return one_line(f"the notice {kind} was not sent: {why}{tries}")


def _last(paths: SessionPaths, kind: str) -> dict[str, Any]:
    """The last whole line of a notice's file; empty if there is none."""
    try:
        lines = read_file(paths.notice(kind)).split(b"\n")
        last = loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return last if isinstance(last, dict) else {}


def _is_at_work(path: str) -> bool:
    """Whether a program holds the lock of a notice's file, which it does while it sends."""
    try:
        with open_regular(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
