"""What the state machine knows about one task: its plan, its attempt, its past."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import LINGERED, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.limits import Limit
    from cpr_nb.runner.messages import Ended, OutputPolled

CANCELLED_OUTCOME = Outcome(states.CANCELLED, "cancelled")
INTERRUPTED_OUTCOME = Outcome(
    states.LOST, "vanished", "interrupted: its runner or its node went away"
)
#: Why an attempt is terminated that may have met a limit: the limit decides, not the slowness.
AT_A_LIMIT = ("timeout", "silence", "no_first_byte", "refused", LINGERED)


class TaskPlan:
    """What the state machine must know of a task's options.

    Args:
        timeout_s: The longest run time of an attempt in seconds, or None.
        silence_s: The longest time without an event and without a running tool, or None.
        first_byte_s: The longest time until the first output, or None.
        linger_s: The longest time that only commands keep a process alive whose turn has ended,
            or None.
        schema: Whether the answer must have a structure.
        attempts: How many attempts it has in all, if they fail for a passing reason.
        check: Whether the user has a check of their own.
        check_timeout_s: The longest run time of that check, or None.
        fail_on_denied: Whether a denied tool call makes the task fail.
        setup_timeout_s: The longest time to make its worktree ready, or None.
        worktree: Whether it has a worktree, which is made before it starts and harvested after
            it has ended.
        shares: Whether a process that serves several tasks may run it.
        process_group: Which other tasks that process may serve: those of the same number.
        task_budget_usd: What each attempt may cost, or None.
    """

    __slots__ = (
        "attempts",
        "check",
        "check_timeout_s",
        "fail_on_denied",
        "first_byte_s",
        "linger_s",
        "process_group",
        "schema",
        "setup_timeout_s",
        "shares",
        "silence_s",
        "task_budget_usd",
        "timeout_s",
        "worktree",
    )

    def __init__(
        self,
        timeout_s: float | None = None,
        silence_s: float | None = None,
        *,
        first_byte_s: float | None = None,
        linger_s: float | None = None,
        schema: bool = False,
        attempts: int = 1,
        check: bool = False,
        check_timeout_s: float | None = None,
        fail_on_denied: bool = False,
        worktree: bool = False,
        setup_timeout_s: float | None = None,
        task_budget_usd: float | None = None,
        shares: bool = False,
        process_group: int = 0,
    ) -> None:
        self.timeout_s = timeout_s
        self.silence_s = silence_s
        self.first_byte_s = first_byte_s
        self.linger_s = linger_s
        self.schema = schema
        self.attempts = attempts
        self.check = check
        self.check_timeout_s = check_timeout_s
        self.fail_on_denied = fail_on_denied
        self.worktree = worktree
        self.setup_timeout_s = setup_timeout_s
        self.task_budget_usd = task_budget_usd
        self.shares = shares
        self.process_group = process_group


class AttemptState:
    """The attempt of a task that has begun and not ended.

    Args:
        number: Which attempt it is, from 1.
        conversation_id: Its conversation.
        resume: What to say to the conversation if it exists already (see `instructions.Start`).
        n_free: How many earlier attempts don't count: they were interrupted, or refused by a
            limit that concerns all tasks.
    """

    __slots__ = (
        "answered",
        "cancelled",
        "cause",
        "conversation_id",
        "has_worktree",
        "is_prepared",
        "kill_at",
        "linger_timer_at",
        "linger_until",
        "lingers",
        "n_bad_starts",
        "n_free",
        "n_side_tries",
        "number",
        "outcome",
        "refused_at",
        "resume",
        "side_retry_at",
        "side_since",
        "started_at",
        "timeout_at",
    )

    def __init__(
        self, number: int, conversation_id: str, resume: str = "", n_free: int = 0
    ) -> None:
        self.number = number
        self.conversation_id = conversation_id
        self.resume = resume
        self.n_free = n_free
        self.started_at = 0.0
        self.answered = False  # by the API, in this attempt
        self.refused_at = -1.0  # when a limit refused it last
        self.n_bad_starts = 0  # how many attempts in a row ended before they began
        self.n_side_tries = 0  # how often its check or its harvest could not be started
        self.side_since: float | None = None  # since when that is so
        self.side_retry_at: float | None = None  # when it is tried again
        self.cause: str | None = None  # why it is terminated
        self.timeout_at: float | None = None
        self.kill_at: float | None = None
        self.lingers = False  # only commands keep its process alive
        self.linger_until: float | None = None  # if only commands keep its process alive
        self.linger_timer_at: float | None = None  # when the timer for that rings
        self.cancelled = False  # by someone: there is no further attempt
        self.outcome: Outcome | None = None  # of the attempt before; while harvesting, the task's
        self.has_worktree = False
        self.is_prepared = False  # by this runner: an earlier one's word does not count

    @property
    def n_counted(self) -> int:
        """How many attempts count, this one among them."""
        return self.number - self.n_free

    def next(self, resume: str, outcome: Outcome, *, counted: bool) -> AttemptState:
        """Returns the attempt after this one, which ended with ``outcome``."""
        following = AttemptState(
            self.number + 1, self.conversation_id, resume, self.n_free + (not counted)
        )
        following.outcome = outcome
        following.refused_at = self.refused_at
        following.n_bad_starts = self.n_bad_starts
        following.has_worktree, following.is_prepared = self.has_worktree, self.is_prepared
        return following


class RestoredTask:
    """Where an earlier runner left a task that it had begun.

    Args:
        outcome: How it ended, or how its last attempt did; None if that is not known.
        attempt: The attempt that runs or comes next; None if the task has ended.
        to_harvest: Whether ``outcome`` is its end, and only its worktree is to be harvested.
    """

    __slots__ = ("attempt", "outcome", "to_harvest")

    def __init__(
        self, outcome: Outcome | None, attempt: AttemptState | None, *, to_harvest: bool = False
    ) -> None:
        self.outcome = outcome
        self.attempt = attempt
        self.to_harvest = to_harvest


def silence_deadline(
    plan: TaskPlan, started_at: float, output: OutputPolled
) -> tuple[float, str] | None:
    """When a task has been quiet for too long, and which of its limits that is.

    Args:
        plan: Its plan.
        started_at: When the attempt started.
        output: When it wrote last.

    Returns:
        The moment, and the cause to terminate it for; None if nothing limits it now.
    """
    due: list[tuple[float, str]] = []
    if output.last_output_at is None and plan.first_byte_s is not None:
        due.append((started_at + plan.first_byte_s, "no_first_byte"))
    if plan.silence_s is not None:
        last_at = started_at if output.last_output_at is None else output.last_output_at
        due.append((max(last_at, min(output.busy_until, output.at_s)) + plan.silence_s, "silence"))
    return min(due, default=None)


def shared_limit(event: Ended, attempt: AttemptState, outcome: Outcome) -> Limit | None:
    """The limit at which an attempt ended, if that decides what becomes of it."""
    terminated = attempt.cancelled or attempt.cause not in (None, *AT_A_LIMIT)
    # Another attempt would no longer show what was denied.
    is_final = outcome.outcome == states.SUCCEEDED or outcome.reason == "denied"
    return None if terminated or is_final else event.limit


def uncounted_outcome(event: Ended, attempt: AttemptState, outcome: Outcome) -> Outcome | None:
    """How an attempt ended that is repeated without being counted; None if it counts."""
    if event.interrupted and attempt.cause is None and event.exit.result is None:
        return INTERRUPTED_OUTCOME
    if attempt.cause == "throttled" and outcome.outcome != states.SUCCEEDED:
        return outcome
    return None


def checked_outcome(plan: TaskPlan, attempt: AttemptState, error: str, reason: str) -> Outcome:
    """How a task ends after its check.

    Args:
        plan: Its plan.
        attempt: Its attempt.
        error: Why the check did not pass; empty if it did.
        reason: The reason of its failure then.
    """
    if attempt.cancelled:
        return CANCELLED_OUTCOME
    if attempt.cause == "check_timeout":
        error = f"the check took longer than {plan.check_timeout_s:g} s"
    if error:
        return Outcome(states.FAILED, reason, error)
    return Outcome(states.SUCCEEDED, "completed")


def prepared_outcome(
    plan: TaskPlan, attempt: AttemptState, outcome: Outcome | None
) -> Outcome | None:
    """How a task ends because its worktree is not ready; None if it is.

    Args:
        plan: Its plan.
        attempt: Its attempt.
        outcome: What the helper process reported.
    """
    if attempt.cancelled:
        return CANCELLED_OUTCOME
    if attempt.cause == "setup_timeout":
        error = f"the set-up took longer than {plan.setup_timeout_s:g} s"
        return Outcome(states.FAILED, "setup_failed", error)
    return outcome
