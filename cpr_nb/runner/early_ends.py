"""Ends of tasks that somebody or a rule of the session asks for. Pure."""

from __future__ import annotations

from cpr_nb.runner.task_state import CANCELLED_OUTCOME
from cpr_nb.runner.transitions import ENDED, HARVESTING, PENDING, RESTING, TERMINATING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.runner import messages
    from cpr_nb.runner.machine_waits import MachineWaits
    from cpr_nb.runner.task_steps import TaskSteps
    from cpr_nb.runner.task_table import TaskTable


class EarlyEnds:
    """Cancels tasks, and closes those that have not started.

    Args:
        tasks: The tasks' states.
        steps: Takes the steps.
        machine: Knows which checks wait for the machine.

    Attributes:
        all_cancelled: Whether somebody has cancelled the whole session.
    """

    def __init__(self, tasks: TaskTable, steps: TaskSteps, machine: MachineWaits) -> None:
        self._tasks, self._steps, self._machine = tasks, steps, machine
        self.all_cancelled = False

    def cancelled(self, event: messages.Cancel) -> list[int]:
        """The tasks that a `Cancel` concerns and that have not ended."""
        self.all_cancelled |= event.task < 0
        tasks = range(self._tasks.n_tasks) if event.task < 0 else [event.task]
        return [task for task in tasks if self._tasks.state[task] not in (HARVESTING, ENDED)]

    def cancel(self, task: int, at_s: float) -> None:
        """Cancels one task."""
        state = self._tasks.state[task]
        if state in (PENDING, RESTING):
            self._steps.finish(task, CANCELLED_OUTCOME)
            return
        attempt = self._tasks.attempts[task]
        if self._machine.forget_side(task):  # its check has no process yet
            self._steps.finish(task, CANCELLED_OUTCOME)
            return
        attempt.cancelled = True
        if state != TERMINATING:
            self._steps.terminate(task, "cancelled", at_s)
        elif attempt.cause == "throttled":
            attempt.cause = "cancelled"

    def close(self, event: messages.Close) -> None:
        """Ends a task that waits to start; one that runs is left alone."""
        if self._tasks.waits(event.task):
            self._steps.finish(event.task, event.outcome)
