"""Makes harvests again that could not be made when their task ended."""

from __future__ import annotations

from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.task_run import TaskRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.runner.effects import Effects
    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.process_table import ProcessTable

# How many of these harvests run at once: each helper needs 30 MB.
_AT_ONCE = 4


class UnsavedWork:
    """The tasks of a session that have ended, and whose work is still to be saved.

    Args:
        recorded: Task → its id, its last attempt, and what is recorded of its end.
        effects: Starts the harvests.
        processes: What runs.
        handle: Handles the event of a harvest that could not be started.
    """

    def __init__(
        self,
        recorded: dict[int, dict[str, Any]],
        effects: Effects,
        processes: ProcessTable,
        handle: Callable[[Event], None],
    ) -> None:
        self._recorded = recorded
        self._effects = effects
        self._processes = processes
        self._handle = handle

    def start_some(self, now: float) -> None:
        """Starts the next harvests, if few enough helpers run.

        Args:
            now: The time on the loop's clock.
        """
        while self._recorded and self._n_helpers() < _AT_ONCE:
            task = next(iter(self._recorded))
            recorded = self._recorded.pop(task)
            task_run = TaskRun(str(recorded["task_id"]), now)
            task_run.recorded, task_run.number = recorded["fields"], recorded["attempt"]
            self._effects.task_runs[task] = task_run
            event = self._effects.start_side("harvest", task)
            if event is not None:
                self._handle(event)

    def _n_helpers(self) -> int:
        return sum(not isinstance(run, Attempt) for run in self._processes)
