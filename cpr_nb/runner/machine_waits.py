"""Lets tasks wait for the machine, instead of failing: their starts, checks and harvests. Pure."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.machine_causes import cause_of_start, is_damaged_configuration
from cpr_nb.runner import instructions
from cpr_nb.runner.machine_holds import probe_delay_s
from cpr_nb.runner.task_state import CANCELLED_OUTCOME, checked_outcome
from cpr_nb.runner.transitions import CHECKING, HARVESTING, TERMINATING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.model.machine_causes import MachineCause
    from cpr_nb.model.outcome import Outcome
    from cpr_nb.runner import messages
    from cpr_nb.runner.admission import Admission
    from cpr_nb.runner.task_state import AttemptState, TaskPlan
    from cpr_nb.runner.task_steps import TaskSteps
    from cpr_nb.runner.task_table import TaskTable

#: A task whose CLI ends so often in a row before it begins, while other tasks work, has failed.
N_BAD_STARTS = 3
#: How long it waits after the first of them.
BAD_START_S = 1.0
#: The signals of a program that is only half there: SIGILL, SIGABRT, SIGBUS, SIGSEGV.
CRASHES = (4, 6, 7, 10, 11)


class MachineWaits:
    """Decides what becomes of what the machine can't start.

    Args:
        plans: One plan per task.
        admission: What lets tasks start.
        tasks: The tasks' states.
        steps: Takes the steps that follow.
        has_worked: Whether any task of the session has worked: an error at the start that all
            tasks have had from the beginning is one of what was asked.
    """

    def __init__(
        self,
        plans: Sequence[TaskPlan],
        admission: Admission,
        tasks: TaskTable,
        steps: TaskSteps,
        *,
        has_worked: bool,
    ) -> None:
        self._plans = plans
        self._admission = admission
        self._tasks = tasks
        self._steps = steps
        self._has_worked = has_worked
        self._last_bad: tuple[int, str] | None = None  # which task it was, and what it said

    # -- what could not be started ----------------------------------------------------------

    def postponed(self, event: messages.Postponed) -> None:
        """What was to start for a task could not be started."""
        task, state = event.task, self._tasks.state[event.task]
        if state in (CHECKING, HARVESTING) and event.cause is not None:
            self._postpone_side(task, event.cause, event.at_s)
            return
        if event.cause is None:
            self._admission.postponed(task, event.at_s)
        if state == TERMINATING:
            self._admission.withdraw(task, event.at_s)
            self._steps.finish(task, CANCELLED_OUTCOME)
        elif event.cause is None:
            self._steps.postpone(task)
        else:
            self._admission.held_by_machine(event.at_s, task, event.cause, self._tasks.n_active)
            self._tasks.rest(task, self._tasks.attempts[task])

    def unplaced(self, event: messages.Unplaced) -> None:
        """A task waits no more for a process that serves several tasks."""
        self._admission.withdraw(event.task, event.at_s)
        if self._tasks.state[event.task] == TERMINATING:
            self._steps.finish(event.task, CANCELLED_OUTCOME)
        else:
            self._steps.postpone(event.task)

    def started(self, event: messages.Started) -> None:
        """A task's process runs: what held others back is over."""
        self._admission.release(self._admission.holds.started(event.at_s, event.task))

    def prepared(self) -> None:
        """A helper has run: what held others back is over."""
        self._admission.release(self._admission.holds.helper_ran())

    # -- CLIs that end before they begin ----------------------------------------------------

    def began(self, event: messages.Began) -> None:
        """A task's CLI works."""
        self._works(event.task)

    def _works(self, task: int) -> None:
        self._has_worked, self._last_bad = True, None
        attempt = self._tasks.attempts.get(task)
        if attempt is not None:
            attempt.n_bad_starts = 0
        self._admission.release(self._admission.holds.began())

    def bad_start(self, event: messages.Ended, outcome: Outcome) -> bool:
        """Lets a task wait whose CLI ended before it began; returns whether it waits.

        It waits with all others if the configuration of the CLI is damaged, or if several tasks in
        a row end in the same way. One that is alone with its error has failed after some attempts.
        """
        task, attempt = event.task, self._tasks.attempts[event.task]
        if event.began:
            self._works(task)
            return False
        if not _is_bad_start(event, attempt, outcome):
            return False
        cause = cause_of_start(outcome.error)
        is_damaged = is_damaged_configuration(outcome.error)
        if not (is_damaged or self._has_worked):
            return False
        is_shared = self._last_bad is not None and _differ(self._last_bad, (task, cause.place))
        self._last_bad = task, cause.place
        holds = self._admission.holds
        if is_damaged or is_shared or holds.has(cause):
            self._admission.held_by_machine(event.at_s, task, cause, self._tasks.n_active)
            self._steps.rest(task, outcome, event.at_s, None, counted=False)
            return True
        attempt.n_bad_starts += 1
        if attempt.n_bad_starts >= N_BAD_STARTS:
            return False
        self._admission.withdraw(task, event.at_s)
        delay_s = BAD_START_S * attempt.n_bad_starts
        self._steps.rest(task, outcome, event.at_s, delay_s, counted=False)
        return True

    # -- checks and harvests ----------------------------------------------------------------

    def _postpone_side(self, task: int, cause: MachineCause, at_s: float) -> None:
        """A check or a harvest that can't be started is tried again, from time to time."""
        attempt = self._tasks.attempts[task]
        self._admission.short_of_processes(at_s, cause, self._tasks.n_active)
        if attempt.side_since is None:
            attempt.side_since = at_s
        gives_up_at = attempt.side_since + self._admission.holds.wait_s
        if at_s >= gives_up_at and self._tasks.state[task] == CHECKING:
            error = f"the check can't be started: {cause.words}"
            plan = self._plans[task]
            self._steps.finish(task, checked_outcome(plan, attempt, error, "check_failed"))
            return
        delay_s = probe_delay_s(cause.kind, attempt.n_side_tries)
        attempt.n_side_tries += 1
        attempt.timeout_at = None
        attempt.side_retry_at = max(at_s, min(at_s + delay_s, gives_up_at))
        self._admission.holds.sides[task] = cause
        self._tasks.set_timer(attempt.side_retry_at, task)

    def retry_side(self, task: int, at_s: float) -> bool:
        """Starts a check or a harvest again if it is time; returns whether it waits for that."""
        attempt = self._tasks.attempts[task]
        if attempt.side_retry_at is None:
            return False
        if at_s < attempt.side_retry_at:
            return True
        self.forget_side(task)
        if self._tasks.state[task] == CHECKING:
            self._steps.check_again(task, at_s)
        elif attempt.outcome is not None and attempt.side_since is not None:
            may_wait = at_s < attempt.side_since + self._admission.holds.wait_s
            self._steps.out.append(instructions.Harvest(task, attempt.outcome, may_wait=may_wait))
        return True

    def forget_side(self, task: int) -> bool:
        """The check or the harvest of a task does not wait any more; returns whether it did."""
        attempt = self._tasks.attempts[task]
        waited, attempt.side_retry_at = attempt.side_retry_at is not None, None
        self._admission.holds.sides.pop(task, None)
        return waited


def _is_bad_start(event: messages.Ended, attempt: AttemptState, outcome: Outcome) -> bool:
    """Whether a CLI ended by itself, with an error, before its first event."""
    if event.interrupted or attempt.cause is not None or outcome.outcome != states.FAILED:
        return False
    if outcome.reason == "signal":
        exit_ = event.exit  # the CLI may run under a shell, which turns a signal into a code
        return (exit_.signal or (exit_.exit_code or 0) - 128) in CRASHES
    return outcome.reason in ("usage_error", "unknown")


def _differ(last: tuple[int, str], this: tuple[int, str]) -> bool:
    """Whether two tasks, and not one twice, ended in the same way."""
    return last[0] != this[0] and last[1] == this[1]
