"""The state machine of a session: events in, instructions out.

Pure: it has no clock, no files, no processes, no chance. Time (seconds of a clock that never
goes back) comes in with each event, and whoever performs the instructions tells what came of
them by further events. Hypothesis drives it in ``tests/runner/test_schedule_machine.py``.

A task goes pending → starting → running (→ stopping) → ended, or → resting → starting when
its attempt failed for a reason that passes. "Starting" is the time between the intent, which
is journalled, and the process: a crash there can be told.
"""

from __future__ import annotations

import heapq
from collections import deque

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome, derive
from cpr_nb.model.retry import backoff_s, may_pass
from cpr_nb.runner.messages import (
    ASK_FOR_STRUCTURE,
    GO_ON,
    Cancel,
    End,
    Ended,
    Event,
    Finish,
    Heard,
    Instruction,
    Kill,
    Listen,
    Rest,
    Start,
    Started,
    Stop,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How long a task may take to end after SIGTERM; the CLI needs about 1.6 s (measured).
GRACE_S = 10.0

PENDING, STARTING, RUNNING, STOPPING, RESTING, ENDED = range(6)


class TaskPlan:
    """What the machine must know of a task.

    Args:
        timeout_s: Longest run time of an attempt in seconds, or None.
        silence_s: Longest time without an event and without a running tool, or None.
        schema: Whether an answer needs a structure.
        attempts: How many attempts it may have when one fails for a reason that passes.
    """

    __slots__ = ("attempts", "schema", "silence_s", "timeout_s")

    def __init__(
        self,
        timeout_s: float | None = None,
        silence_s: float | None = None,
        *,
        schema: bool = False,
        attempts: int = 1,
    ) -> None:
        self.timeout_s = timeout_s
        self.silence_s = silence_s
        self.schema = schema
        self.attempts = attempts


class _Active:
    """A task between the intent of its first attempt and its end."""

    __slots__ = (
        "attempt",
        "cause",
        "conversation_id",
        "kill_at",
        "outcome",
        "resume",
        "timeout_at",
        "unwanted",
    )

    def __init__(self, attempt: int, conversation_id: str, resume: str = "") -> None:
        self.attempt = attempt
        self.conversation_id = conversation_id
        self.resume = resume
        self.cause: str | None = None
        self.timeout_at: float | None = None
        self.kill_at: float | None = None
        self.unwanted = False  # somebody cancelled it: no further attempt
        self.outcome: Outcome | None = None  # of the attempt before, while it rests


class Schedule:
    """Decides what runs when.

    Args:
        plans: One plan a task, in order.
        max_parallel: How many may run at once; 0 for no limit.
        new_id: Gives the id of a new conversation.
        chance: Gives numbers from 0 to 1, for the jitter of retries.
        budget_usd: No task starts any more once this is spent; None for no limit.

    Example:
        >>> from cpr_nb.runner.messages import Tick
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
        chance: Callable[[], float] = lambda: 0.5,
        budget_usd: float | None = None,
    ) -> None:
        self._plans = plans
        self._limit = max_parallel or len(plans)
        self._new_id = new_id
        self._chance = chance
        self._budget_usd = budget_usd
        self._phase = bytearray(len(plans))
        self._next = 0  # every task before it has left "pending"
        self._n_ended = 0
        self._active: dict[int, _Active] = {}
        self._ready: deque[int] = deque()  # have rested, may start before any pending task
        self._timers: list[tuple[float, int, int]] = []  # (at, task, attempt)
        self._n_resting = 0
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
        return len(self._active) - self._n_resting

    def phase(self, task: int) -> int:
        """One of PENDING, STARTING, RUNNING, STOPPING, RESTING, ENDED."""
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
        active, plan = self._active[event.task], self._plans[event.task]
        event.exit.cause = active.cause
        outcome = derive(event.exit, schema=plan.schema)
        self.spent_usd += event.cost_usd or 0.0
        if active.attempt < plan.attempts and may_pass(outcome) and not active.unwanted:
            self._rest(event, outcome, out)
        else:
            self._finish(event.task, outcome, out)

    def _rest(self, event: Ended, outcome: Outcome, out: list[Instruction]) -> None:
        """The attempt failed for a reason that passes: another one, after a while."""
        before = self._active[event.task]
        ask = ASK_FOR_STRUCTURE if outcome.reason == "no_structure" else GO_ON
        rested = _Active(before.attempt + 1, before.conversation_id, ask)
        rested.outcome = outcome
        self._active[event.task] = rested
        self._phase[event.task] = RESTING
        self._n_resting += 1
        delay_s = backoff_s(outcome.reason, before.attempt, self._chance())
        self._set_timer(event.at + delay_s, event.task)
        out.append(Rest(event.task, outcome, delay_s))

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
            if self._phase[task] in (PENDING, RESTING):
                self._finish(task, Outcome(states.CANCELLED, "cancelled"), out)
            elif self._phase[task] != ENDED:
                self._active[task].unwanted = True
                if self._phase[task] != STOPPING:
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
        self._n_resting -= self._phase[task] == RESTING
        self._active.pop(task, None)
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
            if self._phase[task] == RESTING:
                self._ready.append(task)
            elif self._phase[task] == STOPPING:
                if active.kill_at is not None and at >= active.kill_at:
                    active.kill_at = None
                    out.append(Kill(task))
            elif active.timeout_at is not None and at >= active.timeout_at:
                self._stop(task, "timeout", at, out)
            elif plan.silence_s is not None:
                out.append(Listen(task))

    def _dispatch(self, out: list[Instruction]) -> None:
        over = self._budget_usd is not None and self.spent_usd >= self._budget_usd
        if over and self._n_resting:
            self._ready.extend(task for task in self._active if self._phase[task] == RESTING)
        while over or self.n_active < self._limit:
            task = self._next_task()
            if task is None:
                break
            if over:
                self._over_budget(task, out)
            else:
                self._start(task, out)
        if self._n_ended == len(self._plans) and not self._end_told:
            self._end_told = True
            cancelled = self._cancel_all and self._n_cancelled
            out.append(End(states.CANCELLED if cancelled else states.COMPLETED))

    def _next_task(self) -> int | None:
        """The next task that could start: one that has rested, else a pending one."""
        while self._ready:
            task = self._ready.popleft()
            if self._phase[task] == RESTING:
                return task
        while self._next < len(self._plans):
            self._next += 1
            if self._phase[self._next - 1] == PENDING:
                return self._next - 1
        return None

    def _start(self, task: int, out: list[Instruction]) -> None:
        if self._phase[task] == RESTING:
            self._n_resting -= 1
        else:
            self._active[task] = _Active(1, self._new_id())
        active = self._active[task]
        self._phase[task] = STARTING
        out.append(Start(task, active.attempt, active.conversation_id, active.resume))

    def _over_budget(self, task: int, out: list[Instruction]) -> None:
        """Nothing starts any more: a task that has tried ends as it did, another is skipped."""
        words = f"the session's budget of USD {self._budget_usd} is spent"
        active = self._active.get(task)
        before = active.outcome if active is not None else None
        self._finish(task, before or Outcome(states.SKIPPED, "budget", words), out)
