"""What the state machine is told, and what it tells to do: plain data.

Events happened to a task (its number, from 0); instructions are performed by whoever drives
the machine, in the order in which they come.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.limits import Limit
    from cpr_nb.model.outcome import Exit, Outcome

#: What a further attempt says to a conversation that exists already.
CONTINUE = "go_on"
ASK_FOR_STRUCTURE = "ask_for_structure"


# -- events: what happened ------------------------------------------------------------------


class Event:
    """Something that happened at ``at``, to task number ``task`` (from 0) if it names one."""

    __slots__ = ("at", "task")

    def __init__(self, at: float, task: int = -1) -> None:
        self.at = at
        self.task = task


class Tick(Event):
    """Time went by; the first one begins the work."""

    __slots__ = ()


class Started(Event):
    """A task's process runs.

    Args:
        conversation_id: Its conversation, if it is not the one that `Start` named: that one
            did not exist.
    """

    __slots__ = ("conversation_id",)

    def __init__(self, at: float, task: int, conversation_id: str = "") -> None:
        super().__init__(at, task)
        self.conversation_id = conversation_id


class Ended(Event):
    """A task's process ended, or could not be started.

    Args:
        exit_: What is known about the end; its ``cause`` is filled in by the machine.
        cost_usd: What the attempt cost, or None when unknown.
        limit: The limit that it ran into, if its stream tells of one.
        interrupted: Whether it ended while nobody looked after it (no runner, or one that
            was told to stop): that is not its failure.
    """

    __slots__ = ("cost_usd", "exit", "interrupted", "limit")

    def __init__(
        self,
        at: float,
        task: int,
        exit_: Exit,
        cost_usd: float | None = None,
        *,
        limit: Limit | None = None,
        interrupted: bool = False,
    ) -> None:
        super().__init__(at, task)
        self.exit = exit_
        self.cost_usd = cost_usd
        self.limit = limit
        self.interrupted = interrupted


class Postponed(Event):
    """A task could not be started for want of room on the disk; it is not its fault.

    Nothing starts any more until `DiskFree` is told.
    """

    __slots__ = ()


class OutputPolled(Event):
    """The answer to `PollOutput`.

    Args:
        last_output_at: When the task wrote last; None if it has not written anything yet.
        busy_until: Until when its quiet is explained: a tool that runs (for ever), the CLI's
            own wait before it asks the API again. 0 if nothing explains it.
    """

    __slots__ = ("busy_until", "last_output_at")

    def __init__(
        self, at: float, task: int, last_output_at: float | None, busy_until: float = 0.0
    ) -> None:
        super().__init__(at, task)
        self.last_output_at = last_output_at
        self.busy_until = busy_until


class Responded(Event):
    """The API answered a task for the first time in this attempt."""

    __slots__ = ()


class Throttled(Event):
    """The API refused a task for now (429, 529); its CLI asks again by itself.

    Args:
        delay_s: How long the CLI waits before that.
    """

    __slots__ = ("delay_s",)

    def __init__(self, at: float, task: int, delay_s: float) -> None:
        super().__init__(at, task)
        self.delay_s = delay_s


class Limited(Event):
    """A running task ran into a limit that concerns all of them."""

    __slots__ = ("limit",)

    def __init__(self, at: float, task: int, limit: Limit) -> None:
        super().__init__(at, task)
        self.limit = limit


class Checked(Event):
    """The user's own check of a task has ended.

    Args:
        error: Why it did not pass; empty if it did.
    """

    __slots__ = ("error",)

    def __init__(self, at: float, task: int, error: str) -> None:
        super().__init__(at, task)
        self.error = error


class Prepared(Event):
    """A task's own checkout is ready, or could not be made.

    Args:
        outcome: How the task ends because of that; None if it is ready.
        exists: Whether there is a checkout, which is to be harvested.
    """

    __slots__ = ("exists", "outcome")

    def __init__(self, at: float, task: int, outcome: Outcome | None, *, exists: bool) -> None:
        super().__init__(at, task)
        self.outcome = outcome
        self.exists = exists


class Harvested(Event):
    """What a task left in its checkout is safe, and the checkout gone (or kept)."""

    __slots__ = ()


class Cancel(Event):
    """Somebody asked to cancel one task, or all of them (task -1)."""

    __slots__ = ()


class Pause(Event):
    """Somebody asked to start nothing more; what runs goes on."""

    __slots__ = ()


class Resume(Event):
    """Somebody asked to go on: out of a pause, or to look again whether a limit still holds."""

    __slots__ = ()


class SetParallel(Event):
    """Somebody changed how many tasks may run at once (0: no limit)."""

    __slots__ = ("max_parallel",)

    def __init__(self, at: float, max_parallel: int) -> None:
        super().__init__(at)
        self.max_parallel = max_parallel


class Probe(Event):
    """The time until which the session was to wait has come: one task may try."""

    __slots__ = ()


class DiskFull(Event):
    """Nothing can be written; why is in ``words``."""

    __slots__ = ("words",)

    def __init__(self, at: float, words: str) -> None:
        super().__init__(at)
        self.words = words


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
    """Journal the intent, start the process, and tell by `Started` or `Ended`.

    Args:
        task: The task.
        attempt: Which attempt it is, from 1.
        conversation_id: The conversation.
        resume: Empty for a conversation that does not exist yet, else what to say to it
            (`CONTINUE`, `ASK_FOR_STRUCTURE`). If it turns out not to exist, the task's prompt
            begins a new one.
    """

    __slots__ = ("attempt", "conversation_id", "resume")

    def __init__(self, task: int, attempt: int, conversation_id: str, resume: str = "") -> None:
        super().__init__(task)
        self.attempt = attempt
        self.conversation_id = conversation_id
        self.resume = resume


class Stop(Instruction):
    """Ask the task's process to end (SIGTERM), for the reason ``cause``."""

    __slots__ = ("cause",)

    def __init__(self, task: int, cause: str) -> None:
        super().__init__(task)
        self.cause = cause


class Kill(Instruction):
    """End the task's whole process tree (SIGKILL)."""

    __slots__ = ()


class PollOutput(Instruction):
    """Look when the task wrote last; tell by `OutputPolled`."""

    __slots__ = ()


class Rest(Instruction):
    """An attempt failed, and there will be another: record how, and that it waits.

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
    """Make the task's own checkout; tell by `Prepared`."""

    __slots__ = ()


class Harvest(Instruction):
    """Save what the task left in its checkout; tell by `Harvested`.

    Args:
        task: The task.
        outcome: How it ended.
    """

    __slots__ = ("outcome",)

    def __init__(self, task: int, outcome: Outcome) -> None:
        super().__init__(task)
        self.outcome = outcome


class Check(Instruction):
    """Run the user's own check of a task that succeeded; tell by `Checked`."""

    __slots__ = ()


class ReportState(Instruction):
    """The session's own state changed: record it.

    Args:
        state: running, waiting or paused.
        reason: What it waits for: ``limit``, ``login``, ``disk``; else empty.
        notice: One line for a person; empty if there is nothing to say.
        until_s: The moment until which it waits, in seconds since the epoch, if that is
            known; whoever drives the machine then tells `Probe`.
    """

    __slots__ = ("notice", "reason", "state", "until_s")

    def __init__(self, state: str, reason: str, notice: str, until_s: float | None) -> None:
        super().__init__(-1)
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
