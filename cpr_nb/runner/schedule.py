"""The state machine of a session: events in, instructions out.

Pure: it has no clock, no files, no processes, no chance. Time (seconds of a clock that never
goes back) comes in with each event, and whoever performs the instructions tells what came of
them by further events. Hypothesis drives it in ``tests/runner/test_schedule_machine.py``.

A task goes pending → starting → running (→ stopping) (→ checking) → ended, or → resting →
starting when there will be another attempt. "Starting" is the time between the intent, which
is journalled, and the process: a crash there can be told.
"""

from __future__ import annotations

import heapq

from cpr_nb.model import limits, states
from cpr_nb.model.outcome import Outcome, derive
from cpr_nb.model.retry import backoff_s, may_pass
from cpr_nb.runner import messages
from cpr_nb.runner.admission import Admission
from cpr_nb.runner.messages import ASK_FOR_STRUCTURE, GO_ON
from cpr_nb.runner.plans import (
    CHECKING,
    ENDED,
    PENDING,
    RESTING,
    RUNNING,
    STARTING,
    STOPPING,
    Active,
    Past,
    TaskPlan,
    quiet_until,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import ClassVar

    from cpr_nb.runner.messages import Event, Instruction

#: How long a task may take to end after SIGTERM; the CLI needs about 1.6 s (measured).
GRACE_S = 10.0
TOO_SLOW = ("timeout", "silence", "no_first_byte")
CANCELLED = Outcome(states.CANCELLED, "cancelled")
INTERRUPTED = Outcome(states.LOST, "vanished", "interrupted together with its runner")


class Schedule:
    """Decides what runs when.

    Args:
        plans: One plan a task, in order.
        max_parallel: How many may run at once; 0 for no limit.
        new_id: Gives the id of a new conversation.
        chance: Gives numbers from 0 to 1, for the jitter of retries.
        budget_usd: No task starts any more once this is spent; None for no limit.
        groups: The group of each task if one of a group is to lead (see `Queue`).
        past: What an earlier runner left of tasks that it had begun. Of those that had a
            process, `Started` must be told, and `Ended` if it is gone.
        spent_usd: What they have cost.

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
        groups: Sequence[int] | None = None,
        past: Mapping[int, Past] | None = None,
        spent_usd: float = 0.0,
    ) -> None:
        self._plans = plans
        self._new_id = new_id
        self._chance = chance
        self._admission = Admission(len(plans), max_parallel, budget_usd, groups, spent_usd)
        self._phase = bytearray(len(plans))
        self._n_ended = 0
        self._active: dict[int, Active] = {}
        self._timers: list[tuple[float, int, int]] = []  # (at, task, attempt)
        self._n_resting = 0
        self._n_cancelled = 0
        self._cancel_all = False
        self._begun = False
        self._end_told = False
        self._told: tuple[str, str, str, float | None] = (states.RUNNING, "", "", None)
        for task, found in (past or {}).items():
            self._take_up(task, found)

    def handle(self, event: Event) -> list[Instruction]:
        """Takes one event.

        Args:
            event: What happened. Nothing starts before the first `Tick`.

        Returns:
            What to do, in this order.
        """
        out: list[Instruction] = []
        handler = self._HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event, out)
        elif not self._admission.handle(event):
            self._begun = True  # a Tick
        self._run_timers(event.at, out)
        if self._begun:
            self._dispatch(event.at, out)
        if self._n_ended == len(self._plans):
            if not self._end_told:
                self._end_told = True
                cancelled = self._cancel_all and self._n_cancelled
                out.append(messages.End(states.CANCELLED if cancelled else states.COMPLETED))
            return out  # nothing follows the end
        told = self._admission.told
        if self._told != told:
            self._told = told
            out.append(messages.Tell(*told))
        return out

    @property
    def next_at(self) -> float | None:
        """When the machine wants a `Tick`, or None."""
        moments = [self._admission.start_at, self._admission.governor.probe_at]
        if self._timers:
            moments.append(self._timers[0][0])
        return min((at for at in moments if at is not None), default=None)

    @property
    def n_active(self) -> int:
        """How many tasks are between their intent and their end."""
        return len(self._active) - self._n_resting

    @property
    def spent_usd(self) -> float:
        """What is known to have been spent."""
        return self._admission.spent_usd

    def phase(self, task: int) -> int:
        """One of the phases of `cpr_nb.runner.plans`."""
        return self._phase[task]

    # -- processes --------------------------------------------------------------------------

    def _started(self, event: messages.Started, out: list[Instruction]) -> None:
        active = self._active[event.task]
        active.started_at = event.at
        active.conversation_id = event.conversation_id or active.conversation_id
        plan = self._plans[event.task]
        if self._phase[event.task] != STARTING:  # cancelled between the intent and the process
            self._tell_stop(event.task, active, event.at, out)
            return
        self._phase[event.task] = RUNNING
        for limit_s in (plan.timeout_s, plan.silence_s, plan.first_byte_s):
            if limit_s is not None:
                self._set_timer(event.at + limit_s, event.task)

    def _postponed(self, event: messages.Postponed, out: list[Instruction]) -> None:
        task = event.task
        self._admission.postponed(task, event.at)
        if self._phase[task] == STOPPING:
            self._finish(task, CANCELLED, out)
        else:
            self._phase[task] = RESTING
            self._n_resting += 1
            self._admission.queue.put_first(task)

    def _ended(self, event: messages.Ended, out: list[Instruction]) -> None:
        task, governor = event.task, self._admission.governor
        active, plan = self._active[task], self._plans[task]
        event.exit.cause = active.cause
        outcome = derive(event.exit, schema=plan.schema, fail_on_denied=plan.fail_on_denied)
        good = outcome.outcome == states.SUCCEEDED
        self._admission.spent_usd += event.cost_usd or 0.0
        self._admission.queue.ended(task)
        limit = None if good else _limit_of(active, event)
        if good:
            self._admission.answer_came(task, event.at)
            governor.ended(self.n_active)
        elif governor.probe == task and limit is None:
            self._admission.probe_failed(outcome, event.at)
        if active.unwanted:
            unchecked = good and plan.check
            self._finish(task, CANCELLED if unchecked else outcome, out)
        elif limit is not None:
            self._limit_met(event, limit, outcome, out)
        elif event.interrupted and active.cause is None and event.exit.result is None:
            self._rest(event, INTERRUPTED, 0.0, out, counted=False)
        elif active.cause == "throttled" and not good:
            self._rest(event, outcome, 0.0, out, counted=False)
        elif active.n_counted < plan.attempts and may_pass(outcome):
            delay_s = backoff_s(outcome.reason, active.n_counted, self._chance())
            self._rest(event, outcome, delay_s, out, counted=True)
        elif good and plan.check:
            self._check(task, event.at, out)
        else:
            self._finish(task, outcome, out)

    def _rest(
        self,
        event: messages.Ended,
        outcome: Outcome,
        delay_s: float,
        out: list[Instruction],
        *,
        counted: bool,
    ) -> None:
        """There will be another attempt, after a while."""
        task = event.task
        ask = ASK_FOR_STRUCTURE if outcome.reason == "no_structure" else GO_ON
        self._active[task] = self._active[task].next(ask, outcome, counted=counted)
        self._phase[task] = RESTING
        self._n_resting += 1
        if delay_s:
            self._set_timer(event.at + delay_s, task)
        else:
            self._admission.queue.put_back(task)
        out.append(messages.Rest(task, outcome, delay_s, counted=counted))

    def _heard(self, event: messages.Heard, out: list[Instruction]) -> None:
        task = event.task
        if self._phase[task] != RUNNING:
            return
        due = quiet_until(self._plans[task], self._active[task].started_at, event)
        if due is not None and event.at >= due[0]:
            self._stop(task, due[1], event.at, out)
        elif due is not None:
            self._set_timer(due[0], task)

    # -- the user's own check ---------------------------------------------------------------

    def _check(self, task: int, at: float, out: list[Instruction]) -> None:
        active, plan = self._active[task], self._plans[task]
        self._phase[task] = CHECKING
        active.cause = None  # a task that was stopped after its good answer is checked too
        if plan.check_timeout_s is not None:
            active.timeout_at = at + plan.check_timeout_s
            self._set_timer(active.timeout_at, task)
        out.append(messages.Check(task))

    def _checked(self, event: messages.Checked, out: list[Instruction]) -> None:
        active = self._active[event.task]
        if active.unwanted:
            outcome = CANCELLED
        elif active.cause == "check_timeout":
            words = f"the check took longer than {self._plans[event.task].check_timeout_s:g} s"
            outcome = Outcome(states.FAILED, "check_failed", words)
        elif event.error:
            outcome = Outcome(states.FAILED, "check_failed", event.error)
        else:
            outcome = Outcome(states.SUCCEEDED, "completed")
        self._finish(event.task, outcome, out)

    # -- the API ----------------------------------------------------------------------------

    def _responded(self, event: messages.Responded, _out: list[Instruction]) -> None:
        active = self._active.get(event.task)
        if active is not None and self._phase[event.task] in (RUNNING, STOPPING):
            active.answered = True
            active.limit, active.refused_at = None, -1.0  # that trouble is over
            self._admission.answer_came(event.task, event.at)

    def _throttled(self, event: messages.Throttled, out: list[Instruction]) -> None:
        task = event.task
        if self._phase[task] == RUNNING:
            too_many = self._admission.throttled(event, self.n_active)
            if too_many and not self._active[task].answered:
                self._stop(task, "throttled", event.at, out)

    def _limited(self, event: messages.Limited, _out: list[Instruction]) -> None:
        if self._phase[event.task] == RUNNING:
            self._active[event.task].limit = event.limit
            if self._admission.governor.probe != event.task:
                self._admission.limited(event.at, event.limit, event.task)

    def _limit_met(
        self,
        event: messages.Ended,
        limit: limits.Limit,
        outcome: Outcome,
        out: list[Instruction],
    ) -> None:
        """A task ended at a limit that concerns all: it waits with them, and is not burnt."""
        active = self._active[event.task]
        if limit.kind == limits.LOGIN and 0.0 <= active.refused_at < self._admission.answered_at:
            # Others were answered since it was refused before: this is its own affair.
            if self._admission.governor.probe == event.task:
                self._admission.governor.probe_withdrawn(event.at)
            self._finish(event.task, outcome, out)
            return
        self._admission.limited(event.at, limit, event.task)
        self._rest(event, outcome, 0.0, out, counted=False)
        self._active[event.task].refused_at = event.at

    # -- what people ask --------------------------------------------------------------------

    def _cancel(self, event: messages.Cancel, out: list[Instruction]) -> None:
        tasks: Sequence[int] = [event.task]
        if event.task < 0:
            tasks = range(len(self._plans))
            self._cancel_all = True
        for task in tasks:
            if self._phase[task] in (PENDING, RESTING):
                self._finish(task, CANCELLED, out)
            elif self._phase[task] != ENDED:
                self._active[task].unwanted = True
                if self._phase[task] != STOPPING:
                    self._stop(task, "cancelled", event.at, out)
                elif self._active[task].cause == "throttled":
                    self._active[task].cause = "cancelled"

    # -- steps ------------------------------------------------------------------------------

    def _take_up(self, task: int, past: Past) -> None:
        """Puts a task where an earlier runner left it."""
        self._admission.queue.leave_out(task)
        if past.outcome is not None and past.active is None:
            self._phase[task] = ENDED
            self._n_ended += 1
            self._n_cancelled += past.outcome.outcome == states.CANCELLED
            return
        assert past.active is not None  # noqa: S101 - for the type checker
        self._active[task] = past.active
        if past.outcome is not None:  # between two attempts
            self._phase[task] = RESTING
            self._n_resting += 1
            self._admission.queue.put_back(task)
        else:
            self._phase[task] = STOPPING if past.active.cause else STARTING

    def _stop(self, task: int, cause: str, at: float, out: list[Instruction]) -> None:
        active = self._active[task]
        active.cause = cause
        has_process = self._phase[task] != STARTING  # else `Started` will tell
        self._phase[task] = STOPPING
        if has_process:
            self._tell_stop(task, active, at, out)

    def _tell_stop(self, task: int, active: Active, at: float, out: list[Instruction]) -> None:
        out.append(messages.Stop(task, active.cause or "cancelled"))
        active.kill_at = at + GRACE_S
        self._set_timer(active.kill_at, task)

    def _finish(self, task: int, outcome: Outcome, out: list[Instruction]) -> None:
        self._n_resting -= self._phase[task] == RESTING
        self._admission.queue.ended(task)  # it may have led without having started
        self._active.pop(task, None)
        self._phase[task] = ENDED
        self._n_ended += 1
        self._n_cancelled += outcome.outcome == states.CANCELLED
        out.append(messages.Finish(task, outcome))

    def _set_timer(self, at: float, task: int) -> None:
        heapq.heappush(self._timers, (at, task, self._active[task].attempt))

    def _run_timers(self, at: float, out: list[Instruction]) -> None:
        probe_at = self._admission.governor.probe_at
        if probe_at is not None and at >= probe_at:
            self._admission.governor.may_probe()
        while self._timers and self._timers[0][0] <= at:
            _, task, attempt = heapq.heappop(self._timers)
            active = self._active.get(task)
            if active is not None and active.attempt == attempt:  # else that attempt is over
                self._timer_rang(task, active, at, out)

    def _timer_rang(self, task: int, active: Active, at: float, out: list[Instruction]) -> None:
        phase, plan = self._phase[task], self._plans[task]
        if phase == RESTING:
            self._admission.queue.put_back(task)
        elif phase == STOPPING:
            if active.kill_at is not None and at >= active.kill_at:
                active.kill_at = None
                out.append(messages.Kill(task))
        elif phase == CHECKING:
            if active.timeout_at is not None and at >= active.timeout_at:
                self._stop(task, "check_timeout", at, out)
        elif plan.timeout_s is not None and at >= active.started_at + plan.timeout_s:
            self._stop(task, "timeout", at, out)
        elif plan.silence_s is not None or plan.first_byte_s is not None:
            out.append(messages.Listen(task))

    def _dispatch(self, at: float, out: list[Instruction]) -> None:
        if self._admission.over_budget and len(self._plans) > self._n_ended + self.n_active:
            self._end_what_waits(out)
        while (task := self._admission.next_task(at, self.n_active, self._waits)) is not None:
            self._start(task, out)

    def _waits(self, task: int) -> bool:
        return self._phase[task] in (PENDING, RESTING)

    def _start(self, task: int, out: list[Instruction]) -> None:
        if self._phase[task] == RESTING:
            self._n_resting -= 1
        else:
            self._active[task] = Active(1, self._new_id())
        active = self._active[task]
        self._phase[task] = STARTING
        out.append(messages.Start(task, active.attempt, active.conversation_id, active.resume))

    def _end_what_waits(self, out: list[Instruction]) -> None:
        """Nothing starts any more: a task that has tried ends as it did, another is skipped."""
        words = self._admission.budget_words
        for task in range(len(self._plans)):
            if self._waits(task):
                active = self._active.get(task)
                before = active.outcome if active is not None else None
                self._finish(task, before or Outcome(states.SKIPPED, "budget", words), out)

    _HANDLERS: ClassVar[dict[type, Callable[..., None]]] = {
        messages.Started: _started,
        messages.Postponed: _postponed,
        messages.Ended: _ended,
        messages.Heard: _heard,
        messages.Responded: _responded,
        messages.Throttled: _throttled,
        messages.Limited: _limited,
        messages.Checked: _checked,
        messages.Cancel: _cancel,
    }


def _limit_of(active: Active, event: messages.Ended) -> limits.Limit | None:
    """The limit at which a task ended that has no good answer."""
    if active.cause is None:
        return event.limit
    # What was too slow because a limit refused it would be too slow each time.
    return active.limit if active.cause in TOO_SLOW else None
