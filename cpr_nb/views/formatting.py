"""A session and its tasks in words and figures, the same in the terminal and in a notebook."""

from __future__ import annotations

import os

from cpr_nb.model import states
from cpr_nb.model.text import visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.read import Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: State or outcome → its symbol and tone. Shape and word say it; the colour only helps.
STATE_STYLES = {
    states.SUCCEEDED: ("✓", "ok"),
    states.FAILED: ("✕", "bad"),
    states.TIMED_OUT: ("✕", "bad"),
    states.LOST: ("✕", "bad"),
    states.CANCELLED: ("–", "mute"),
    states.SKIPPED: ("–", "mute"),
    states.RUNNING: ("◐", "run"),
    states.RETRYING: ("◐", "warn"),
    states.ASKING: ("◆", "warn"),
    states.PENDING: ("○", "mute"),
    states.PLANNED: ("◌", "mute"),
    states.STARTING: ("◐", "run"),
    states.WAITING: ("◔", "warn"),
    states.PAUSED: ("‖", "warn"),
    states.UNREACHABLE: ("?", "warn"),
    states.COMPLETED: ("●", "plain"),
    states.IMPORTED: ("●", "plain"),
    states.INTERRUPTED: ("✕", "bad"),
    states.ERROR: ("✕", "bad"),
    states.STALE: ("?", "warn"),
    states.UNREADABLE: ("?", "warn"),
}
#: The states and outcomes whose tasks a session counts, in the order of its bar.
COUNTED_STATES = (
    states.SUCCEEDED,
    states.FAILED,
    states.CANCELLED,
    states.SKIPPED,
    states.RUNNING,
    states.PENDING,
)
ALWAYS_SHOWN = (states.SUCCEEDED, states.RUNNING, states.PENDING)


def plural(count: int, noun: str) -> str:
    """Returns a number and its noun.

    Example:
        >>> plural(1, "task"), plural(2, "task")
        ('1 task', '2 tasks')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def clock(duration_s: float | None) -> str:
    """Returns a duration as text: 0:07, 6:20, 1:12:04.

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
    """Returns a cost as text; it is always the CLI's own estimate.

    Example:
        >>> usd(0.912)
        'USD 0.91 estimate'
    """
    return f"{usd_amount(cost_usd)} estimate" if isinstance(cost_usd, int | float) else ""


def usd_amount(cost_usd: float) -> str:
    """Returns a cost without the word that it is an estimate.

    Example:
        >>> usd_amount(0.912), usd_amount(0.0012)
        ('USD 0.91', 'USD 0.0012')
    """
    return f"USD {amount(cost_usd)}"


def amount(cost_usd: float) -> str:
    """Returns a cost in USD as a cell of a table.

    Example:
        >>> amount(0.912), amount(0.0012)
        ('0.91', '0.0012')
    """
    digits = 4 if 0 < cost_usd < 0.005 else 2
    return f"{cost_usd:.{digits}f}"


def cost(head: dict[str, Any]) -> str:
    """Returns what a session or task has cost, and of how many attempts the cost is unknown.

    Example:
        >>> cost({"cost_usd": 0.912, "n_unknown_costs": 2})
        'USD 0.91 estimate, cost of 2 attempts unknown'
    """
    amount, unknown = usd(head.get("cost_usd")), unknown_costs(head.get("n_unknown_costs"))
    return ", ".join(text for text in (amount, unknown) if text)


def unknown_costs(n_unknown: object) -> str:
    """Returns of how many attempts the cost is unknown; empty if of none."""
    if not isinstance(n_unknown, int) or not n_unknown:
        return ""
    return f"cost of {plural(n_unknown, 'attempt')} unknown"


def total_tokens(head: dict[str, Any]) -> int:
    """Returns all tokens of a session or task."""
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return sum(value for name in names if isinstance(value := head.get(name), int))


def short_count(count: int) -> str:
    """Returns a large number in about three digits.

    Example:
        >>> short_count(412_345)
        '412k'
    """
    for limit, unit in ((1_000_000, "M"), (1_000, "k")):
        if count >= limit:
            return f"{count / limit:.1f}{unit}" if count < 10 * limit else f"{count // limit}{unit}"
    return str(count)


def short_path(path: str) -> str:
    """Returns a path with ``~`` for the home folder."""
    home = os.path.expanduser("~")
    return f"~{path.removeprefix(home)}" if path.startswith(home + "/") else path


def at_once(snapshot: Snapshot) -> str:
    """Returns how many tasks run, how many may, and why it is that number if nobody has set it."""
    now, most = snapshot.count("parallel_now"), snapshot.count("max_parallel")
    of_limit = f" of {now or most}" if now or most else ""
    why = snapshot.head.get("parallel_why") if now else None
    because = f" ({visible_line(why)}; at most {most})" if isinstance(why, str) else ""
    return f"{snapshot.count('n_running')}{of_limit} at once{because}"


def reused(snapshot: Snapshot) -> str:
    """Returns how many further rows its table has from other sessions; empty if none."""
    n_reused = snapshot.count("n_reused")
    return f"{n_reused} reused" if n_reused else ""


def session_line(snapshot: Snapshot) -> str:
    """Returns a session as its handle is printed."""
    head = snapshot.head
    name = f" {head['name']}" if head.get("name") else ""
    counts = ", ".join(
        f"{snapshot.count(f'n_{state}')} {state}"
        for state in COUNTED_STATES
        if snapshot.count(f"n_{state}")
    )
    cost_usd = head.get("cost_usd")
    spent = f", USD {cost_usd:.2f} estimate" if isinstance(cost_usd, int | float) else ""
    session = f"{snapshot.session_id[:8]}{name} {snapshot.state}"
    if read_marks().is_foreign(head, snapshot.session_id):
        session += ", foreign"
    parts = [plural(head.get("total", 0), "task"), counts, reused(snapshot)]
    return visible_line(f"<Session {session}: {', '.join(filter(None, parts))}{spent}>")
