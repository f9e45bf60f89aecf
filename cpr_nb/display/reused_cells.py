"""The rows of a map that other sessions have run, as rows of the live view."""

from __future__ import annotations

import time

from cpr_nb.display import row_deltas
from cpr_nb.display.row_deltas import Column
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.result_rows import ResultRow, reused_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.display.row_deltas import Row

#: How often rows that still run elsewhere are read again.
_EVERY_S = 2.0


class ReusedCells:
    """Follows the reused rows of one session.

    Args:
        snapshot: The session.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._n_own = len(snapshot.tasks or ())
        self._read()

    def cells(self) -> list[Row]:
        """Returns the rows; their numbers continue those of the session's own tasks."""
        return [self._cells(number, row) for number, row in enumerate(self._rows, self._n_own + 1)]

    def poll(self) -> dict[int, Row]:
        """Returns the rows by their indices in the view, if some of them may have changed."""
        if self._is_over or time.monotonic() - self._read_at < _EVERY_S:
            return {}
        self._read()
        return dict(enumerate(self.cells(), self._n_own))

    def source(self, index: int) -> tuple[Snapshot, int]:
        """The session that has a row's answer, as it is now, and the task's number in it.

        Args:
            index: The row's index in the view.

        Raises:
            LookupError: If the session is gone.
        """
        answer = self._rows[index - self._n_own].answer
        snapshot = read_session(answer.snapshot.paths.root)
        task_ids = [task.get("transaction_id") for task in snapshot.tasks or ()]
        if answer.ids[1] not in task_ids:
            raise LookupError(answer.ids)
        return snapshot, task_ids.index(answer.ids[1])

    def _read(self) -> None:
        self._read_at = time.monotonic()
        self._rows = [row for _, row in sorted(reused_rows(self._snapshot).items())]
        self._is_over = all(task_state(row.answer.fields)[0] == states.ENDED for row in self._rows)

    def _cells(self, number: int, row: ResultRow) -> Row:
        """One row. It costs nothing here: what it has cost is in the session that ran it."""
        fields = row.answer.fields
        state, outcome = task_state(fields)
        cells: Row = [None] * len(Column)
        cells[Column.KEY] = "/".join((row.answer.snapshot.session_id, row.answer.ids[1]))
        cells[Column.NUM] = number
        cells[Column.STATE] = outcome or state
        cells[Column.TITLE] = row_deltas.title_of(str(row.task.spec.get("prompt", "")))
        cells[Column.NOW] = f"reused from {row.answer.snapshot.session_id[:8]}"
        cells[Column.DURATION] = row_deltas.rounded(task_duration_s(fields), 1)
        cells[Column.DENIED] = 0
        cells[Column.NODE] = ""
        return cells
