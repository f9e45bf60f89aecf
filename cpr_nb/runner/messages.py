"""The events that the state machine handles, and the instructions that it returns: plain data.

An event happened to a task (its number, from 0) or to the session. Whoever drives the machine
performs its instructions in order.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.limits import Limit
    from cpr_nb.model.outcome import Exit, Outcome

#: What a further attempt says to an existing conversation.
CONTINUE = "go_on"
ASK_FOR_STRUCTURE = "ask_for_structure"


# -- events: what happened ------------------------------------------------------------------


class Event:
    """Something that happened at ``at_s``, to task number ``task`` (from 0) if it names one."""

    __slots__ = ("at_s", "task")

    def __init__(self, at_s: float, task: int = -1) -> None:
        self.at_s = at_s
        self.task = task


class Tick(Event):
    """Time passed; the first one begins the work."""

    __slots__ = ()


class Started(Event):
    """A task's process runs.

    Args:
        conversation_id: Its conversation, if it is not the one that `Start` named because that
            one did not exist.
    """

    __slots__ = ("conversation_id",)

    def __init__(self, at_s: float, task: int, conversation_id: str = "") -> None:
        super().__init__(at_s, task)
        self.conversation_id = conversation_id


class Ended(Event):
    """A task's process ended, or could not be started.

    Args:
        exit_: What is known about the end; its ``cause`` is filled in by the machine.
        cost_usd: What the attempt cost, or None when unknown.
        limit: The limit that it ran into, if its stream shows one.
        interrupted: Whether it ended without a runner, or while the runner was leaving: that
            is not its failure.
    """

    __slots__ = ("cost_usd", "exit", "interrupted", "limit")

    def __init__(
        self,
        at_s: float,
        task: int,
        exit_: Exit,
        cost_usd: float | None = None,
        *,
        limit: Limit | None = None,
        interrupted: bool = False,
    ) -> None:
        super().__init__(at_s, task)
        self.exit = exit_
        self.cost_usd = cost_usd
        self.limit = limit
        self.interrupted = interrupted


class Postponed(Event):
    """A task could not start because the disk is full; that is not its failure.

    Nothing starts until `DiskFree`.
    """

    __slots__ = ()


class OutputPolled(Event):
    """The answer to `PollOutput`.

    Args:
        last_output_at: When the task wrote last; None if it has not written anything yet.
        busy_until: Until when its silence is explained: for ever while a tool runs, or until
            the CLI retries the API by itself. 0 if nothing explains it.
    """

    __slots__ = ("busy_until", "last_output_at")

    def __init__(
        self, at_s: float, task: int, last_output_at: float | None, busy_until: float = 0.0
    ) -> None:
        super().__init__(at_s, task)
        self.last_output_at = last_output_at
        self.busy_until = busy_until


class Responded(Event):
    """The API answered a task for the first time in this attempt."""

    __slots__ = ()


class Throttled(Event):
    """The API refused a task for now (429, 529); its CLI retries by itself.

    Args:
        delay_s: How long the CLI waits before that.
    """

    __slots__ = ("delay_s",)

    def __init__(self, at_s: float, task: int, delay_s: float) -> None:
        super().__init__(at_s, task)
        self.delay_s = delay_s


class Limited(Event):
    """A running task ran into a limit of the account, or its credential is refused."""

    __slots__ = ("limit",)

    def __init__(self, at_s: float, task: int, limit: Limit) -> None:
        super().__init__(at_s, task)
        self.limit = limit


class SetupRefused(Event):
    """The CLI's set-up is not as asked, and the task is not to run then (``strict_setup``)."""

    __slots__ = ()


class Lingering(Event):
    """A task's turn has ended with a result, and only commands keep its process alive.

    Args:
        since: When it wrote last; None if a model works for it again.
    """

    __slots__ = ("since",)

    def __init__(self, at_s: float, task: int, since: float | None) -> None:
        super().__init__(at_s, task)
        self.since = since


class Checked(Event):
    """The user's own check of a task has ended.

    Args:
        error: Why it did not pass; empty if it did.
        reason: The reason of the task's failure then.
    """

    __slots__ = ("error", "reason")

    def __init__(self, at_s: float, task: int, error: str, reason: str = "check_failed") -> None:
        super().__init__(at_s, task)
        self.error = error
        self.reason = reason


class Prepared(Event):
    """A task's worktree is ready, or could not be made.

    Args:
        outcome: How the task ends because of that; None if it is ready.
        exists: Whether there is a worktree, which is to be harvested.
    """

    __slots__ = ("exists", "outcome")

    def __init__(self, at_s: float, task: int, outcome: Outcome | None, *, exists: bool) -> None:
        super().__init__(at_s, task)
        self.outcome = outcome
        self.exists = exists


