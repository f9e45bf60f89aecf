"""What the state machine knows of its tasks at one moment: phases, attempts, timers. Pure."""

from __future__ import annotations

import heapq

from cpr_nb.model import states
from cpr_nb.runner import messages
from cpr_nb.runner.task_state import (
    ENDED,
    HARVESTING,
    PENDING,
    RESTING,
    STARTING,
    STOPPING,
    AttemptState,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.model.outcome import Outcome
    from cpr_nb.runner.messages import Instruction
    from cpr_nb.runner.task_state import RestoredTask

#: How long a task may take to end after SIGTERM; the CLI needs about 1.6 s (measured).
GRACE_S = 10.0


class TaskTable:
    """The tasks of one session.

    Args:
        n_tasks: How many there are, numbered from 0.

    Example:
        >>> tasks = TaskTable(2)
        >>> tasks.begin(0, AttemptState(1, "c-1"))
        >>> tasks.n_active, tasks.waits(0), tasks.waits(1)
        (1, False, True)
    """

    def __init__(self, n_tasks: int) -> None:
        self.n_tasks = n_tasks
        self.phase = bytearray(n_tasks)
        self.active: dict[int, AttemptState] = {}  # between the first intent and the end
        self.n_ended = 0
        self.n_cancelled = 0
        self._n_resting = 0
        self._timers: list[tuple[float, int, int]] = []  # (at, task, attempt)

    @property
    def n_active(self) -> int:
        """How many tasks are between an intent and the end of its attempt."""
        return len(self.active) - self._n_resting

    @property
    def n_waiting(self) -> int:
        """How many could start."""
        return self.n_tasks - self.n_ended - self.n_active

    def waits(self, task: int) -> bool:
        """Whether a task waits to start, for the first time or again."""
        return self.phase[task] in (PENDING, RESTING)

    # -- steps ------------------------------------------------------------------------------

    def begin(self, task: int, active: AttemptState, phase: int = STARTING) -> None:
        """An attempt begins."""
        self._n_resting -= self.phase[task] == RESTING
        self.active[task] = active
        self.phase[task] = phase

    def rest(self, task: int, active: AttemptState) -> None:
        """A task will have another attempt."""
        self._n_resting += 1
        self.active[task] = active
        self.phase[task] = RESTING

    def take_up(self, task: int, past: RestoredTask) -> None:
        """Puts a task where an earlier runner left it."""
        if past.active is None:
            self._end(task, past.outcome)
        elif past.to_harvest and past.outcome is not None:
            self.active[task] = past.active
            self.phase[task] = HARVESTING
            past.active.outcome = past.outcome
        elif past.outcome is not None:  # between two attempts
            self.rest(task, past.active)
        else:
            self.active[task] = past.active
            self.phase[task] = STOPPING if past.active.cause else STARTING

    def stop(self, task: int, cause: str, at: float, out: list[Instruction]) -> None:
        """A task's process is to end."""
        self.active[task].cause = cause
        has_process = self.phase[task] != STARTING  # else `Started` will tell
        self.phase[task] = STOPPING
        if has_process:
            self.tell_stop(task, at, out)

    def tell_stop(self, task: int, at: float, out: list[Instruction]) -> None:
        """Tells it to end, and when to end it."""
        active = self.active[task]
        out.append(messages.Stop(task, active.cause or "cancelled"))
        active.kill_at = at + GRACE_S
        self.set_timer(active.kill_at, task)

    def finish(self, task: int, outcome: Outcome, out: list[Instruction]) -> None:
        """A task has ended."""
        self._n_resting -= self.phase[task] == RESTING
        self.active.pop(task, None)
        self._end(task, outcome)
        out.append(messages.Finish(task, outcome))

    def _end(self, task: int, outcome: Outcome | None) -> None:
        self.phase[task] = ENDED
        self.n_ended += 1
        self.n_cancelled += outcome is not None and outcome.outcome == states.CANCELLED

    # -- timers -----------------------------------------------------------------------------

    def set_timer(self, at: float, task: int) -> None:
        """The machine wants to look at a task's attempt then."""
        heapq.heappush(self._timers, (at, task, self.active[task].attempt))

    @property
    def next_at(self) -> float | None:
        """When the next timer rings."""
        return self._timers[0][0] if self._timers else None

    def due(self, at: float) -> Iterator[tuple[int, AttemptState]]:
        """The tasks whose timers have rung, each taken away; those of past attempts don't count."""
        while self._timers and self._timers[0][0] <= at:
            _, task, attempt = heapq.heappop(self._timers)
            active = self.active.get(task)
            if active is not None and active.attempt == attempt:
                yield task, active
