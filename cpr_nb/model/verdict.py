"""Which ends of tasks say something about the task, and which only about the machine."""

from __future__ import annotations

from cpr_nb.model import states

#: A task that failed for one of these reasons was let down by what it ran on: the network, an
#: account, a machine. What it would have done is not known.
INFRASTRUCTURE = (
    "api_error",
    "auth",
    "changed",
    "forbidden",
    "internal",
    "machine",
    "network",
    "no_first_byte",
    "overloaded",
    "parent_failed",
    "rate_limit",
    "setup_failed",
    "setup_refused",
    "signal",
    "spawn",
    "usage_error",
    "vanished",
    "worktree",
)
#: A rule of the session has left these tasks out, or ended them early: they are no failures.
_BY_RULE = ("decided", "not_needed", "pilot")


def has_verdict(outcome: str | None, reason: str | None) -> bool:
    """Whether an end counts in a comparison: as a success or as a failure.

    The others are missing values: the network was away, somebody cancelled the task, or it has not
    run at all.

    Args:
        outcome: One of `cpr_nb.model.states.OUTCOMES`; None before the end.
        reason: One of `cpr_nb.model.states.REASONS`.

    Example:
        >>> has_verdict("failed", "check_failed"), has_verdict("failed", "overloaded")
        (True, False)
    """
    if outcome == states.SUCCEEDED:
        return True
    return outcome in (states.FAILED, states.TIMED_OUT) and reason not in INFRASTRUCTURE


def is_left_out(reason: object) -> bool:
    """Whether a task ended because a rule of its session says that it need not run.

    Args:
        reason: What status.json says of it, which may be anything.

    Example:
        >>> is_left_out("pilot"), is_left_out("check_failed"), is_left_out([])
        (True, False, False)
    """
    return reason in _BY_RULE
