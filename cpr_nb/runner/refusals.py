"""Lets tasks wait that the API refuses, or ends those that no waiting would help. Pure."""

from __future__ import annotations

from cpr_nb.model import limits, states
from cpr_nb.model.outcome import Outcome
from cpr_nb.model.text import one_line
from cpr_nb.runner.transitions import RUNNING, TERMINATING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.runner import messages
    from cpr_nb.runner.admission import Admission
    from cpr_nb.runner.task_steps import TaskSteps
    from cpr_nb.runner.task_table import TaskTable


class Refusals:
    """Decides what becomes of tasks that the API refuses.

    Args:
        admission: What lets tasks start.
        tasks: The tasks' states.
        steps: Takes the steps that follow.
    """

    def __init__(self, admission: Admission, tasks: TaskTable, steps: TaskSteps) -> None:
        self._admission = admission
        self._tasks = tasks
        self._steps = steps

    def responded(self, event: messages.Responded) -> None:
        """The API answered a task."""
        if self._tasks.state[event.task] in (RUNNING, TERMINATING):
            attempt = self._tasks.attempts[event.task]
            attempt.answered = True
            attempt.refused_at = -1.0  # that trouble is over
            self._admission.answer_came(event.task, event.at_s)

    def throttled(self, event: messages.Throttled) -> None:
        """The API refused a task for now; it may be taken back."""
        task = event.task
        if self._tasks.state[task] == RUNNING:
            too_many = self._admission.throttled(event, self._tasks.n_active)
            if too_many and not self._tasks.attempts[task].answered:
                self._steps.terminate(task, "throttled", event.at_s)

    def limited(self, event: messages.Limited) -> None:
        """A running task ran into a limit, or its credential is refused."""
        is_probe = self._admission.governor.probe == event.task
        if self._tasks.state[event.task] != RUNNING:
            return
        if event.limit.kind == limits.ACCESS:
            self._steps.terminate(event.task, "refused", event.at_s)
        elif not is_probe:
            self._admission.limited(event.at_s, event.limit, event.task)

    def wait_at_limit(self, event: messages.Ended, limit: limits.Limit, outcome: Outcome) -> None:
        """A task ended at a limit that concerns all: it waits with them, and is not burnt."""
        attempt = self._tasks.attempts[event.task]
        if limit.kind == limits.LOGIN and 0.0 <= attempt.refused_at < self._admission.answered_at:
            # Others were answered since it was refused before: this is its own affair.
            self._admission.withdraw(event.task, event.at_s)
            self._steps.finish(event.task, outcome)
            return
        self._admission.limited(event.at_s, limit, event.task)
        self._steps.rest(event.task, outcome, event.at_s, 0.0, counted=False)
        self._tasks.attempts[event.task].refused_at = event.at_s

    def end_without_access(
        self, event: messages.Ended, limit: limits.Limit, outcome: Outcome
    ) -> None:
        """No waiting would help this task. Unless others get answers, it helps none of them."""
        task = event.task
        others_answered = self._admission.answered_at > self._tasks.attempts[task].started_at
        self._admission.withdraw(task, event.at_s)
        if limit.is_shared and not others_answered:
            self._admission.close(limit.error)
        error = "; ".join(text for text in (outcome.error, limit.error) if text)
        self._steps.finish(task, Outcome(states.FAILED, "auth", one_line(error)))
