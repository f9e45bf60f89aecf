"""The chips that filter the live view: which states each of them shows."""

from __future__ import annotations

from cpr_nb.model import states

#: Of tasks: the name, the states that it shows, whether it is shown at zero.
TASK_GROUPS = (
    (states.SUCCEEDED, (states.SUCCEEDED,), True),
    (states.FAILED, tuple(states.FAILURES), False),
    (states.CANCELLED, (states.CANCELLED,), False),
    (states.SKIPPED, (states.SKIPPED,), False),
    (states.RUNNING, (states.RUNNING, states.RETRYING), True),
    (states.ASKING, (states.ASKING,), False),
    (states.PENDING, (states.PENDING,), True),
)
#: Of sessions.
SESSION_GROUPS = (
    (states.RUNNING, (states.STARTING, states.RUNNING), True),
    (states.PLANNED, (states.PLANNED,), False),
    (states.WAITING, (states.WAITING,), False),
    (states.PAUSED, (states.PAUSED,), False),
    (states.UNREACHABLE, (states.UNREACHABLE,), False),
    (states.INTERRUPTED, (states.INTERRUPTED, states.STALE), False),
    (states.COMPLETED, (states.COMPLETED,), True),
    (states.CANCELLED, (states.CANCELLED,), False),
    (states.IMPORTED, (states.IMPORTED,), False),
    (states.ERROR, (states.ERROR, states.UNREADABLE), False),
)
#: Of the groups of tasks, those that a retry runs again, and those that a cancel ends.
RETRYABLE = (states.FAILED, states.CANCELLED, states.SKIPPED)
UNFINISHED = (states.RUNNING, states.ASKING, states.PENDING)
