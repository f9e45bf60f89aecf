"""What may start now: the queue, the governor and the budget together. Pure."""

from __future__ import annotations

from cpr_nb.model import limits, states
from cpr_nb.model.backoff import may_pass
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.budget import Budget
from cpr_nb.runner.governor import LOGIN_WAIT_S, PATIENCE_S, Governor
from cpr_nb.runner.queue import Queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cpr_nb.model.limits import Limit
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
    ) -> None:
        self._n_tasks = n_tasks
        self._closed_for = ""  # what the user can do
        self.budget = budget or Budget()
        self.governor = Governor(max_parallel, login_wait_s)
        self.queue = Queue(n_tasks, groups)
        self.answered_at = -1.0  # when the API last answered any task
        #: When the next task may start if only the spacing of starts holds it back, or None.
        self.start_at: float | None = None

    def handle(self, event: Event) -> bool:
        """Handles an event that concerns the whole session; returns whether it was one."""
        governor = self.governor
        if isinstance(event, messages.Pause):
            governor.paused = True
        elif isinstance(event, messages.Resume):
            governor.resumed(event.at_s)
        elif isinstance(event, messages.SetParallel):
            governor.max_parallel = event.max_parallel
        elif isinstance(event, messages.Probe):
            governor.probe_due(event.at_s)
        elif isinstance(event, messages.DiskFull):
            governor.disk = event.reason
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
                self.answer_came(event.task, event.at_s)
            self.withdraw(event.task, event.at_s)  # unless that was its answer
            self.governor.ended(n_active)
        elif self.governor.probe == event.task and not at_limit:
            self.probe_failed(outcome, event.at_s)

    def answer_came(self, task: int, at_s: float) -> None:
        """The API answered a task."""
        self.answered_at = at_s
        self.queue.answered(task)
        limit = self.governor.limit
        if self.governor.probe == task or (limit is not None and limit.kind == limits.LOGIN):
            self.governor.probe_over(answered=True)

    def limited(self, at_s: float, limit: Limit, task: int) -> None:
        """A limit that concerns all tasks refused this one."""
        if not self._closed_for and self.governor.limited(at_s, limit, task):
            self.queue.cool()

    def throttled(self, event: messages.Throttled, n_active: int) -> bool:
        """The API refused a request for now; returns whether the task should be taken back.

        Its CLI would retry by itself: soon, or (after some refusals) much later than the API
        would answer. A task that has had no answer yet has cost nothing.
        """
        self.governor.throttled(event.at_s, n_active)
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

    def next_task(self, at_s: float, n_active: int, waits: Callable[[int], bool]) -> int | None:
        """The task that may start now, or None.

        Args:
            at_s: The time.
            n_active: How many run.
            waits: Whether a task still waits to start.
        """
        self.start_at = None
        spread_until = self.governor.next_start_at
        when = at_s if spread_until is None else max(at_s, spread_until)
        if not (self.budget.admits and self.governor.may_start(when, n_active)):
            return None
        # Probe with a task that has not been refused, if there is one: what was refused may have
        # been refused for a reason of its own.
        task = self.queue.pop(waits, new=self.governor.limit is not None)
        if task is not None and when > at_s:  # only the spacing of starts holds it back
            self.queue.put_first(task)
            self.start_at = when
            return None
        if task is not None:
            self.governor.started(at_s, task)
            self.budget.begin(task)
        return task

    def may_start_agent(self, task: int) -> bool:
        """Whether a task that was admitted, and now has its worktree, may start its agent."""
        governor = self.governor
        held = governor.paused or governor.disk or governor.limit is not None
        return self.closed is None and (governor.probe == task or not held)

    def close(self, error: str) -> None:
        """Lets nothing start any more, because no task would get an answer.

        Args:
            error: What the user can do about it.
        """
        self._closed_for = error
        self.governor.probe_over(answered=False)

    def close_in_time(self, at_s: float) -> None:
        """Stops waiting for a login that has not come."""
        gives_up_at = self.governor.gives_up_at
        if gives_up_at is not None and at_s >= gives_up_at:
            self.close("nobody logged in: log in with claude")

    @property
    def closed(self) -> Outcome | None:
        """How tasks end that will not start any more; None if they may start."""
        if self._closed_for:
            return Outcome(states.SKIPPED, "auth", self._closed_for)
        if self.budget.is_used_up:
            return Outcome(states.SKIPPED, "budget", self.budget.why_used_up)
        return None

    def state_report(self, n_waiting: int) -> tuple[str, str, str, float | None, float | None]:
        """The session's own state, as the fields of an `instructions.ReportState`.

        Args:
            n_waiting: How many tasks wait to start.
        """
        governor = self.governor
        state = states.WAITING if governor.reason else states.RUNNING
        until_s = governor.limit.until_s if governor.limit is not None else None
        if governor.paused:
            state = states.PAUSED
        notice = governor.notice or self._notice(n_waiting)
        return state, governor.reason, notice, until_s, governor.gives_up_at

    def _notice(self, n_waiting: int) -> str:
        if self._closed_for:
            return f"nothing more starts: {self._closed_for}"
        if self.queue.is_warming:
            return "warming the prompt cache: one task leads until its first answer"
        has_place = n_waiting > 0 and self.budget.n_agents < self.governor.capacity
        if notice := self.budget.notice(has_place=has_place and not self.governor.paused):
            return notice
        if self.governor.capacity < (self.governor.max_parallel or self._n_tasks):
            return "the API refuses some requests: fewer tasks at once for now"
        return ""
