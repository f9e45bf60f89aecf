"""The instructions that the state machine returns: plain data.

Whoever drives the machine performs its instructions in order.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.outcome import Outcome

#: What a further attempt says to an existing conversation.
CONTINUE = "go_on"
ASK_FOR_STRUCTURE = "ask_for_structure"


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
        may_spend_usd: Where the session's budget has the CLI stop it; None if it has none.
    """

    __slots__ = ("attempt", "conversation_id", "may_spend_usd", "resume")

    def __init__(
        self,
        task: int,
        attempt: int,
        conversation_id: str,
        resume: str = "",
        may_spend_usd: float | None = None,
    ) -> None:
        super().__init__(task)
        self.may_spend_usd = may_spend_usd
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
        may_wait: Whether it is tried again later if the machine can't start it now.
    """

    __slots__ = ("may_wait", "outcome")

    def __init__(self, task: int, outcome: Outcome, *, may_wait: bool = True) -> None:
        super().__init__(task)
        self.outcome = outcome
        self.may_wait = may_wait


class Check(Instruction):
    """Run the user's own check of a task that succeeded; `Checked` follows."""

    __slots__ = ()


class ReportState(Instruction):
    """The session's own state changed: record it.

    Args:
        state: running, waiting or paused.
        reason: What it waits for: ``limit``, ``login``, ``reserve``, ``time``, ``disk``, ``cli``,
            ``folder``, ``processes``, ``setup``; else empty.
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


class ReportParallel(Instruction):
    """Another number of tasks runs at once by default, or for another reason: record it.

    Args:
        level: How many may run at once.
        why: Why it is not another number.
    """

    __slots__ = ("level", "why")

    def __init__(self, level: int, why: str) -> None:
        super().__init__(-1)
        self.level = level
        self.why = why


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
