"""The tasks of a session as they end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from cpr_nb._task import Task, deadline, poll_delays_s
from cpr_nb.model import states

if TYPE_CHECKING:
    from cpr_nb._session import Session


class AsCompleted:
    """The tasks of a session as they end; see `Session.as_completed`."""

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._end = deadline(timeout)
        self._told: set[int] = set()

    def __iter__(self) -> Iterator[Task]:
        while len(self._told) < len(self._session):
            for delay_s in poll_delays_s():
                ended = self._look()
                if ended:
                    break
                time.sleep(delay_s)
            yield from ended

    async def __aiter__(self) -> AsyncIterator[Task]:
        import asyncio

        while len(self._told) < len(self._session):
            for delay_s in poll_delays_s():
                ended = self._look()
                if ended:
                    break
                await asyncio.sleep(delay_s)
            for task in ended:
                yield task

    def _look(self) -> list[Task]:
        ended: list[Task] = []

        def some_ended() -> bool:
            ended.extend(
                task
                for task in self._session
                if task.num not in self._told and task.state == states.ENDED
            )
            return bool(ended)

        self._session.look(some_ended, self._end, "as_completed")
        self._told.update(task.num for task in ended)
        return ended
