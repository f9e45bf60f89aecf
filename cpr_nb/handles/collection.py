"""The tasks of a session as they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from cpr_nb.handles import waiting
from cpr_nb.handles.task import Task, deadline
from cpr_nb.model import states

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session


class AsCompleted:
    """The tasks of a session as they end; see `Session.as_completed`."""

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._end = deadline(timeout)
        self._told: set[int] = set()
        self._ended: list[Task] = []

    def __iter__(self) -> Iterator[Task]:
        while len(self._told) < len(self._session):
            waiting.until(self._look)
            yield from self._ended

    async def __aiter__(self) -> AsyncIterator[Task]:
        import asyncio

        while len(self._told) < len(self._session):
            for delay_s in waiting.poll_delays_s():
                if self._look():
                    break
                await asyncio.sleep(delay_s)
            for task in self._ended:
                yield task

    def _look(self) -> bool:
        """Whether tasks have ended that were not told yet; they are in ``_ended`` then."""
        ended: list[Task] = []

        def some_ended() -> bool:
            ended.extend(
                task
                for task in self._session
                if task.num not in self._told and task.state == states.ENDED
            )
            return bool(ended)

        reached = self._session.look(some_ended, self._end, "as_completed")
        self._told.update(task.num for task in ended)
        self._ended = ended
        return reached
