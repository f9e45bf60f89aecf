"""Best of N: the other candidates of a row are not needed once one has a full mark."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.full_mark import NOT_NEEDED, BestOf
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.rules.rule import TaskEnd

_NOT_NEEDED = Outcome(states.SKIPPED, NOT_NEEDED, "another candidate of its row has a full mark")


class Siblings(Rule):
    """Starts so many candidates of a row at once, and ends the others after a full mark.

    A candidate whose score comes after its end keeps its place until then.

    Args:
        best_of: How many candidates a row has.
        n_tasks: How many tasks there are, a whole number of rows.
        late_scores: Whether a score comes after the task's end, from a grader.

    Example:
        >>> rule = Siblings(BestOf(3, 1), n_tasks=3)
        >>> list(rule.held())
        [1, 2]
    """

    def __init__(self, best_of: BestOf, n_tasks: int, *, late_scores: bool = False) -> None:
        self._best_of, self._n_tasks, self._late_scores = best_of, n_tasks, late_scores
        self._ended: dict[int, TaskEnd] = {}
        self._settled: set[int] = set()
        self._released = {task for task in range(n_tasks) if task % best_of.n < best_of.at_once}
        self._exempt: set[int] = set()
        self._won: set[int] = set()  # rows
        self._changed: set[int] = set()  # rows
        self._to_release: set[int] = set()
        self._solved: set[int] = set()  # rows
        self._unscored: set[int] = set()  # candidates that will have no grade
        self._n_settled: dict[int, int] = {}  # of each row
        self._n_ended_rows = 0

    @classmethod
    def of_session(cls, session: dict[str, Any], n_tasks: int) -> Siblings:
        """Makes the rule that the head of session.json asks for.

        Args:
            session: The head.
            n_tasks: How many tasks the session has.
        """
        kind = (session.get("score") or {}).get("kind")
        late_scores = kind == "grade"  # the others are there when a task has ended
        best_of = BestOf.of_json(session["best_of"])
        return cls(best_of, n_tasks, late_scores=best_of.is_scored and late_scores)

    def reopened(self, tasks: Collection[int]) -> None:
        """These tasks are to run after all, whatever their siblings have."""
        self._exempt.update(tasks)
        self._release(tasks)

    def held(self) -> Iterable[int]:
        """The candidates that wait until an earlier one of their row has its score."""
        self._to_release.clear()
        return sorted(set(range(self._n_tasks)) - self._released)

    def ended(self, task: int, end: TaskEnd) -> None:
        """A candidate has ended."""
        self._ended[task] = end
        will_be_scored = self._late_scores and end.outcome == states.SUCCEEDED
        if not (will_be_scored and end.score is None):
            self._settle(task, end.score)

    def scored(self, task: int, score: float | None) -> None:
        """A candidate has its score, or it is certain that it gets none."""
        self._settle(task, score)

    def _settle(self, task: int, score: float | None) -> None:
        row, end = task // self._best_of.n, self._ended.get(task)
        if end is not None and self._best_of.is_full_mark(end.outcome, score):
            self._won.add(row)
            self._changed.add(row)
        if end is not None and self._best_of.solves(end.outcome, end.reason, score):
            self._solved.add(row)
        if end is not None and end.outcome == states.SUCCEEDED and self._late_scores:
            (self._unscored.add if score is None else self._unscored.discard)(task)
        if task in self._settled:
            return
        self._settled.add(task)
        self._n_settled[row] = self._n_settled.get(row, 0) + 1
        self._n_ended_rows += self._n_settled[row] == self._best_of.n
        waiting = [one for one in self._candidates(row) if one not in self._released]
        if waiting and row not in self._won:
            self._release(waiting[:1])

    def _release(self, tasks: Collection[int]) -> None:
        new = set(tasks) - self._released
        self._released |= new
        self._to_release |= new

    def _candidates(self, row: int) -> range:
        return range(row * self._best_of.n, (row + 1) * self._best_of.n)

    def events(self, now: float) -> Iterator[Event]:
        """Ends what is not needed, and lets the next candidates start."""
        while self._changed:
            for task in self._candidates(self._changed.pop()):
                if task not in self._ended and task not in self._exempt:
                    yield messages.Close(now, task, _NOT_NEEDED)  # if it has not started
                    yield messages.Cancel(now, task)  # if it runs
        for task in sorted(self._to_release):
            yield messages.Release(now, task)
        self._to_release.clear()

    def fields(self) -> dict[str, Any]:
        """How many rows there are, how many are solved, and of how many all candidates ended."""
        if not self._best_of.solved_by:
            return {}
        n = self._best_of.n
        counts = {"n": n, "n_rows": self._n_tasks // n, "n_solved": len(self._solved)}
        if n_unknown := len({task // n for task in self._unscored} - self._solved):
            counts["n_unknown"] = n_unknown
        return {"candidates": {**counts, "n_ended": self._n_ended_rows}}
