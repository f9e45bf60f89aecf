"""Waits for the rows of a map that run in another session, too: its table has their answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Self

from cpr_nb.handles import waiting
from cpr_nb.handles.collection import SessionTasks
from cpr_nb.handles.core import SessionCore
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.views.result_rows import reused_rows

_SUBJECT = "a row that it reuses"


class ReusedRows(SessionTasks):
    """The methods of a `Session` that concern rows whose answers other sessions have."""

    def done(self) -> bool:
        """Whether every task has ended, and every row that it reuses."""
        return super().done() and next(self._sources(), None) is None

    def wait(self, timeout: float | None = None) -> Self:
        """Waits until every task has ended, and every row that it reuses.

        Ctrl-C ends the wait, not the work.

        Args:
            timeout: The longest wait, in seconds; None waits as long as it takes.

        Returns:
            This session.

        Raises:
            WaitTimeout: If it has not ended in time. It continues.
            SessionInterrupted: If its runner is gone, or that of a row that it reuses.
        """
        end = waiting.deadline(timeout)
        super().wait(timeout)
        for source in self._sources():
            ended = partial(source.poll, source.has_ended, end, _SUBJECT)
            waiting.until(ended, source.paths.root)
        return self

    async def _wait_async(self) -> Self:
        await super()._wait_async()
        for source in self._sources():
            ended = partial(source.poll, source.has_ended, None, _SUBJECT)
            await waiting.until_async(ended, source.paths.root)
        return self

    def _sources(self) -> Iterator[_Source]:
        """The sessions in which rows have not ended yet."""
        task_ids: dict[str, set[str]] = {}
        for row in reused_rows(self.snapshot).values():
            root = row.answer.snapshot.paths.root
            if row.answer.snapshot.tasks and task_state(row.answer.fields)[0] != states.ENDED:
                task_ids.setdefault(root, set()).add(row.answer.ids[1])
        for root, ids in task_ids.items():
            yield _Source(root, ids)


class _Source(SessionCore):
    """A session in which rows of another one run.

    Args:
        root: Its folder.
        task_ids: The ids of their tasks.
    """

    def __init__(self, root: str, task_ids: set[str]) -> None:
        super().__init__(root)
        self._task_ids = task_ids

    def has_ended(self) -> bool:
        """Whether the rows have ended."""
        return all(
            task_state(task)[0] == states.ENDED
            for task in self.snapshot.tasks or ()
            if task.get("transaction_id") in self._task_ids
        )
