"""What the state machine is told, and what it tells to do: plain data.

Events happened to a task (its number, from 0); instructions are performed by whoever drives
the machine, in the order in which they come.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.outcome import Exit, Outcome

#: What a further attempt says to a conversation that exists already.
GO_ON = "go_on"
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
    """A task's process runs."""

    __slots__ = ()


class Ended(Event):
    """A task's process ended, or could not be started.

    Args:
        exit_: What is known about the end; its ``cause`` is filled in by the machine.
        cost_usd: What the attempt cost, or None when unknown.
    """

    __slots__ = ("cost_usd", "exit")

    def __init__(self, at: float, task: int, exit_: Exit, cost_usd: float | None = None) -> None:
        super().__init__(at, task)
        self.exit = exit_
        self.cost_usd = cost_usd


class Heard(Event):
    """The answer to `Listen`.

    Args:
        last_output_at: When the task wrote last.
        tool_running: Whether one of its tools runs: that is no silence.
    """

    __slots__ = ("last_output_at", "tool_running")

    def __init__(self, at: float, task: int, last_output_at: float, tool_running: bool) -> None:
        super().__init__(at, task)
        self.last_output_at = last_output_at
        self.tool_running = tool_running


class Cancel(Event):
    """Somebody asked to cancel one task, or all of them (task -1)."""

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
            (`GO_ON`, `ASK_FOR_STRUCTURE`). If it turns out not to exist, the task's prompt
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


class Listen(Instruction):
    """Look when the task wrote last; tell by `Heard`."""

    __slots__ = ()


class Rest(Instruction):
    """An attempt failed, and there will be another: record how, and that it waits.

    Args:
        task: The task.
        outcome: How the attempt ended.
        delay_s: How long it will wait at least.
    """

    __slots__ = ("delay_s", "outcome")

    def __init__(self, task: int, outcome: Outcome, delay_s: float) -> None:
        super().__init__(task)
        self.outcome = outcome
        self.delay_s = delay_s


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
