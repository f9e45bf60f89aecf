"""What the state machine knows about all tasks now: states, attempts, timers. Pure."""

from __future__ import annotations

import heapq

from cpr_nb.model import states
from cpr_nb.runner.transitions import (
    ENDED,
    HARVESTING,
    PENDING,
    RESTING,
    STARTING,
    STATES,
    STRICT_EVENTS,
    TERMINATING,
    TRANSITIONS,
    IllegalTransition,
    Stories,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.model.outcome import Outcome
    from cpr_nb.runner.task_state import AttemptState, RestoredTask


class TaskTable:
    """The tasks of one session.

    Args:
        n_tasks: How many there are, numbered from 0.

    Attributes:
        state: The state of each task (see `cpr_nb.runner.transitions`).
        attempts: The tasks between their first intent and their end: task → attempt.
        event: The name of the event that is being handled.
        at_s: When it came.

    Example:
        >>> from cpr_nb.runner.task_state import AttemptState
        >>> tasks = TaskTable(2)
        >>> tasks.event = "Admitted"
        >>> tasks.begin(0, AttemptState(1, "c-1"), STARTING)
        >>> tasks.n_active, tasks.waits(0), tasks.waits(1)
        (1, False, True)
    """

    def __init__(self, n_tasks: int) -> None:
        self.n_tasks = n_tasks
        self.state = bytearray(n_tasks)
        self.attempts: dict[int, AttemptState] = {}
        self.event = ""
        self.at_s = 0.0
        self.n_ended = self.n_cancelled = 0
        self._n_resting = 0
        self._timers: list[tuple[float, int, int]] = []  # (at, task, number of the attempt)
        self._stories = Stories()

    @property
    def n_active(self) -> int:
        """How many tasks are between an intent and the end of its attempt."""
        return len(self.attempts) - self._n_resting

    @property
    def n_waiting(self) -> int:
        """How many could start."""
        return self.n_tasks - self.n_ended - self.n_active

    def waits(self, task: int) -> bool:
        """Whether a task waits to start, for the first time or again."""
        return self.state[task] in (PENDING, RESTING)

    # -- transitions ------------------------------------------------------------------------

    def begin(self, task: int, attempt: AttemptState, state: int) -> None:
        """Moves a task to the state in which its attempt, or what is left of it, runs."""
        self.move(task, state)
        self.attempts[task] = attempt

    def rest(self, task: int, attempt: AttemptState) -> None:
        """Lets a task wait for its next attempt."""
        self.move(task, RESTING)
        self.attempts[task] = attempt

    def end(self, task: int, outcome: Outcome) -> None:
        """Ends a task."""
        self.move(task, ENDED)
        self.n_cancelled += outcome.outcome == states.CANCELLED
        self._forget(task)

    def force_end(self, task: int) -> None:
        """Ends a task whatever its state is."""
        self._place(task, ENDED)
        self._forget(task)

    def move(self, task: int, state: int) -> None:
        """Moves a task to another state.

        Raises:
            IllegalTransition: If the event can't bring it there.
        """
        if state not in TRANSITIONS.get((self.state[task], self.event), ()):
            raise self._illegal(task, f"{self.event} must not make it {STATES[state][0]}")
        self._place(task, state)

    def require(self, task: int) -> None:
        """Checks that a task may have the event that is being handled.

        Raises:
            IllegalTransition: If it can't come in this state.
        """
        if self.event in STRICT_EVENTS and (self.state[task], self.event) not in TRANSITIONS:
            raise self._illegal(task, f"{self.event} must not come")

    def remember(self, task: int) -> None:
        """Keeps the event that was just handled for the task's story."""
        if task in self.attempts:
            self._stories.add(task, self.at_s, self.event, self.state[task])

    def _illegal(self, task: int, problem: str) -> IllegalTransition:
        state = STATES[self.state[task]][0]
        return IllegalTransition(task, f"{problem} while it is {state}", self._stories.text(task))

    def _place(self, task: int, state: int) -> None:
        self._n_resting += (state == RESTING) - (self.state[task] == RESTING)
        self.n_ended += state == ENDED
        self.state[task] = state

    def _forget(self, task: int) -> None:
        self.attempts.pop(task, None)
        self._stories.drop(task)

    def restore(self, task: int, restored: RestoredTask) -> None:
        """Puts a task where an earlier runner left it."""
        attempt = restored.attempt
        if attempt is None:
            self._place(task, ENDED)
            outcome = restored.outcome
            self.n_cancelled += outcome is not None and outcome.outcome == states.CANCELLED
            return
        self.attempts[task] = attempt
        if restored.to_harvest and restored.outcome is not None:
            self._place(task, HARVESTING)
            attempt.outcome = restored.outcome
        elif restored.outcome is not None:  # between two attempts
            self._place(task, RESTING)
        else:
            self._place(task, TERMINATING if attempt.cause else STARTING)

    # -- timers -----------------------------------------------------------------------------

    def set_timer(self, at_s: float, task: int) -> None:
        """Has `due` return a task's current attempt at this moment."""
        heapq.heappush(self._timers, (at_s, task, self.attempts[task].number))

    @property
    def next_at(self) -> float | None:
        """When the next timer is due; None if none is set."""
        return self._timers[0][0] if self._timers else None

    def due(self, at_s: float) -> Iterator[int]:
        """Removes the timers that are due, and yields the tasks whose attempt set them."""
        while self._timers and self._timers[0][0] <= at_s:
            _, task, number = heapq.heappop(self._timers)
            attempt = self.attempts.get(task)
            if attempt is not None and attempt.number == number:
                yield task
