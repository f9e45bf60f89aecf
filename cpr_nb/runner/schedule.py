"""The state machine of a session: events in, instructions out.

Pure: it has no clock, no files, no processes, no chance. Time (seconds of a clock that never
goes back) comes in with each event, and whoever performs the instructions tells what came of
them by further events. Hypothesis drives it in ``tests/runner/test_schedule_machine.py``.

A task goes pending → starting → running (→ stopping) (→ checking) → ended, or → resting →
starting when there will be another attempt. "Starting" is the time between the intent, which
is journalled, and the process: a crash there can be told.
"""

from __future__ import annotations

from cpr_nb.model import limits, states
from cpr_nb.model.outcome import Outcome, derive
from cpr_nb.model.retry import backoff_s, may_pass
from cpr_nb.runner import messages
from cpr_nb.runner.admission import Admission
from cpr_nb.runner.messages import ASK_FOR_STRUCTURE, CONTINUE
from cpr_nb.runner.task_state import (
    CANCELLED,
    CHECKING,
    ENDED,
    HARVESTING,
    PENDING,
    PREPARING,
    RESTING,
    RUNNING,
    STARTING,
    STOPPING,
    AttemptState,
    RestoredTask,
    TaskPlan,
    checked_outcome,
    prepared_outcome,
    silence_deadline,
)
from cpr_nb.runner.task_table import TaskTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import ClassVar

    from cpr_nb.runner.messages import Event, Instruction

