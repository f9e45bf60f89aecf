"""The steps of tasks: each moves a task to another state, and says what must be done. Pure."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.model.text import one_line
from cpr_nb.runner import instructions
from cpr_nb.runner.instructions import ASK_FOR_STRUCTURE, CONTINUE
from cpr_nb.runner.task_state import AttemptState
from cpr_nb.runner.transitions import (
    CHECKING,
    ENDED,
    HARVESTING,
    PREPARING,
    STARTING,
    TERMINATING,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cpr_nb.runner.admission import Admission
    from cpr_nb.runner.instructions import Instruction
    from cpr_nb.runner.task_state import TaskPlan
    from cpr_nb.runner.task_table import TaskTable
    from cpr_nb.runner.transitions import IllegalTransition

#: How long a task may take to end after SIGTERM; the CLI needs about 1.6 s (measured).
GRACE_S = 10.0


class TaskSteps:
    """Takes the steps that the schedule decides.

    Args:
        plans: One plan per task.
        admission: What lets tasks start.
        tasks: The tasks' states.
        new_id: Returns the id of a new conversation.

    Attributes:
        out: The instructions of the steps taken so far, in order.
    """

    def __init__(
        self,
        plans: Sequence[TaskPlan],
        admission: Admission,
        tasks: TaskTable,
        new_id: Callable[[], str],
    ) -> None:
        self._plans = plans
        self._admission = admission
        self._tasks = tasks
        self._new_id = new_id
        self.out: list[Instruction] = []

    # -- attempts ---------------------------------------------------------------------------

    def start(self, task: int, at_s: float) -> None:
        """Starts a task's attempt, or first the preparation of its worktree."""
        attempt = self._tasks.attempts.get(task) or AttemptState(1, self._new_id())
        plan = self._plans[task]
        if plan.worktree and not attempt.is_prepared:
            self._tasks.begin(task, attempt, PREPARING)
            self._limit_time(task, attempt, plan.setup_timeout_s, at_s)
            self.out.append(instructions.Prepare(task))
            return
        self._tasks.begin(task, attempt, STARTING)
        may_spend_usd = self._admission.budget.limit_for(task, plan.task_budget_usd)
        self.out.append(
            instructions.Start(
                task, attempt.number, attempt.conversation_id, attempt.resume, may_spend_usd
            )
        )

    def check(self, task: int, at_s: float) -> None:
        """Starts the user's own check."""
        attempt = self._tasks.attempts[task]
        self._tasks.move(task, CHECKING)
        attempt.cause = None  # a task that was terminated after its good answer is checked too
        self.check_again(task, at_s)

    def check_again(self, task: int, at_s: float) -> None:
        """Starts the check of a task that is being checked."""
        attempt = self._tasks.attempts[task]
        self._limit_time(task, attempt, self._plans[task].check_timeout_s, at_s)
        self.out.append(instructions.Check(task))

    def _limit_time(
        self, task: int, attempt: AttemptState, timeout_s: float | None, at_s: float
    ) -> None:
        if timeout_s is not None:
            attempt.timeout_at = at_s + timeout_s
            self._tasks.set_timer(attempt.timeout_at, task)

    def postpone(self, task: int) -> None:
        """Puts an attempt that could not start yet before all that wait."""
        self._tasks.rest(task, self._tasks.attempts[task])
        self._admission.budget.release(task)
        self._admission.queue.put_first(task)

    def rest(
        self, task: int, outcome: Outcome, at_s: float, delay_s: float | None, *, counted: bool
    ) -> None:
        """Lets a task wait for another attempt.

        Args:
            task: The task.
            outcome: How its attempt ended.
            at_s: When that was.
            delay_s: How long it waits at least; None if the machine holds it back.
            counted: Whether the attempt counts as one of the task's ``attempts``.
        """
        resume = ASK_FOR_STRUCTURE if outcome.reason == "no_structure" else CONTINUE
        attempt = self._tasks.attempts[task]
        self._tasks.rest(task, attempt.next(resume, outcome, counted=counted))
        if delay_s:
            self._tasks.set_timer(at_s + delay_s, task)
        elif delay_s is not None:
            self._admission.queue.put_back(task)
        self.out.append(instructions.Rest(task, outcome, delay_s or 0.0, counted=counted))

    # -- ends -------------------------------------------------------------------------------

    def terminate(self, task: int, cause: str, at_s: float) -> None:
        """Has what runs for a task end, for the reason ``cause``."""
        has_process = self._tasks.state[task] != STARTING  # else `Started` will come
        self._tasks.move(task, TERMINATING)
        self._tasks.attempts[task].cause = cause
        if has_process:
            self.send_terminate(task, at_s)

    def send_terminate(self, task: int, at_s: float) -> None:
        """Asks the process of a task that is terminating to end, and sets its grace period."""
        attempt = self._tasks.attempts[task]
        self.out.append(instructions.Terminate(task, attempt.cause or "cancelled"))
        # While it shuts down, the CLI would still send its first request (measured).
        attempt.kill_at = at_s + (0.0 if attempt.cause == "setup_refused" else GRACE_S)
        self._tasks.set_timer(attempt.kill_at, task)

    def kill(self, task: int) -> None:
        """Ends a task's processes at once."""
        self._tasks.attempts[task].kill_at = None
        self.out.append(instructions.Kill(task))

    def finish(self, task: int, outcome: Outcome) -> None:
        """Ends a task, after what it left in its worktree has been saved."""
        self._admission.queue.ended(task)  # it may have led without having started
        self._admission.budget.release(task)
        attempt = self._tasks.attempts.get(task)
        if attempt is None or not attempt.has_worktree:
            self.record_end(task, outcome)
            return
        self._tasks.begin(task, attempt, HARVESTING)
        attempt.outcome = outcome
        self.out.append(instructions.Harvest(task, outcome))

    def record_end(self, task: int, outcome: Outcome) -> None:
        """Ends a task that has nothing left to save."""
        self._admission.holds.sides.pop(task, None)
        self._tasks.end(task, outcome)
        self.out.append(instructions.Finish(task, outcome))

    def abandon(self, error: IllegalTransition, at_s: float) -> None:
        """Ends a task that we can no longer handle; its worktree stays as it is."""
        task = error.task
        self.out.append(instructions.Abandon(task))
        self._admission.holds.sides.pop(task, None)
        if self._tasks.state[task] != ENDED:
            self._admission.withdraw(task, at_s)
            self._admission.queue.ended(task)
            self._admission.budget.release(task)
            self._tasks.force_end(task)
            text = one_line(f"an error in cpr: {error.problem}; see runner.log")
            self.out.append(instructions.Finish(task, Outcome(states.FAILED, "internal", text)))
