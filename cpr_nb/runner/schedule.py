"""The state machine of a session: events in, instructions out.

Pure: it has no clock, no files, no processes. Time (seconds of a clock that never goes
back) comes in with each event, and whoever performs the instructions tells what came of
them by further events. Hypothesis drives it in ``tests/runner/test_schedule.py``.

A task goes pending → starting → running (→ stopping) → ended. "Starting" is the time
between the intent, which is journalled, and the process: a crash there can be told.
"""

from __future__ import annotations

import heapq

from cpr_nb.model import states
from cpr_nb.model.outcome import Exit, Outcome, derive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How long a task may take to end after SIGTERM; the CLI needs about 1.6 s (measured).
GRACE_S = 10.0

PENDING, STARTING, RUNNING, STOPPING, ENDED = range(5)


class TaskPlan:
    """What the machine must know of a task.

    Args:
        timeout_s: Longest run time in seconds, or None.
        silence_s: Longest time without an event and without a running tool, or None.
        schema: Whether an answer needs a structure.
    """

    __slots__ = ("schema", "silence_s", "timeout_s")

    def __init__(
        self,
        timeout_s: float | None = None,
        silence_s: float | None = None,
        *,
        schema: bool = False,
    ) -> None:
        self.timeout_s = timeout_s
        self.silence_s = silence_s
        self.schema = schema


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
    """Journal the intent, start the process, and tell by `Started` or `Ended`."""

    __slots__ = ("attempt", "conversation_id")

    def __init__(self, task: int, attempt: int, conversation_id: str) -> None:
        super().__init__(task)
        self.attempt = attempt
        self.conversation_id = conversation_id


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


class _Active:
    """A task between its intent and its end."""

    __slots__ = ("attempt", "cause", "kill_at", "timeout_at")

    def __init__(self, attempt: int) -> None:
        self.attempt = attempt
        self.cause: str | None = None
        self.timeout_at: float | None = None
        self.kill_at: float | None = None


