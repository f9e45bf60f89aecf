"""The tasks of a session: by number, by id, and as they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Self

from cpr_nb.handles import waiting
from cpr_nb.handles.answering import SessionQuestions
from cpr_nb.handles.task import Task
from cpr_nb.model import errors, states


class SessionTasks(SessionQuestions):
    """The methods of a `Session` that return its tasks."""

    @property
    def tasks(self) -> list[Task]:
        """All its tasks, in order."""
        return [Task(self, index) for index in range(len(self))]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[index]

    def task(self, wanted: str | int) -> Task:
        """A task by its id, a unique prefix of it, or its number from 1.

        Raises:
            TaskNotFound: If there is no such task, or the prefix fits several.
        """
        ids = [str(task.get("transaction_id", "")) for task in self._snapshot.tasks or ()]
        indices = _matching_indices(ids, wanted)
        if not indices:
            raise errors.TaskNotFound(f"session {self.id} has no task {wanted!r}")
        if len(indices) > 1:
            matches = ", ".join(ids[index] for index in indices[:5])
            more = ", …" if len(indices) > 5 else ""
            raise errors.TaskNotFound(
                f"{wanted!r} matches several tasks of {self.id}: {matches}{more}"
            )
        return Task(self, indices[0])

    def as_completed(self, timeout: float | None = None) -> AsCompleted:
        """The tasks as they end, for ``for`` and for ``async for``.

        Args:
            timeout: The longest wait for all of them, in seconds.

        Returns:
            An iterable of `Task`.

        Raises:
            WaitTimeout: While iterating, if they have not all ended in time.
            SessionInterrupted: While iterating, if the runner is gone.
        """
        return AsCompleted(self, timeout)

    def raise_for_failures(self) -> Self:
        """Raises the error of the first task that ended without success.

        Returns:
            This session, if there is none.

        Raises:
            TaskError: If there is one.
        """
        for task in self.refresh():
            if task.outcome not in (None, states.SUCCEEDED):
                error = task.exception()
                if error is not None:
                    raise error
        return self


def _matching_indices(ids: list[str], wanted: str | int) -> list[int]:
    """The indices of the tasks that an id, the prefix of one, or a number from 1 may mean."""
    if isinstance(wanted, int) or (wanted.isdigit() and wanted not in ids):
        index = int(wanted) - 1
        return [index] if 0 <= index < len(ids) else []
    if not wanted:
        return []
    equal = [index for index, task_id in enumerate(ids) if task_id == wanted]
    return equal or [index for index, task_id in enumerate(ids) if task_id.startswith(wanted)]


class AsCompleted:
    """The tasks of a session as they end; see `Session.as_completed`."""

    def __init__(self, session: SessionTasks, timeout: float | None) -> None:
        self._session = session
        self._end = waiting.deadline(timeout)
        self._yielded: set[int] = set()
        self._ended: list[Task] = []

    def __iter__(self) -> Iterator[Task]:
        while not self._is_over():
            waiting.until(self._poll)
            yield from self._ended

    async def __aiter__(self) -> AsyncIterator[Task]:
        while not self._is_over():
            await waiting.until_async(self._poll)
            for task in self._ended:
                yield task

    def _is_over(self) -> bool:
        """Whether no more tasks will end; those of a planned session are not known yet."""
        return not self._session.is_planned and len(self._yielded) >= len(self._session)

    def _poll(self) -> bool:
        """Whether more tasks have ended; they are in ``_ended`` then."""
        ended: list[Task] = []

        def some_ended() -> bool:
            ended.extend(
                task
                for task in self._session
                if task.num not in self._yielded and task.state == states.ENDED
            )
            return bool(ended) or (self._session.has_ended() and not len(self._session))

        has_ended = self._session.poll(some_ended, self._end)
        self._yielded.update(task.num for task in ended)
        self._ended = ended
        return has_ended
