"""The events that the state machine handles: plain data.

An event happened to a task (its number, from 0) or to the session.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.limits import Limit
    from cpr_nb.model.machine_causes import MachineCause
    from cpr_nb.model.outcome import Exit, Outcome
    from cpr_nb.model.running_cost import Usage


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
        usage: What its stream shows of that, if it had a stream.
        limit: The limit that it ran into, if its stream shows one.
        interrupted: Whether it ended without a runner, or while the runner was leaving: that
            is not its failure.
        began: Whether its CLI had written its first event.
    """

    __slots__ = ("began", "cost_usd", "exit", "interrupted", "limit", "usage")

    def __init__(
        self,
        at_s: float,
        task: int,
        exit_: Exit,
        cost_usd: float | None = None,
        *,
        limit: Limit | None = None,
        interrupted: bool = False,
        usage: Usage | None = None,
        began: bool = True,
    ) -> None:
        super().__init__(at_s, task)
        self.usage = usage
        self.began = began
        self.exit = exit_
        self.cost_usd = cost_usd
        self.limit = limit
        self.interrupted = interrupted


class Postponed(Event):
    """What was to start for a task could not be started; that is not the task's failure.

    Args:
        cause: Why; None if the disk is full: nothing starts until `DiskFree`.
    """

    __slots__ = ("cause",)

    def __init__(self, at_s: float, task: int, cause: MachineCause | None = None) -> None:
        super().__init__(at_s, task)
        self.cause = cause


class Unplaced(Event):
    """A task waits no more for a process that serves several tasks: it may not start now."""

    __slots__ = ()


class Began(Event):
    """A task's CLI has written its first event: it works."""

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


class WindowUsed(Event):
    """The CLI has told how much of the usage windows is used, and ``reserve`` is set.

    Args:
        limit: The limit, if so much is used that nothing is to start; None if there is room.
    """

    __slots__ = ("limit",)

    def __init__(self, at_s: float, task: int, limit: Limit | None) -> None:
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


class Spent(Event):
    """A task has used more, by its stream; or it is found that its ended attempt had (`Harvest`).

    Args:
        usage: What it has used so far.
    """

    __slots__ = ("usage",)

    def __init__(self, at_s: float, task: int, usage: Usage) -> None:
        super().__init__(at_s, task)
        self.usage = usage


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


class Close(Event):
    """A rule of the session ends a task that has not started, or waits for another attempt.

    Args:
        outcome: How it ends.
    """

    __slots__ = ("outcome",)

    def __init__(self, at_s: float, task: int, outcome: Outcome) -> None:
        super().__init__(at_s, task)
        self.outcome = outcome


class Release(Event):
    """A rule of the session lets a task start that it held back."""

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


class Slots(Event):
    """So many tasks can be at work at once on the nodes of the session."""

    __slots__ = ("n_slots",)

    def __init__(self, at_s: float, n_slots: int) -> None:
        super().__init__(at_s)
        self.n_slots = n_slots


class Measured(Event):
    """How busy the machine is, while tasks wait for a place.

    Args:
        busy_share: How much of the time its cores were busy: 0 to 1.
        n_more: For how many more tasks there is memory; 0 if the cores are busy.
    """

    __slots__ = ("busy_share", "n_more")

    def __init__(self, at_s: float, busy_share: float, n_more: int) -> None:
        super().__init__(at_s)
        self.busy_share = busy_share
        self.n_more = n_more


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