class Schedule:
    """Decides what runs when.

    Args:
        plans: One plan a task, in order.
        max_parallel: How many may run at once; 0 for no limit.
        new_id: Gives a conversation id for an attempt.
        budget_usd: No task starts any more once this is spent; None for no limit.

    Example:
        >>> schedule = Schedule([TaskPlan()], max_parallel=1, new_id=lambda: "c-1")
        >>> [type(i).__name__ for i in schedule.handle(Tick(0.0))]
        ['Start']
    """

    def __init__(
        self,
        plans: Sequence[TaskPlan],
        *,
        max_parallel: int,
        new_id: Callable[[], str],
        budget_usd: float | None = None,
    ) -> None:
        self._plans = plans
        self._limit = max_parallel or len(plans)
        self._new_id = new_id
        self._budget_usd = budget_usd
        self._phase = bytearray(len(plans))
        self._next = 0  # every task before it has left "pending"
        self._n_ended = 0
        self._active: dict[int, _Active] = {}
        self._timers: list[tuple[float, int, int]] = []  # (at, task, attempt)
        self._n_cancelled = 0
        self._cancel_all = False
        self._end_told = False
        self.spent_usd = 0.0

    def handle(self, event: Event) -> list[Instruction]:
        """Takes one event.

        Args:
            event: What happened.

        Returns:
            What to do, in this order.
        """
        out: list[Instruction] = []
        if isinstance(event, Started):
            self._started(event, out)
        elif isinstance(event, Ended):
            self._ended(event, out)
        elif isinstance(event, Heard):
            self._heard(event, out)
        elif isinstance(event, Cancel):
            self._cancel(event, out)
        self._run_timers(event.at, out)
        self._dispatch(out)
        return out

    @property
    def next_at(self) -> float | None:
        """When the machine wants a `Tick`, or None."""
        return self._timers[0][0] if self._timers else None

    @property
    def n_active(self) -> int:
        """How many tasks are between their intent and their end."""
        return len(self._active)

    def phase(self, task: int) -> int:
        """One of PENDING, STARTING, RUNNING, STOPPING, ENDED."""
        return self._phase[task]

    # -- events -----------------------------------------------------------------------------

    def _started(self, event: Started, out: list[Instruction]) -> None:
        active = self._active[event.task]
        plan = self._plans[event.task]
        if self._phase[event.task] != STARTING:  # cancelled between the intent and the process
            self._tell_stop(event.task, active, event.at, out)
            return
        self._phase[event.task] = RUNNING
        if plan.timeout_s is not None:
            active.timeout_at = event.at + plan.timeout_s
            self._set_timer(active.timeout_at, event.task)
        if plan.silence_s is not None:
            self._set_timer(event.at + plan.silence_s, event.task)

    def _ended(self, event: Ended, out: list[Instruction]) -> None:
        active = self._active.pop(event.task)
        event.exit.cause = active.cause
        outcome = derive(event.exit, schema=self._plans[event.task].schema)
        self.spent_usd += event.cost_usd or 0.0
        self._finish(event.task, outcome, out)

    def _heard(self, event: Heard, out: list[Instruction]) -> None:
        silence_s = self._plans[event.task].silence_s
        if self._phase[event.task] != RUNNING or silence_s is None:
            return
        if event.tool_running:
            self._set_timer(event.at + silence_s, event.task)
        elif event.at - event.last_output_at >= silence_s:
            self._stop(event.task, "silence", event.at, out)
        else:
            self._set_timer(event.last_output_at + silence_s, event.task)

    def _cancel(self, event: Cancel, out: list[Instruction]) -> None:
        tasks: Sequence[int] = [event.task]
        if event.task < 0:
            tasks = range(len(self._plans))
            self._cancel_all = True
        for task in tasks:
            if self._phase[task] == PENDING:
                self._finish(task, Outcome(states.CANCELLED, "cancelled"), out)
            elif self._phase[task] in (STARTING, RUNNING):
                self._stop(task, "cancelled", event.at, out)

    # -- steps ------------------------------------------------------------------------------

    def _stop(self, task: int, cause: str, at: float, out: list[Instruction]) -> None:
        active = self._active[task]
        active.cause = cause
        was_running = self._phase[task] == RUNNING
        self._phase[task] = STOPPING
        if was_running:  # else there is no process yet: `Started` will tell
            self._tell_stop(task, active, at, out)

    def _tell_stop(self, task: int, active: _Active, at: float, out: list[Instruction]) -> None:
        out.append(Stop(task, active.cause or "cancelled"))
        active.kill_at = at + GRACE_S
        self._set_timer(active.kill_at, task)

    def _finish(self, task: int, outcome: Outcome, out: list[Instruction]) -> None:
        self._phase[task] = ENDED
        self._n_ended += 1
        self._n_cancelled += outcome.outcome == states.CANCELLED
        out.append(Finish(task, outcome))

    def _set_timer(self, at: float, task: int) -> None:
        heapq.heappush(self._timers, (at, task, self._active[task].attempt))

    def _run_timers(self, at: float, out: list[Instruction]) -> None:
        while self._timers and self._timers[0][0] <= at:
            _, task, attempt = heapq.heappop(self._timers)
            active = self._active.get(task)
            if active is None or active.attempt != attempt:
                continue  # that attempt is over
            plan = self._plans[task]
            if self._phase[task] == STOPPING:
                if active.kill_at is not None and at >= active.kill_at:
                    active.kill_at = None
                    out.append(Kill(task))
            elif active.timeout_at is not None and at >= active.timeout_at:
                self._stop(task, "timeout", at, out)
            elif plan.silence_s is not None:
                out.append(Listen(task))

    def _dispatch(self, out: list[Instruction]) -> None:
        over = self._budget_usd is not None and self.spent_usd >= self._budget_usd
        n_tasks = len(self._plans)
        while self._next < n_tasks and (over or len(self._active) < self._limit):
            task = self._next
            self._next += 1
            if self._phase[task] != PENDING:
                continue
            if over:
                budget = f"the session's budget of USD {self._budget_usd} is spent"
                self._finish(task, Outcome(states.SKIPPED, "budget", budget), out)
                continue
            self._phase[task] = STARTING
            self._active[task] = _Active(attempt=1)
            out.append(Start(task, 1, self._new_id()))
        if self._n_ended == n_tasks and not self._end_told:
            self._end_told = True
            cancelled = self._cancel_all and self._n_cancelled
            out.append(End(states.CANCELLED if cancelled else states.COMPLETED))
