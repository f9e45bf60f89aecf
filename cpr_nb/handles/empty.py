"""The result of a command on a table without rows, so that the cells after it still run."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from cpr_nb.model import states

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.handles.task import Task


class NoSession:
    """A session without tasks that was never started. It is falsy.

    Args:
        table: The table without rows.

    Example:
        >>> bool(NoSession(None)), len(NoSession(None).wait())
        (False, 0)
    """

    state = states.COMPLETED

    def __init__(self, table: pd.DataFrame | None) -> None:
        self._table = table

    def __repr__(self) -> str:
        return "<No session: the table had no rows>"

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[Task]:
        return iter(())

    def wait(self, timeout: float | None = None) -> NoSession:
        """Returns itself at once."""
        return self

    def raise_for_failures(self) -> NoSession:
        """Returns itself: nothing has failed."""
        return self

    def __await__(self) -> Generator[Any, None, NoSession]:
        return self
        yield  # never reached; it makes this a generator

    def done(self) -> bool:
        """True."""
        return True

    def cancel(self) -> bool:
        """False: nothing runs."""
        return False

    def as_completed(self, timeout: float | None = None) -> Iterator[Task]:
        """No tasks."""
        return iter(())

    def results_df(self, *, flatten: bool = False) -> pd.DataFrame | None:
        """The table without rows."""
        return self._table

    def retry(self, **options: Any) -> NoSession:
        """Returns itself: nothing has failed."""
        return self

    def score(self, function: object, name: str = "score") -> pd.DataFrame | None:
        """The table without rows: there is nothing to score."""
        return self._table

    def summary(
        self, by: object = None, *, metric: object = None, cluster: object = None
    ) -> pd.DataFrame:
        """A summary without groups."""
        from cpr_nb.frames.row_metrics import TaskFacts
        from cpr_nb.frames.summary import summarize

        return summarize(self.tasks_df(), TaskFacts([], []), None, ())[:0]

    def compare(
        self,
        by: object = None,
        baseline: object = None,
        metric: object = None,
        *,
        cluster: object = None,
    ) -> Any:
        """A comparison that says that there is nothing to compare."""
        from cpr_nb.display.decisions.comparison_output import Comparison
        from cpr_nb.display.decisions.decision_output import DecisionParts, Sentence

        nothing = Sentence("There were no rows, so there is nothing to compare.")
        return Comparison(DecisionParts(nothing), "nothing to compare", self.summary())

    def tasks_df(self, *, full: bool = False) -> pd.DataFrame:
        """A table of tasks without rows."""
        from cpr_nb.frames.queries import build_task_table

        table: pd.DataFrame = build_task_table("tasks_df", [], full=full)
        return table
