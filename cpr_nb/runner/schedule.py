"""The state machine of a session: events in, instructions out.

Pure: it has no clock, no files, no processes, no randomness. Time (seconds of a clock that never
goes back) comes with each event. Whoever performs the instructions reports what came of them by
further events. Hypothesis drives it in ``tests/runner/test_schedule_machine.py``.

``docs/states.md`` lists the states of a task and every transition. "Starting" is the time
between the intent, which is journalled, and the process: it makes a crash there visible.
"""

from __future__ import annotations

from cpr_nb.model import limits, states
from cpr_nb.model.backoff import backoff_s, may_pass
from cpr_nb.model.outcome import LINGERED, Outcome, derive
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.admission import Admission
from cpr_nb.runner.early_ends import EarlyEnds
from cpr_nb.runner.governor import LOGIN_WAIT_S
from cpr_nb.runner.machine_holds import MACHINE_WAIT_S
from cpr_nb.runner.machine_waits import MachineWaits
from cpr_nb.runner.refusals import Refusals
from cpr_nb.runner.task_state import (
    CANCELLED_OUTCOME,
    TaskPlan,
    checked_outcome,
    prepared_outcome,
    shared_limit,
    uncounted_outcome,
)
from cpr_nb.runner.task_steps import TaskSteps
from cpr_nb.runner.task_table import TaskTable
from cpr_nb.runner.time_limits import TimeLimits
from cpr_nb.runner.transitions import (
    ADMITTED,
    CLOSED,
    HARVESTING,
    PENDING,
    RESTING,
    RUNNING,
    STARTING,
    TERMINATING,
    TIMER,
    IllegalTransition,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cpr_nb.model.limits import Limit
    from cpr_nb.runner.budget import Budget
    from cpr_nb.runner.growth import Growth
    from cpr_nb.runner.instructions import Instruction
    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.task_state import RestoredTask


class Schedule:
    """Decides what runs when.

    Args:
        plans: One plan per task, in order.
        max_parallel: How many may run at once; 0 for no limit.
        new_id: Returns the id of a new conversation.
        chance: Returns numbers from 0 to 1, for the jitter of retries.
        budget: What they may cost together, and what was spent already; None for no limit.
        groups: The group of each task if one of a group is to lead (see `Queue`).
        restored: Where an earlier runner left the tasks that it had begun. Those that had a
            process need a `Started`, and an `Ended` if it is gone.
        login_wait_s: How long to wait for a login.
        machine_wait_s: How long to wait for the machine.
        growth: How many run at once by default; None if ``max_parallel`` is the user's own.
        has_worked: Whether any task has worked for an earlier runner.
        order: The tasks in the order in which they start; None: as they are numbered.
        on_illegal: Called with each `IllegalTransition`, whose task then fails alone, for the
            reason ``internal``. None: it is raised.

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
        budget: Budget | None = None,
        groups: Sequence[int] | None = None,
        restored: Mapping[int, RestoredTask] | None = None,
        login_wait_s: float = LOGIN_WAIT_S,
        machine_wait_s: float = MACHINE_WAIT_S,
        growth: Growth | None = None,
        has_worked: bool = False,
        order: Sequence[int] | None = None,
        on_illegal: Callable[[IllegalTransition], None] | None = None,
    ) -> None:
        self._plans = plans
        self._chance = chance
        self._on_illegal = on_illegal
        self._admission = Admission(
            len(plans), max_parallel, budget, groups, login_wait_s, machine_wait_s, growth, order
        )
        self._only_ticks = False
        self._tasks = TaskTable(len(plans))
        self._steps = TaskSteps(plans, self._admission, self._tasks, new_id)
        self._machine = MachineWaits(
            plans, self._admission, self._tasks, self._steps, has_worked=has_worked
        )
        self._refusals = Refusals(self._admission, self._tasks, self._steps)
        self._limits = TimeLimits(plans, self._tasks, self._steps, self._admission.queue)
        self._ends = EarlyEnds(self._tasks, self._steps, self._machine)
        self._begun = False
        self._end_reported = False
        self._reported: tuple[object, ...] = (states.RUNNING, "", "", None, None)
        self._handlers: dict[type, Callable[..., None]] = {
            messages.Started: self._started,
            messages.Postponed: self._machine.postponed,
            messages.Unplaced: self._machine.unplaced,
            messages.Began: self._machine.began,
            messages.Ended: self._ended,
            messages.OutputPolled: self._output_polled,
            messages.Responded: self._refusals.responded,
            messages.Throttled: self._refusals.throttled,
            messages.SetupRefused: self._setup_refused,
            messages.Limited: self._refusals.limited,
            messages.Lingering: self._lingering,
            messages.Spent: self._spent,
            messages.Checked: self._checked,
            messages.Prepared: self._prepared,
            messages.Harvested: self._harvested,
            messages.Close: self._ends.close,
        }
        for task, restored_task in (restored or {}).items():
            self._admission.queue.leave_out(task)
            self._tasks.restore(task, restored_task)
            if self._tasks.state[task] == RESTING:
                self._admission.queue.put_back(task)
            elif self._tasks.state[task] in (STARTING, TERMINATING):
                self._admission.budget.begin(task)

    def follow_rules(self, held: Iterable[int]) -> None:
        """From now on tasks start at a `Tick` only, so that the session's rules decide before.

        Args:
            held: The tasks that they hold back until a `Release`.
        """
        self._only_ticks = True
        for task in held:
            self._admission.queue.leave_out(task)

    def wait_first(self, limits: Sequence[Limit]) -> None:
        """Has the session wait for these before its first task, one after the other."""
        self._admission.governor.begin_with(limits)

    def handle(self, event: Event) -> list[Instruction]:
        """Handles one event.

        Args:
            event: What happened. Nothing starts before the first `Tick`.

        Returns:
            What to do, in this order.

        Raises:
            IllegalTransition: If a task can't have this event, and there is no ``on_illegal``.
        """
        out = self._steps.out = []
        handler = self._handlers.get(type(event))
        if handler is not None:
            self._step(event.task, type(event).__name__, event.at_s, handler, event)
        elif isinstance(event, messages.Cancel):
            for task in self._ends.cancelled(event):
                self._step(task, "Cancel", event.at_s, self._ends.cancel, task, event.at_s)
        elif not self._admission.handle(event):
            self._begun = True  # a Tick
        self._run_timers(event.at_s)
        if self._begun and (isinstance(event, messages.Tick) or not self._only_ticks):
            self._dispatch(event.at_s)
        self._report()
        return out

    def _step(
        self, task: int, name: str, at_s: float, handler: Callable[..., None], *args: object
    ) -> None:
        """Handles what concerns one task; an illegal transition is the end of that task only."""
        tasks = self._tasks
        tasks.event, tasks.at_s = name, at_s
        try:
            tasks.require(task)
            handler(*args)
        except IllegalTransition as error:
            if self._on_illegal is None:
                raise
            self._on_illegal(error)
            self._steps.abandon(error, at_s)
        tasks.remember(task)

    def _report(self) -> None:
        """Reports the end of the session, or what changed in its own state."""
        tasks, out = self._tasks, self._steps.out
        if tasks.n_ended == tasks.n_tasks:
            if not self._end_reported:  # and nothing follows the end
                self._end_reported = True
                cancelled = self._ends.all_cancelled and tasks.n_cancelled
                out.append(instructions.End(states.CANCELLED if cancelled else states.COMPLETED))
            return
        report = self._admission.state_report(tasks.n_waiting)
        if self._reported != report:
            self._reported = report
            out.append(instructions.ReportState(*report))
        if parallel := self._admission.governor.parallel_report():
            out.append(instructions.ReportParallel(*parallel))

    def wants_load(self) -> bool:
        """Whether it matters how busy the machine is (`Measured`)."""
        return bool(self._admission.governor.growth and self._tasks.n_waiting)

    @property
    def next_at(self) -> float | None:
        """When the machine wants a `Tick`, or None."""
        moments = (*self._admission.moments, self._tasks.next_at)
        return min((at_s for at_s in moments if at_s is not None), default=None)

    @property
    def n_active(self) -> int:
        """How many tasks are between their intent and their end."""
        return self._tasks.n_active

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has cancelled the whole session."""
        return self._ends.all_cancelled

    def is_new(self, task: int) -> bool:
        """Whether a task has not begun."""
        return self._tasks.state[task] == PENDING

    @property
    def capacity(self) -> float:
        """How many tasks may run at once now."""
        return self._admission.governor.capacity

    def may_start_agent(self, task: int) -> bool:
        """Whether a task that is about to start may still do so."""
        return self._tasks.state[task] == STARTING and self._admission.may_start_agent(task)

    @property
    def spent_usd(self) -> float:
        """What is known to have been spent."""
        return self._admission.budget.spent_usd

    def state(self, task: int) -> int:
        """The task's state (see `cpr_nb.runner.transitions`)."""
        return self._tasks.state[task]

    # -- processes --------------------------------------------------------------------------

    def _started(self, event: messages.Started) -> None:
        attempt = self._tasks.attempts[event.task]
        attempt.started_at = event.at_s
        attempt.conversation_id = event.conversation_id or attempt.conversation_id
        self._machine.started(event)
        if self._tasks.state[event.task] == TERMINATING:  # cancelled before it had a process
            self._steps.send_terminate(event.task, event.at_s)
            return
        self._tasks.move(event.task, RUNNING)
        self._limits.started(event.task, event.at_s)

    def _ended(self, event: messages.Ended) -> None:
        attempt, plan = self._tasks.attempts[event.task], self._plans[event.task]
        event.exit.cause = attempt.cause
        if event.interrupted and attempt.cause is None and event.exit.result is not None:
            event.exit.cause = LINGERED  # its turn had ended, and its runner stopped it
        outcome = derive(event.exit, schema=plan.schema, fail_on_denied=plan.fail_on_denied)
        limit = shared_limit(event, attempt, outcome)
        self._admission.attempt_ended(
            event, outcome, self.n_active, at_limit=limit is not None, lingers=attempt.lingers
        )
        self._admission.holds.withdraw(event.task, event.at_s)
        if attempt.cancelled:
            unchecked = plan.check and outcome.outcome == states.SUCCEEDED
            self._steps.finish(event.task, CANCELLED_OUTCOME if unchecked else outcome)
        elif limit is not None and limit.kind == limits.ACCESS:
            self._refusals.end_without_access(event, limit, outcome)
        elif limit is not None:
            self._refusals.wait_at_limit(event, limit, outcome)
        else:
            self._follow(event, outcome)

    def _follow(self, event: messages.Ended, outcome: Outcome) -> None:
        """What follows an attempt that nobody cancelled and no shared limit refused."""
        task, plan = event.task, self._plans[event.task]
        attempt = self._tasks.attempts[task]
        uncounted = uncounted_outcome(event, attempt, outcome)
        if self._machine.bad_start(event, outcome):
            return
        if uncounted is not None:
            self._steps.rest(task, uncounted, event.at_s, 0.0, counted=False)
        elif attempt.n_counted < plan.attempts and may_pass(outcome):
            delay_s = backoff_s(outcome.reason, attempt.n_counted, self._chance())
            self._steps.rest(task, outcome, event.at_s, delay_s, counted=True)
        elif plan.check and outcome.outcome == states.SUCCEEDED:
            self._steps.check(task, event.at_s)
        else:
            self._steps.finish(task, outcome)

    def _output_polled(self, event: messages.OutputPolled) -> None:
        if self._tasks.state[event.task] == RUNNING:
            self._limits.output_polled(event)

    def _lingering(self, event: messages.Lingering) -> None:
        if self._tasks.state[event.task] == RUNNING:
            self._limits.lingering(event)
            self._admission.budget.lingers(event.task, lingers=event.since is not None)

    def _spent(self, event: messages.Spent) -> None:
        budget = self._admission.budget
        if self._tasks.state[event.task] == HARVESTING:  # its end was not counted
            budget.ended(event.task, event.usage.known_usd, event.usage)
        else:
            budget.uses(event.task, event.usage)

    def _checked(self, event: messages.Checked) -> None:
        task = event.task
        plan, attempt = self._plans[task], self._tasks.attempts[task]
        outcome = checked_outcome(plan, attempt, event.error, event.reason)
        self._steps.finish(task, outcome)

    def _setup_refused(self, event: messages.SetupRefused) -> None:
        if self._tasks.state[event.task] == RUNNING:
            self._steps.terminate(event.task, "setup_refused", event.at_s)

    # -- worktrees --------------------------------------------------------------------------

    def _prepared(self, event: messages.Prepared) -> None:
        task, attempt = event.task, self._tasks.attempts[event.task]
        attempt.has_worktree = event.exists or attempt.has_worktree
        attempt.is_prepared = True
        self._machine.prepared()
        outcome = prepared_outcome(self._plans[task], attempt, event.outcome)
        if outcome is not None:
            self._admission.withdraw(task, event.at_s)
            self._steps.finish(task, outcome)
        elif self._admission.may_start_agent(task):
            self._steps.start(task, event.at_s)
        else:  # a pause, a limit or a full disk came meanwhile
            self._admission.withdraw(task, event.at_s)
            self._steps.postpone(task)

    def _harvested(self, event: messages.Harvested) -> None:
        outcome = self._tasks.attempts[event.task].outcome
        self._steps.record_end(event.task, outcome or CANCELLED_OUTCOME)

    # -- time -------------------------------------------------------------------------------

    def _run_timers(self, at_s: float) -> None:
        governor = self._admission.governor
        for task, outcome in self._admission.close_in_time(at_s):
            if self._tasks.waits(task):
                self._step(task, CLOSED, at_s, self._skip, task, outcome)
        self._admission.holds.tick(at_s)
        if governor.probe_at is not None and at_s >= governor.probe_at:
            governor.allow_probe()
        for task in self._tasks.due(at_s):
            self._step(task, TIMER, at_s, self._timer_rang, task, at_s)

    def _timer_rang(self, task: int, at_s: float) -> None:
        if not self._machine.retry_side(task, at_s):
            self._limits.timer_rang(task, at_s)

    def _dispatch(self, at_s: float) -> None:
        """Starts what may start now."""
        admission, tasks = self._admission, self._tasks
        if tasks.n_waiting and (skipped := admission.closed) is not None:
            for task in range(tasks.n_tasks):
                if tasks.waits(task):
                    self._step(task, CLOSED, at_s, self._skip, task, skipped)
        while (next_task := admission.next_task(at_s, self.n_active, tasks.waits)) is not None:
            self._step(next_task, ADMITTED, at_s, self._steps.start, next_task, at_s)

    def _skip(self, task: int, skipped: Outcome) -> None:
        """No more tasks start: this one is skipped, or ends as its last attempt did."""
        attempt = self._tasks.attempts.get(task)
        outcome = attempt.outcome if attempt is not None else None
        # Without a login it is nobody's failure, and it can be resumed.
        self._steps.finish(task, outcome if outcome and skipped.reason == "budget" else skipped)
