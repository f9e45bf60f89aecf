"""The time limits of the tasks: run time, silence, lingering, set-up, check, grace. Pure."""

from __future__ import annotations

from cpr_nb.model.outcome import LINGERED
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.task_state import silence_deadline
from cpr_nb.runner.transitions import CHECKING, PREPARING, RESTING, RUNNING, TERMINATING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.runner.queue import Queue
    from cpr_nb.runner.task_state import TaskPlan
    from cpr_nb.runner.task_steps import TaskSteps
    from cpr_nb.runner.task_table import TaskTable


class TimeLimits:
    """Ends what takes too long.

    Args:
        plans: One plan per task, with its limits.
        tasks: The tasks' states and timers.
        steps: Takes the steps that are due.
        queue: Gets the tasks whose pause is over.
    """

    def __init__(
        self, plans: Sequence[TaskPlan], tasks: TaskTable, steps: TaskSteps, queue: Queue
    ) -> None:
        self._plans = plans
        self._tasks = tasks
        self._steps = steps
        self._queue = queue

    def started(self, task: int, at_s: float) -> None:
        """Sets the timers of an attempt whose process runs."""
        plan = self._plans[task]
        for limit_s in (plan.timeout_s, plan.silence_s, plan.first_byte_s):
            if limit_s is not None:
                self._tasks.set_timer(at_s + limit_s, task)

    def output_polled(self, event: messages.OutputPolled) -> None:
        """Ends an attempt that has been quiet for too long; else sets the next timer."""
        task = event.task
        started_at = self._tasks.attempts[task].started_at
        deadline = silence_deadline(self._plans[task], started_at, event)
        if deadline is None:
            return
        due_at, cause = deadline
        if event.at_s >= due_at:
            self._steps.terminate(task, cause, event.at_s)
        else:
            self._tasks.set_timer(due_at, task)

    def lingering(self, event: messages.Lingering) -> None:
        """Sets when an attempt ends that only commands keep alive, or that it no longer does."""
        attempt, linger_s = self._tasks.attempts[event.task], self._plans[event.task].linger_s
        attempt.lingers, attempt.linger_until = event.since is not None, None
        if event.since is not None and linger_s is not None:
            attempt.linger_until = event.since + linger_s
            self._set_linger_timer(event.task)

    def _set_linger_timer(self, task: int) -> None:
        """Sets a timer, unless one is set: when it rings too early, it is set again."""
        attempt = self._tasks.attempts[task]
        if attempt.linger_timer_at is None and attempt.linger_until is not None:
            attempt.linger_timer_at = attempt.linger_until
            self._tasks.set_timer(attempt.linger_until, task)

    def timer_rang(self, task: int, at_s: float) -> None:
        """Does what is due for a task; a timer may have been overtaken by events."""
        state, attempt = self._tasks.state[task], self._tasks.attempts[task]
        if state == RUNNING:
            self._check_run_time(task, at_s)
        elif state == RESTING:
            self._queue.put_back(task)
        elif state == TERMINATING and _is_due(attempt.kill_at, at_s):
            self._steps.kill(task)
        elif state == CHECKING and _is_due(attempt.timeout_at, at_s):
            self._steps.terminate(task, "check_timeout", at_s)
        elif state == PREPARING and _is_due(attempt.timeout_at, at_s):
            self._steps.terminate(task, "setup_timeout", at_s)

    def _check_run_time(self, task: int, at_s: float) -> None:
        plan, attempt = self._plans[task], self._tasks.attempts[task]
        if plan.timeout_s is not None and at_s >= attempt.started_at + plan.timeout_s:
            self._steps.terminate(task, "timeout", at_s)
        elif _is_due(attempt.linger_until, at_s):
            self._steps.terminate(task, LINGERED, at_s)
        elif _is_due(attempt.linger_timer_at, at_s):
            attempt.linger_timer_at = None
            self._set_linger_timer(task)
        elif plan.silence_s is not None or plan.first_byte_s is not None:
            self._steps.out.append(instructions.PollOutput(task))


def _is_due(due_at: float | None, at_s: float) -> bool:
    return due_at is not None and at_s >= due_at
