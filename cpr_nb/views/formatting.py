"""A session and its tasks in words and figures, the same in the terminal and in a notebook."""

from __future__ import annotations

import os

from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store.read import Snapshot
from cpr_nb.views.rows import session_duration_s, task_duration_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: State or outcome → its symbol and its tone: told by shape and word, a colour only helps.
LOOKS = {
    states.SUCCEEDED: ("✓", "ok"),
    states.FAILED: ("✕", "bad"),
    states.TIMED_OUT: ("✕", "bad"),
    states.LOST: ("✕", "bad"),
    states.CANCELLED: ("–", "mute"),
    states.SKIPPED: ("–", "mute"),
    states.RUNNING: ("◐", "run"),
    states.RETRYING: ("◐", "warn"),
    states.PENDING: ("○", "mute"),
    states.STARTING: ("◐", "run"),
    states.WAITING: ("◔", "warn"),
    states.PAUSED: ("‖", "warn"),
    states.COMPLETED: ("●", "plain"),
    states.INTERRUPTED: ("✕", "bad"),
    states.ERROR: ("✕", "bad"),
    states.STALE: ("?", "warn"),
    states.UNREADABLE: ("?", "warn"),
}
#: The counters of a session, in the order of its bar; those that are shown when they are 0 too.
COUNTERS = (
    states.SUCCEEDED,
    states.FAILED,
    states.CANCELLED,
    states.SKIPPED,
    states.RUNNING,
    states.PENDING,
)
ALWAYS_SHOWN = (states.SUCCEEDED, states.RUNNING, states.PENDING)


def clock(duration_s: float | None) -> str:
    """A duration: 0:07, 6:20, 1:12:04.

    Example:
        >>> clock(380)
        '6:20'
    """
    if duration_s is None:
        return ""
    minutes, seconds = divmod(int(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def usd(cost_usd: object) -> str:
    """A cost; it is always the CLI's own estimate.

    Example:
        >>> usd(0.912)
        'USD 0.91 estimate'
    """
    if not isinstance(cost_usd, int | float):
        return ""
    digits = 4 if 0 < cost_usd < 0.005 else 2
    return f"USD {cost_usd:.{digits}f} estimate"


def cost(head: dict[str, Any]) -> str:
    """What a session or task has cost, and what of it is not known.

    Example:
        >>> cost({"cost_usd": 0.912, "n_unknown_costs": 2})
        'USD 0.91 estimate and 2 attempts that ended before they told their cost'
    """
    known, n_unknown = usd(head.get("cost_usd")), head.get("n_unknown_costs")
    if not isinstance(n_unknown, int) or not n_unknown:
        return known
    attempts = "an attempt" if n_unknown == 1 else f"{n_unknown} attempts"
    unknown = f"{attempts} that ended before {'it' if n_unknown == 1 else 'they'} told "
    unknown += "its cost" if n_unknown == 1 else "their cost"
    return f"{known} and {unknown}" if known else f"{unknown}"


def tokens(head: dict[str, Any]) -> int:
    """All tokens of a session or task."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(value for name in names if isinstance(value := head.get(name), int))


def short_count(count: int) -> str:
    """A large number in three figures or so.

    Example:
        >>> short_count(412_345)
        '412k'
    """
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}" if count < 10 * limit else f"{count // limit}{unit}"
    return str(count)


def short_path(path: str) -> str:
    """A path with ``~`` for the home folder."""
    home = os.path.expanduser("~")
    return f"~{path.removeprefix(home)}" if path.startswith(home + "/") else path


def figures(snapshot: Snapshot) -> list[str]:
    """Cost, tokens, time, how long it will take, how many at once: those that are known."""
    head = snapshot.head
    n_tokens = tokens(head)
    told = [
        cost(head),
        f"{short_count(n_tokens)} tokens" if n_tokens else "",
        clock(session_duration_s(snapshot)),
    ]
    if snapshot.state == states.RUNNING:
        limit = head.get("max_parallel") or "all"
        told += [_left(snapshot), f"{snapshot.count('n_running')} of {limit} at once"]
    return [figure for figure in told if figure]


def _left(snapshot: Snapshot) -> str:
    """How long it will take, once enough tasks have ended to say so."""
    ended = [
        task_duration_s(task) or 0.0
        for task in snapshot.tasks or ()
        if task_state(task)[1] == states.SUCCEEDED
    ]
    n_left = snapshot.count("n_pending") + snapshot.count("n_running")
    if len(ended) < 2 or not n_left:
        return ""
    at_once = min(n_left, snapshot.count("max_parallel") or n_left)
    left_s = sum(ended) / len(ended) * n_left / at_once
    return f"about {left_s / 60:.0f} min left" if left_s > 90 else f"about {left_s:.0f} s left"


def on_one_line(snapshot: Snapshot) -> str:
    """A session as a handle on it is printed."""
    head = snapshot.head
    name = f" {head['name']}" if head.get("name") else ""
    counts = ", ".join(
        f"{snapshot.count(f'n_{word}')} {word}" for word in COUNTERS if snapshot.count(f"n_{word}")
    )
    cost_usd = head.get("cost_usd")
    spent = f", USD {cost_usd:.2f} estimate" if isinstance(cost_usd, int | float) else ""
    what = f"{snapshot.session_id[:8]}{name} {snapshot.state}"
    return f"<Session {what}: {head.get('total', 0)} tasks, {counts}{spent}>"
