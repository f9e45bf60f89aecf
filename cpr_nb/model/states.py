"""The words for states, outcomes and reasons, the same in every interface.

A *session* state is derived by a reader (see ``cpr_nb.store.read``), a *task* state is
written by the runner. An ended task has an *outcome*, and every outcome has a *reason*.
"""

from __future__ import annotations

# -- sessions -------------------------------------------------------------------------------
#: It starts when the sessions have ended whose answers it is about.
PLANNED = "planned"
STARTING = "starting"
RUNNING = "running"
WAITING = "waiting"
PAUSED = "paused"
UNREACHABLE = "unreachable"
INTERRUPTED = "interrupted"
COMPLETED = "completed"
CANCELLED = "cancelled"
ERROR = "error"
#: It ran in another tool, whose log was imported.
IMPORTED = "imported"
STALE = "stale"
UNREADABLE = "unreadable"

SESSION_STATES = (
    PLANNED,
    STARTING,
    RUNNING,
    WAITING,
    PAUSED,
    UNREACHABLE,
    INTERRUPTED,
    COMPLETED,
    CANCELLED,
    ERROR,
    IMPORTED,
    STALE,
    UNREADABLE,
)
#: A session in one of these states has a runner.
LIVE_STATES = (STARTING, RUNNING, WAITING, PAUSED)
#: A session in one of these states has a runner, may have one on another machine, or will have one.
FOLLOWED_STATES = (PLANNED, *LIVE_STATES, UNREACHABLE)
#: A session in one of these states no longer changes unless someone retries or resumes
#: it.
ENDED_STATES = (COMPLETED, CANCELLED, ERROR, IMPORTED)

# -- tasks ----------------------------------------------------------------------------------
PENDING = "pending"
RETRYING = "retrying"
#: Only shown: a running task with an open question.
ASKING = "asking"
ENDED = "ended"

TASK_STATES = (PENDING, RUNNING, RETRYING, ENDED)

# -- outcomes of ended tasks ----------------------------------------------------------------
SUCCEEDED = "succeeded"
FAILED = "failed"
TIMED_OUT = "timed_out"
SKIPPED = "skipped"
LOST = "lost"

OUTCOMES = (SUCCEEDED, FAILED, TIMED_OUT, CANCELLED, SKIPPED, LOST)
#: These outcomes count as ``n_failed``.
FAILURES = (FAILED, TIMED_OUT, LOST)

# -- nodes of a session that runs on several machines ---------------------------------------
LIVE = "live"
SILENT = "silent"
#: It ends its tasks, takes no more, and goes.
LEAVING = "leaving"
#: Its CLI is not logged in, so it takes no tasks.
NO_LOGIN = "no_login"
REFUSED = "refused"
LEFT = "left"

#: `LOST` is a node whose tasks have moved to others.
NODE_STATES = (LIVE, SILENT, LEAVING, NO_LOGIN, REFUSED, LEFT, LOST)
#: A node in one of these states may run tasks.
CONNECTED_STATES = (LIVE, SILENT, LEAVING, NO_LOGIN)

# -- notices, by the options that ask for them ------------------------------------------------
ON_DONE, ON_FAILED, ON_WAITING = "on_done", "on_failed", "on_waiting"
NOTICES = (ON_DONE, ON_FAILED, ON_WAITING)
#: The value for none, even if the user's own settings ask for one.
NO_NOTICE = "off"
#: What a session waits for whose agent asks, in a notice, beside the kinds of limits.
QUESTION = "question"

REASONS = (
    "completed",
    "max_turns",
    "budget",
    "api_error",
    "rate_limit",
    "overloaded",
    "network",
    "auth",
    "forbidden",
    "prompt_too_long",
    "refusal",
    "max_tokens",
    "no_answer",
    "no_structure",
    "bad_structure",
    "denied",
    "check_failed",
    "setup_failed",
    "setup_refused",
    "worktree",
    "timeout",
    "no_first_byte",
    "silence",
    "signal",
    "spawn",
    "machine",
    "changed",
    "usage_error",
    "parent_failed",
    "decided",
    "not_needed",
    "pilot",
    "cancelled",
    "vanished",
    "internal",
    "unknown",
)
