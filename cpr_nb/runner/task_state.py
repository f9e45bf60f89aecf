"""What the state machine knows of a task: its plan, its attempt, its past."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.runner.messages import OutputPolled

PENDING, PREPARING, STARTING, RUNNING, STOPPING, RESTING, CHECKING, HARVESTING, ENDED = range(9)

CANCELLED = Outcome(states.CANCELLED, "cancelled")


class TaskPlan:
    """What the machine must know of what was asked.

    Args:
        timeout_s: Longest run time of an attempt in seconds, or None.
        silence_s: Longest time without an event and without a running tool, or None.
        first_byte_s: Longest time until it writes anything, or None.
        schema: Whether an answer needs a structure.
        attempts: How many attempts it may have when one fails for a reason that passes.
        check: Whether the user has a check of their own.
        check_timeout_s: Longest run time of that check, or None.
        fail_on_denied: Whether a denied tool call makes it fail.
        setup_timeout_s: Longest time to make its checkout ready, or None.
        worktree: Whether it has a checkout of its own, made before it starts and harvested
            after it has ended.
    """

    __slots__ = (
        "attempts",
        "check",
        "check_timeout_s",
        "fail_on_denied",
        "first_byte_s",
        "schema",
        "setup_timeout_s",
        "silence_s",
        "timeout_s",
        "worktree",
    )

    def __init__(
        self,
        timeout_s: float | None = None,
        silence_s: float | None = None,
        *,
        first_byte_s: float | None = None,
        schema: bool = False,
        attempts: int = 1,
        check: bool = False,
        check_timeout_s: float | None = None,
        fail_on_denied: bool = False,
        worktree: bool = False,
        setup_timeout_s: float | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.silence_s = silence_s
        self.first_byte_s = first_byte_s
        self.schema = schema
        self.attempts = attempts
        self.check = check
        self.check_timeout_s = check_timeout_s
        self.fail_on_denied = fail_on_denied
        self.worktree = worktree
        self.setup_timeout_s = setup_timeout_s


class AttemptState:
    """A task between the intent of its first attempt and its end.

    Args:
        attempt: Which attempt it is, from 1.
        conversation_id: Its conversation.
        resume: What to say to the conversation if it exists already (see `messages.Start`).
        n_free: How many of the attempts before don't count: they were interrupted, or were
            refused by a limit that concerns all tasks.
    """

    __slots__ = (
        "answered",
        "attempt",
        "cause",
        "conversation_id",
        "kill_at",
        "n_free",
        "outcome",
        "prepared",
        "refused_at",
        "resume",
        "started_at",
        "timeout_at",
        "unwanted",
    )

    def __init__(
        self, attempt: int, conversation_id: str, resume: str = "", n_free: int = 0
    ) -> None:
        self.attempt = attempt
        self.conversation_id = conversation_id
        self.resume = resume
        self.n_free = n_free
        self.started_at = 0.0
        self.answered = False  # by the API, in this attempt
        self.refused_at = -1.0  # when a limit refused it last
        self.cause: str | None = None  # why we stop it
        self.timeout_at: float | None = None
        self.kill_at: float | None = None
        self.unwanted = False  # somebody cancelled it: no further attempt
        self.outcome: Outcome | None = None  # of the attempt before; or the end, to be harvested
        self.prepared = False  # it has its own checkout

    @property
    def n_counted(self) -> int:
        """How many attempts count, this one among them."""
        return self.attempt - self.n_free

    def next(self, resume: str, outcome: Outcome, *, counted: bool) -> AttemptState:
        """The attempt after this one, which ended with ``outcome``."""
        following = AttemptState(
            self.attempt + 1, self.conversation_id, resume, self.n_free + (not counted)
        )
        following.outcome = outcome
        following.refused_at = self.refused_at
        following.prepared = self.prepared
        return following


class RestoredTask:
    """Where an earlier runner left a task that it had begun.

    Args:
        outcome: How it ended, or how its last attempt did; None if that was not known.
        active: The attempt that runs, or comes next; None if the task has ended.
        to_harvest: Whether ``outcome`` is its end, and only its checkout is to be harvested.
    """

    __slots__ = ("active", "outcome", "to_harvest")

    def __init__(
        self, outcome: Outcome | None, active: AttemptState | None, *, to_harvest: bool = False
    ) -> None:
        self.outcome = outcome
        self.active = active
        self.to_harvest = to_harvest


def silence_deadline(
    plan: TaskPlan, started_at: float, heard: OutputPolled
) -> tuple[float, str] | None:
    """When a task has been quiet for too long, and which of its limits that is.

    Args:
        plan: Its plan.
        started_at: When the attempt started.
        heard: What was heard of it.

    Returns:
        The moment and the cause to stop it for, or None if nothing limits it any more.
    """
    due: list[tuple[float, str]] = []
    if heard.last_output_at is None and plan.first_byte_s is not None:
        due.append((started_at + plan.first_byte_s, "no_first_byte"))
    if plan.silence_s is not None:
        last_at = started_at if heard.last_output_at is None else heard.last_output_at
        due.append((max(last_at, min(heard.busy_until, heard.at)) + plan.silence_s, "silence"))
    return min(due, default=None)


def checked_outcome(plan: TaskPlan, active: AttemptState, error: str) -> Outcome:
    """How a task ends after its check.

    Args:
        plan: Its plan.
        active: Its attempt.
        error: Why the check did not pass; empty if it did.
    """
    if active.unwanted:
        return CANCELLED
    if active.cause == "check_timeout":
        error = f"the check took longer than {plan.check_timeout_s:g} s"
    if error:
        return Outcome(states.FAILED, "check_failed", error)
    return Outcome(states.SUCCEEDED, "completed")


def prepared_outcome(plan: TaskPlan, active: AttemptState, told: Outcome | None) -> Outcome | None:
    """How a task ends because its checkout is not ready; None if it is."""
    if active.unwanted:
        return CANCELLED
    if active.cause == "setup_timeout":
        words = f"the set-up took longer than {plan.setup_timeout_s:g} s"
        return Outcome(states.FAILED, "setup_failed", words)
    return told
