"""What may start now: the queue, the governor and the budget together. Pure."""

from __future__ import annotations

from cpr_nb.model import limits, states
from cpr_nb.model.backoff import may_pass
from cpr_nb.model.machine_causes import NO_NODE, NODES, PROCESSES
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.budget import Budget
from cpr_nb.runner.governor import LOGIN_WAIT_S, PATIENCE_S, Governor
from cpr_nb.runner.machine_holds import MACHINE_WAIT_S, MachineHolds
from cpr_nb.runner.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cpr_nb.model.limits import Limit
    from cpr_nb.model.machine_causes import MachineCause
    from cpr_nb.runner.growth import Growth
    from cpr_nb.runner.machine_holds import Hold
    from cpr_nb.runner.messages import Event

#: Ends that, like those which pass, say nothing about what the API would have answered.
INCONCLUSIVE = (states.CANCELLED, states.TIMED_OUT, "spawn", "changed", "usage_error")


class Admission:
    """Lets tasks start.

    Args:
        n_tasks: How many tasks there are.
        max_parallel: How many may run at once; 0 for no limit.
        budget: What the tasks may cost together; None for no limit.
        groups: The group of each task if one of a group is to lead (see `Queue`).
        login_wait_s: How long to wait for a login.
        machine_wait_s: How long to wait for the machine.
        growth: How many run at once by default; None if ``max_parallel`` is the user's own.
        order: The tasks in the order in which they start; None: as they are numbered.

    Example:
        >>> admission = Admission(2, 1)
        >>> admission.next_task(0.0, 0, lambda task: True)
        0
    """

    def __init__(
        self,
        n_tasks: int,
        max_parallel: int,
        budget: Budget | None = None,
        groups: Sequence[int] | None = None,
        login_wait_s: float = LOGIN_WAIT_S,
        machine_wait_s: float = MACHINE_WAIT_S,
        growth: Growth | None = None,
        order: Sequence[int] | None = None,
    ) -> None:
        self._n_tasks = n_tasks
        self._closed: Outcome | None = None  # how tasks end that do not start any more
        self.budget = budget or Budget()
        self.governor = Governor(max_parallel, login_wait_s, growth)
        self.queue = Queue(n_tasks, groups, order)
        self.holds = MachineHolds(machine_wait_s)
        self._n_active = 0
        self._few_processes = False  # that is why fewer tasks run at once
        self.answered_at = -1.0  # when the API last answered any task
        #: When the next task may start if only the spacing of starts holds it back, or None.
        self.start_at: float | None = None

    def handle(self, event: Event) -> bool:
        """Handles an event that concerns the whole session; returns whether it was one."""
        governor = self.governor
        if isinstance(event, messages.Pause):
            governor.paused = self.holds.paused = True
        elif isinstance(event, messages.Resume):
            governor.resumed(event.at_s)
            self.holds.resumed(event.at_s)
        elif isinstance(event, messages.WindowUsed):
            self._window_used(event)
        elif isinstance(event, messages.SetParallel):
            governor.set_parallel(event.max_parallel)
        elif isinstance(event, messages.Slots):
            governor.n_slots = event.n_slots
        elif isinstance(event, messages.Measured):
            if self.answered_at >= 0.0:  # else nobody knows yet whether tasks get answers at all
                governor.measured(event, self._n_active)
        elif isinstance(event, messages.Probe):
            governor.probe_due(event.at_s)
        elif isinstance(event, messages.DiskFull):
            governor.disk = event.reason
        elif isinstance(event, messages.Release):
            self.queue.put_back(event.task)
        elif isinstance(event, messages.DiskFree):
            governor.disk = ""
        else:
            return False
        return True

    def attempt_ended(
        self,
        event: messages.Ended,
        outcome: Outcome,
        n_active: int,
        *,
        at_limit: bool,
        lingers: bool,
    ) -> None:
        """Accounts for the end of an attempt.

        Args:
            event: The end.
            outcome: What it amounts to.
            n_active: How many tasks run, this one among them.
            at_limit: Whether it ended at a limit that concerns all tasks.
            lingers: Whether only commands had kept its process alive since its last turn.
        """
        self.budget.ended(event.task, event.cost_usd, event.usage)
        self.queue.ended(event.task)
        if outcome.outcome == states.SUCCEEDED:
            if event.limit is None and not lingers:  # else the answer is older, and is known
                self.answer_came(event.task, event.at_s, has_ended=True)
            self.withdraw(event.task, event.at_s)  # unless that was its answer
            self.governor.ended(n_active)
        elif self.governor.probe == event.task and not at_limit:
            self.probe_failed(outcome, event.at_s)

    def answer_came(self, task: int, at_s: float, *, has_ended: bool = False) -> None:
        """The API answered a task.

        Args:
            task: The task.
            at_s: When.
            has_ended: Whether it has ended. A CLI that has told nothing of usage windows by then
                (that of an API key, for example) has none.
        """
        self.answered_at = at_s
        self.queue.answered(task)
        kind = self.governor.limit.kind if self.governor.limit is not None else ""
        is_over = self.governor.probe == task and (has_ended or kind != limits.RESERVE)
        if is_over or kind == limits.LOGIN:
            self.governor.probe_over(answered=True)

    def _window_used(self, event: messages.WindowUsed) -> None:
        """The CLI has told how much of the usage windows is used."""
        limit, is_probe = self.governor.limit, self.governor.probe == event.task
        if event.limit is not None:
            self.limited(event.at_s, event.limit, event.task)
        elif is_probe and limit is not None and limit.kind == limits.RESERVE:
            self.governor.probe_over(answered=True)

    def limited(self, at_s: float, limit: Limit, task: int) -> None:
        """A limit that concerns all tasks refused this one."""
        if self._closed is None and self.governor.limited(at_s, limit, task):
            self.queue.cool()

    def throttled(self, event: messages.Throttled, n_active: int) -> bool:
        """The API refused a request for now; returns whether the task should be taken back.

        Its CLI would retry by itself: soon, or (after some refusals) much later than the API
        would answer. A task that has had no answer yet has cost nothing.
        """
        self.governor.throttled(event.at_s, n_active)
        self._few_processes = False
        if self.governor.probe == event.task:
            return False
        return event.delay_s > PATIENCE_S

    def probe_failed(self, outcome: Outcome, at_s: float) -> None:
        """The probing task ended without an answer, and not at a limit."""
        passing = may_pass(outcome) and outcome.reason != "no_structure"
        if passing or outcome.outcome in INCONCLUSIVE or outcome.reason in INCONCLUSIVE:
            self.governor.probe_withdrawn(at_s)  # it says nothing about the limit
        else:
            self.governor.probe_over(answered=False)

    def postponed(self, task: int, at_s: float) -> None:
        """There was no room for a task's files: nothing starts until `DiskFree`."""
        self.governor.disk = self.governor.disk or "no room for a task's files"
        self.withdraw(task, at_s)

    def withdraw(self, task: int, at_s: float) -> None:
        """A task does not probe after all; if it was to, another one does soon."""
        if self.governor.probe == task:
            self.governor.probe_withdrawn(at_s)
        self.holds.withdraw(task, at_s)

    # -- the machine ------------------------------------------------------------------------

    def held_by_machine(self, at_s: float, task: int, cause: MachineCause, n_active: int) -> None:
        """A task can't be started because of the machine: it waits for the end of that."""
        self.short_of_processes(at_s, cause, n_active)
        self.queue.ended(task)  # if it led, another one does
        self.budget.release(task)
        self.holds.refused(at_s, task, cause)
        if self.governor.probe == task:
            self.governor.probe_withdrawn(at_s)

    def short_of_processes(self, at_s: float, cause: MachineCause, n_active: int) -> None:
        """If there are no more processes, fewer tasks run at once for now."""
        if cause.kind == PROCESSES:
            self.governor.throttled(at_s, n_active)
            self._few_processes = True

    def release(self, tasks: Iterable[int]) -> None:
        """Lets tasks start that the machine held back."""
        for task in tasks:
            self.queue.put_back(task)

    # -- starts -----------------------------------------------------------------------------

    def next_task(self, at_s: float, n_active: int, waits: Callable[[int], bool]) -> int | None:
        """The task that may start now, or None.

        Args:
            at_s: The time.
            n_active: How many run.
            waits: Whether a task still waits to start.
        """
        self.start_at = None
        self._n_active = n_active
        hold = self.holds.blocking
        if hold is not None and not hold.may_probe:
            return None
        spread_until = self.governor.next_start_at
        when = at_s if spread_until is None else max(at_s, spread_until)
        if not (self.budget.admits and self.governor.may_start(when, n_active)):
            return None
        if when > at_s:  # only the spacing of starts holds it back
            self.start_at = self._when_a_task_waits(when, waits)
            return None
        task = self._pop(hold, waits)
        if task is not None:
            self.governor.started(at_s, task)
            self.budget.begin(task)
        return task

    def _when_a_task_waits(self, when: float, waits: Callable[[int], bool]) -> float | None:
        """This moment if any task could start then; else None."""
        task = self.queue.pop(waits)
        if task is not None:
            self.queue.put_first(task)
        may_try = any(hold.may_probe and hold.parked for hold in self.holds)
        return None if task is None and not may_try else when

    def _pop(self, hold: Hold | None, waits: Callable[[int], bool]) -> int | None:
        """Removes and returns the task that starts now: the next one, or one that was refused."""
        # Probe with a task that has not been refused, if there is one: what was refused may have
        # been refused for a reason of its own.
        parked = self.holds.pop_parked(waits) if hold is None else None
        if parked is None:
            task = self.queue.pop(waits, new=hold is not None or self.governor.limit is not None)
            if task is not None:
                self.holds.admitted(task, hold, was_parked=False)
                return task
            parked = self.holds.pop_parked(waits)
        if parked is None:
            return None
        self.holds.admitted(*parked, was_parked=True)
        return parked[0]

    def may_start_agent(self, task: int) -> bool:
        """Whether a task that was admitted, and now has its worktree, may start its agent."""
        governor = self.governor
        if self.closed is not None or governor.paused or governor.disk:
            return False
        may_ask = governor.limit is None or governor.probe == task
        return may_ask and (self.holds.blocking is None or self.holds.probes(task))

    def close(self, error: str) -> None:
        """Lets nothing start any more, because no task would get an answer.

        Args:
            error: What the user can do about it.
        """
        self._closed = Outcome(states.SKIPPED, "auth", error)
        self.governor.probe_over(answered=False)

    def close_in_time(self, at_s: float) -> list[tuple[int, Outcome]]:
        """Stops waiting for what has not come.

        Returns:
            The tasks that end because of the machine while others go on, and how they end.
        """
        gives_up_at = self.governor.gives_up_at
        if gives_up_at is not None and at_s >= gives_up_at:
            self.close("nobody logged in: log in with claude")
        ends = []
        for hold in self.holds.expired(at_s):
            error = self.holds.notice_of(hold.cause).partition(";")[0]
            outcome = Outcome(states.SKIPPED, "machine", error)
            ends += [(task, outcome) for task in hold.parked]
            if hold.holds_all:
                self._closed = self._closed or outcome
        return ends

    @property
    def moments(self) -> tuple[float | None, ...]:
        """When it has something to do, for each of its reasons."""
        return self.start_at, self.governor.probe_at, self.gives_up_at, self.holds.next_at

    @property
    def gives_up_at(self) -> float | None:
        """When it has waited long enough; None if it does not wait now."""
        moments = (self.governor.gives_up_at, self.holds.gives_up_at)
        return min((at_s for at_s in moments if at_s is not None), default=None)

    @property
    def closed(self) -> Outcome | None:
        """How tasks end that will not start any more; None if they may start."""
        if self._closed is not None:
            return self._closed
        if self.budget.is_used_up:
            return Outcome(states.SKIPPED, "budget", self.budget.why_used_up)
        return None

    def state_report(self, n_waiting: int) -> tuple[str, str, str, float | None, float | None]:
        """The session's own state, as the fields of an `instructions.ReportState`.

        Args:
            n_waiting: How many tasks wait to start.
        """
        governor = self.governor
        cause = self.holds.shown(self._n_active)
        reason, notice = governor.reason, governor.notice or self._notice(n_waiting)
        if not reason and governor.n_slots == 0 and n_waiting and not self._n_active:
            reason, notice = NODES, NO_NODE
        if not reason and cause is not None:
            reason, notice = cause.kind, self.holds.notice_of(cause)
        until_s = governor.limit.until_s if governor.limit is not None else None
        state = states.WAITING if reason else states.RUNNING
        if governor.paused:
            state = states.PAUSED
        return state, reason, notice, until_s, self.gives_up_at

    def _notice(self, n_waiting: int) -> str:
        if self._closed is not None:
            return f"nothing more starts: {self._closed.error}"
        if self.queue.is_warming:
            return "warming the prompt cache: one task leads until its first answer"
        has_place = n_waiting > 0 and self.budget.n_agents < self.governor.capacity
        if notice := self.budget.notice(has_place=has_place and not self.governor.paused):
            return notice
        if self.governor.is_narrow(self._n_tasks):
            few = "there were no more processes" if self._few_processes else ""
            return f"{few or 'the API refuses some requests'}: fewer tasks at once for now"
        return ""