#: What a task is stopped for that a limit refused: it would be too slow each time.
TOO_SLOW = ("timeout", "silence", "no_first_byte")
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
        past: Mapping[int, RestoredTask] | None = None,
        spent_usd: float = 0.0,
    ) -> None:
        self._plans = plans
        self._new_id = new_id
        self._chance = chance
        self._admission = Admission(len(plans), max_parallel, budget_usd, groups, spent_usd)
        self._book = TaskTable(len(plans))
        self._cancel_all = False
        self._begun = False
        self._end_told = False
        self._told: tuple[str, str, str, float | None] = (states.RUNNING, "", "", None)
        for task, found in (past or {}).items():
            self._admission.queue.leave_out(task)
            self._book.take_up(task, found)
            if self._book.phase[task] == RESTING:
                self._admission.queue.put_back(task)

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
        if self._book.n_ended == self._book.n_tasks:
            if not self._end_told:
                self._end_told = True
                cancelled = self._cancel_all and self._book.n_cancelled
                out.append(messages.End(states.CANCELLED if cancelled else states.COMPLETED))
            return out  # nothing follows the end
        told = self._admission.told
        if self._told != told:
            self._told = told
            out.append(messages.ReportState(*told))
        return out

    @property
    def next_at(self) -> float | None:
        """When the machine wants a `Tick`, or None."""
        admission = self._admission
        moments = (admission.start_at, admission.governor.probe_at, self._book.next_at)
        return min((at for at in moments if at is not None), default=None)

    @property
    def n_active(self) -> int:
        """How many tasks are between their intent and their end."""
        return self._book.n_active

    @property
    def spent_usd(self) -> float:
        """What is known to have been spent."""
        return self._admission.spent_usd

    def phase(self, task: int) -> int:
        """One of the phases of `cpr_nb.runner.task_state`."""
        return self._book.phase[task]

    # -- processes --------------------------------------------------------------------------

    def _started(self, event: messages.Started, out: list[Instruction]) -> None:
        active = self._book.active[event.task]
        active.started_at = event.at
        active.conversation_id = event.conversation_id or active.conversation_id
        plan = self._plans[event.task]
        if self._book.phase[event.task] != STARTING:  # cancelled between the intent and the process
            self._book.tell_stop(event.task, event.at, out)
            return
        self._book.phase[event.task] = RUNNING
        for limit_s in (plan.timeout_s, plan.silence_s, plan.first_byte_s):
            if limit_s is not None:
                self._book.set_timer(event.at + limit_s, event.task)

    def _postponed(self, event: messages.Postponed, out: list[Instruction]) -> None:
        task = event.task
        self._admission.postponed(task, event.at)
        if self._book.phase[task] == STOPPING:
            self._finish(task, CANCELLED, out)
        else:
            self._book.rest(task, self._book.active[task])
            self._admission.queue.put_first(task)

    def _ended(self, event: messages.Ended, out: list[Instruction]) -> None:
        task, governor = event.task, self._admission.governor
        active, plan = self._book.active[task], self._plans[task]
        event.exit.cause = active.cause
        outcome = derive(event.exit, schema=plan.schema, fail_on_denied=plan.fail_on_denied)
        good = outcome.outcome == states.SUCCEEDED
        self._admission.spent_usd += event.cost_usd or 0.0
        self._admission.queue.ended(task)
        stopped = active.unwanted or active.cause not in (None, *TOO_SLOW)
        limit = None if good or stopped else event.limit
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
        ask = ASK_FOR_STRUCTURE if outcome.reason == "no_structure" else CONTINUE
        self._book.rest(task, self._book.active[task].next(ask, outcome, counted=counted))
        if delay_s:
            self._book.set_timer(event.at + delay_s, task)
        else:
            self._admission.queue.put_back(task)
        out.append(messages.Rest(task, outcome, delay_s, counted=counted))

    def _heard(self, event: messages.OutputPolled, out: list[Instruction]) -> None:
        task = event.task
        if self._book.phase[task] != RUNNING:
            return
        due = silence_deadline(self._plans[task], self._book.active[task].started_at, event)
        if due is not None and event.at >= due[0]:
            self._book.stop(task, due[1], event.at, out)
        elif due is not None:
            self._book.set_timer(due[0], task)

    # -- the user's own check ---------------------------------------------------------------

    def _check(self, task: int, at: float, out: list[Instruction]) -> None:
        active, plan = self._book.active[task], self._plans[task]
        self._book.phase[task] = CHECKING
        active.cause = None  # a task that was stopped after its good answer is checked too
        if plan.check_timeout_s is not None:
            active.timeout_at = at + plan.check_timeout_s
            self._book.set_timer(active.timeout_at, task)
        out.append(messages.Check(task))

    def _checked(self, event: messages.Checked, out: list[Instruction]) -> None:
        task = event.task
        outcome = checked_outcome(self._plans[task], self._book.active[task], event.error)
        self._finish(task, outcome, out)

    # -- the API ----------------------------------------------------------------------------

    def _responded(self, event: messages.Responded, _out: list[Instruction]) -> None:
        active = self._book.active.get(event.task)
        if active is not None and self._book.phase[event.task] in (RUNNING, STOPPING):
            active.answered = True
            active.refused_at = -1.0  # that trouble is over
            self._admission.answer_came(event.task, event.at)

    def _throttled(self, event: messages.Throttled, out: list[Instruction]) -> None:
        task = event.task
        if self._book.phase[task] == RUNNING:
            too_many = self._admission.throttled(event, self.n_active)
            if too_many and not self._book.active[task].answered:
                self._book.stop(task, "throttled", event.at, out)

    def _limited(self, event: messages.Limited, _out: list[Instruction]) -> None:
        if self._book.phase[event.task] == RUNNING and self._admission.governor.probe != event.task:
            self._admission.limited(event.at, event.limit, event.task)

    def _limit_met(
        self, event: messages.Ended, limit: limits.Limit, outcome: Outcome, out: list[Instruction]
    ) -> None:
        """A task ended at a limit that concerns all: it waits with them, and is not burnt."""
        active = self._book.active[event.task]
        if limit.kind == limits.LOGIN and 0.0 <= active.refused_at < self._admission.answered_at:
            # Others were answered since it was refused before: this is its own affair.
            self._admission.withdraw(event.task, event.at)
            self._finish(event.task, outcome, out)
            return
        self._admission.limited(event.at, limit, event.task)
        self._rest(event, outcome, 0.0, out, counted=False)
        self._book.active[event.task].refused_at = event.at

    # -- what people ask --------------------------------------------------------------------

    def _cancel(self, event: messages.Cancel, out: list[Instruction]) -> None:
        tasks: Sequence[int] = [event.task]
        if event.task < 0:
            tasks = range(len(self._plans))
            self._cancel_all = True
        for task in tasks:
            if self._book.phase[task] in (PENDING, RESTING):
                self._finish(task, CANCELLED, out)
            elif self._book.phase[task] not in (HARVESTING, ENDED):
                self._book.active[task].unwanted = True
                if self._book.phase[task] != STOPPING:
                    self._book.stop(task, "cancelled", event.at, out)
                elif self._book.active[task].cause == "throttled":
                    self._book.active[task].cause = "cancelled"

    # -- steps ------------------------------------------------------------------------------

    def _finish(self, task: int, outcome: Outcome, out: list[Instruction]) -> None:
        """A task ends, once what it left in its own checkout is safe."""
        self._admission.queue.ended(task)  # it may have led without having started
        active = self._book.active.get(task)
        if active is None or not active.prepared:
            self._book.finish(task, outcome, out)
            return
        self._book.begin(task, active, HARVESTING)
        active.outcome = outcome
        out.append(messages.Harvest(task, outcome))

    # -- its own checkout -------------------------------------------------------------------

    def _prepared(self, event: messages.Prepared, out: list[Instruction]) -> None:
        task, active = event.task, self._book.active[event.task]
        active.prepared = event.exists
        outcome = prepared_outcome(self._plans[task], active, event.outcome)
        if outcome is not None:
            self._admission.withdraw(task, event.at)
            self._finish(task, outcome, out)
        elif self._admission.may_go_on(task):
            self._start(task, event.at, out)
        else:  # a pause, a limit or a full disk came meanwhile
            self._book.rest(task, active)
            self._admission.queue.put_first(task)

    def _harvested(self, event: messages.Harvested, out: list[Instruction]) -> None:
        self._book.finish(event.task, self._book.active[event.task].outcome or CANCELLED, out)

    def _run_timers(self, at: float, out: list[Instruction]) -> None:
        probe_at = self._admission.governor.probe_at
        if probe_at is not None and at >= probe_at:
            self._admission.governor.may_probe()
        for task, active in self._book.due(at):
            self._timer_rang(task, active, at, out)

    def _timer_rang(
        self, task: int, active: AttemptState, at: float, out: list[Instruction]
    ) -> None:
        phase, plan = self._book.phase[task], self._plans[task]
        if phase == RESTING:
            self._admission.queue.put_back(task)
        elif phase == STOPPING:
            if active.kill_at is not None and at >= active.kill_at:
                active.kill_at = None
                out.append(messages.Kill(task))
        elif phase in (CHECKING, PREPARING):
            if active.timeout_at is not None and at >= active.timeout_at:
                cause = "check_timeout" if phase == CHECKING else "setup_timeout"
                self._book.stop(task, cause, at, out)
        elif phase != RUNNING:
            return
        elif plan.timeout_s is not None and at >= active.started_at + plan.timeout_s:
            self._book.stop(task, "timeout", at, out)
        elif plan.silence_s is not None or plan.first_byte_s is not None:
            out.append(messages.PollOutput(task))

    def _dispatch(self, at: float, out: list[Instruction]) -> None:
        if self._admission.over_budget and self._book.n_waiting:
            self._end_what_waits(out)
        while (task := self._admission.next_task(at, self.n_active, self._book.waits)) is not None:
            self._start(task, at, out)

    def _start(self, task: int, at: float, out: list[Instruction]) -> None:
        active = self._book.active.get(task) or AttemptState(1, self._new_id())
        plan = self._plans[task]
        if plan.worktree and not active.prepared:
            self._book.begin(task, active, PREPARING)
            if plan.setup_timeout_s is not None:
                active.timeout_at = at + plan.setup_timeout_s
                self._book.set_timer(active.timeout_at, task)
            out.append(messages.Prepare(task))
            return
        self._book.begin(task, active)
        out.append(messages.Start(task, active.attempt, active.conversation_id, active.resume))

    def _end_what_waits(self, out: list[Instruction]) -> None:
        """Nothing starts any more: a task that has tried ends as it did, another is skipped."""
        words = self._admission.budget_words
        for task in range(len(self._plans)):
            if self._book.waits(task):
                active = self._book.active.get(task)
                before = active.outcome if active is not None else None
                self._finish(task, before or Outcome(states.SKIPPED, "budget", words), out)

    _HANDLERS: ClassVar[dict[type, Callable[..., None]]] = {
        messages.Started: _started,
        messages.Postponed: _postponed,
        messages.Ended: _ended,
        messages.OutputPolled: _heard,
        messages.Responded: _responded,
        messages.Throttled: _throttled,
        messages.Limited: _limited,
        messages.Checked: _checked,
        messages.Prepared: _prepared,
        messages.Harvested: _harvested,
        messages.Cancel: _cancel,
    }