class Harvested(Event):
    """What a task left in its worktree is safe, and the worktree is removed (or kept)."""

    __slots__ = ()


class Cancel(Event):
    """Someone cancelled one task, or all of them (task -1)."""

    __slots__ = ()


class Pause(Event):
    """Someone paused the session: nothing starts, and what runs continues."""

    __slots__ = ()


class Resume(Event):
    """Someone resumed the session: after a pause, or to try whether a limit still holds."""

    __slots__ = ()


class SetParallel(Event):
    """Someone changed how many tasks may run at once (0: no limit)."""

    __slots__ = ("max_parallel",)

    def __init__(self, at_s: float, max_parallel: int) -> None:
        super().__init__(at_s)
        self.max_parallel = max_parallel


class Probe(Event):
    """The moment until which the session was to wait has come: one task may try."""

    __slots__ = ()


class DiskFull(Event):
    """Nothing can be written, for this reason."""

    __slots__ = ("reason",)

    def __init__(self, at_s: float, reason: str) -> None:
        super().__init__(at_s)
        self.reason = reason


class DiskFree(Event):
    """There is room again."""

    __slots__ = ()


# -- instructions: what to do ---------------------------------------------------------------


class Instruction:
    """Something to do for task number ``task``."""

    __slots__ = ("task",)

    def __init__(self, task: int) -> None:
        self.task = task


class Start(Instruction):
    """Journal the intent and start the process; `Started`, `Postponed` or `Ended` follows.

    Args:
        task: The task.
        attempt: Which attempt it is, from 1.
        conversation_id: The conversation.
        resume: Empty for a conversation that does not exist yet, else what to say to it
            (`CONTINUE`, `ASK_FOR_STRUCTURE`). If it does not exist, the task's prompt begins
            a new one.
    """

    __slots__ = ("attempt", "conversation_id", "resume")

    def __init__(self, task: int, attempt: int, conversation_id: str, resume: str = "") -> None:
        super().__init__(task)
        self.attempt = attempt
        self.conversation_id = conversation_id
        self.resume = resume


class Terminate(Instruction):
    """Ask the task's process to end (SIGTERM), for the reason ``cause``."""

    __slots__ = ("cause",)

    def __init__(self, task: int, cause: str) -> None:
        super().__init__(task)
        self.cause = cause


class Kill(Instruction):
    """End the task's whole process tree (SIGKILL)."""

    __slots__ = ()


class Abandon(Instruction):
    """End and forget whatever runs for the task: the machine can no longer handle it."""

    __slots__ = ()


class PollOutput(Instruction):
    """Find out when the task wrote last; `OutputPolled` follows."""

    __slots__ = ()


class Rest(Instruction):
    """Record how an attempt ended, and that the task waits for another.

    Args:
        task: The task.
        outcome: How the attempt ended.
        delay_s: How long it will wait at least.
        counted: Whether it counts as one of the task's ``attempts``.
    """

    __slots__ = ("counted", "delay_s", "outcome")

    def __init__(self, task: int, outcome: Outcome, delay_s: float, *, counted: bool) -> None:
        super().__init__(task)
        self.outcome = outcome
        self.delay_s = delay_s
        self.counted = counted


class Prepare(Instruction):
    """Make the task's worktree; `Prepared` follows."""

    __slots__ = ()


class Harvest(Instruction):
    """Save what the task left in its worktree; `Harvested` follows.

    Args:
        task: The task.
        outcome: How it ended.
    """

    __slots__ = ("outcome",)

    def __init__(self, task: int, outcome: Outcome) -> None:
        super().__init__(task)
        self.outcome = outcome


class Check(Instruction):
    """Run the user's own check of a task that succeeded; `Checked` follows."""

    __slots__ = ()


class ReportState(Instruction):
    """The session's own state changed: record it.

    Args:
        state: running, waiting or paused.
        reason: What it waits for: ``limit``, ``login``, ``disk``; else empty.
        notice: One line for the user; empty if there is nothing to say.
        until_s: The moment until which it waits, in seconds since the epoch, if that is
            known; `Probe` is due then.
        gives_up_at: When it stops waiting, on the clock of the events; None if never.
    """

    __slots__ = ("gives_up_at", "notice", "reason", "state", "until_s")

    def __init__(
        self, state: str, reason: str, notice: str, until_s: float | None, gives_up_at: float | None
    ) -> None:
        super().__init__(-1)
        self.gives_up_at = gives_up_at
        self.state = state
        self.reason = reason
        self.notice = notice
        self.until_s = until_s


class Finish(Instruction):
    """Record how the task ended."""

    __slots__ = ("outcome",)

    def __init__(self, task: int, outcome: Outcome) -> None:
        super().__init__(task)
        self.outcome = outcome


class End(Instruction):
    """Every task has ended: record it and exit."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        super().__init__(-1)
        self.state = state
