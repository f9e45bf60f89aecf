"""A session that someone watches: its tasks, what they do and its figures, all read once."""

from __future__ import annotations

from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.figures import FiguresFollower
from cpr_nb.views.followed_tasks import FollowedTasks
from cpr_nb.views.questions import open_questions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import Figures, Forecaster
    from cpr_nb.views.questions import Question
    from cpr_nb.views.task_figures import TaskFigures


class FollowedSession:
    """Follows one session; a poll costs what has changed, not what there is.

    Args:
        root: The session's folder.
        forecaster: As for `cpr_nb.views.figures.FiguresFollower`.

    Attributes:
        tasks: Its tasks, in the order of their urgency.

    Example:
        >>> followed = FollowedSession("/no/such/session-1")
        >>> followed.poll(), followed.figures.n_total
        ([], 0)
    """

    def __init__(self, root: str, forecaster: Forecaster | None = None) -> None:
        self._forecaster = forecaster
        self.tasks = FollowedTasks(root)
        self._n_tasks = 0
        self._follow()

    def _follow(self) -> None:
        snapshot = self.snapshot
        self._activity = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
        self._figures = FiguresFollower(self._activity, self._forecaster)

    @property
    def snapshot(self) -> Snapshot:
        """The session as of the last poll."""
        return self.tasks.snapshot

    def poll(self) -> list[int]:
        """Reads what is new.

        Returns:
            The indices of the tasks that have changed, in order; all of them the first time.
        """
        changed = self.tasks.poll()
        tasks = self.snapshot.tasks or []
        if len(tasks) != self._n_tasks:
            self._n_tasks = len(tasks)
            self._follow()
        for index in changed:
            self._figures.update(index, tasks[index])
        for index in self._figures.under_way:
            self._activity.describe(tasks[index])
        return changed

    @property
    def figures(self) -> Figures:
        """Its figures: the sum of its rows, and a forecast."""
        return self._figures.session(self.snapshot)

    @property
    def questions(self) -> list[Question]:
        """The questions that wait for an answer; that which is denied first stands first."""
        return open_questions(self.snapshot) if self.snapshot.count("n_questions") else []

    def task_figures(self, index: int) -> TaskFigures:
        """What a task has used so far.

        Args:
            index: Its number, from 0.
        """
        return self._figures.task(index)

    def activity(self, task: dict[str, Any]) -> tuple[str, float | None]:
        """What a task does now (see `ActivityFollower.describe`).

        Args:
            task: Its fields in status.json.
        """
        return self._activity.describe(task)
