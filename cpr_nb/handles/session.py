"""A session, seen through its folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from cpr_nb.handles import waiting
from cpr_nb.handles.branches import Branches
from cpr_nb.handles.charts import Charts
from cpr_nb.handles.collection import AsCompleted
from cpr_nb.handles.control import Steering
from cpr_nb.handles.notebook import ShownSession
from cpr_nb.handles.results import Results
from cpr_nb.handles.tables import SessionTables
from cpr_nb.handles.task import Task, deadline
from cpr_nb.model import errors, states
from cpr_nb.store import catalog
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.formatting import on_one_line


class Session(Steering, Branches, Results, Charts, SessionTables, ShownSession):
    """A handle on a session, also one that claude-parallel-runner.pl wrote.

    It is a view on the session's folder. To drop it, to interrupt a wait or to restart the
    kernel never touches the work.

    Args:
        path: The session's folder.

    Example:
        >>> import cpr_nb as cpr
        >>> session = cpr.attach("3f2a")  # doctest: +SKIP
        >>> session.wait()  # doctest: +SKIP
        >>> [task.text for task in session if task.ok]  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.paths = SessionPaths(os.path.abspath(path))
        self.answer_types: dict[str, Any] = {}  # task id → `Answer`, where a type was given here
        self._asked: list[Any] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._snapshot: Snapshot = read_session(self.paths.root)

    # -- what it is -------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its id."""
        return self._snapshot.session_id

    @property
    def name(self) -> str | None:
        """The name that the user gave it."""
        return str(self._snapshot.head.get("name") or "") or None

    @property
    def path(self) -> Path:
        """Its folder."""
        return Path(self.paths.root)

    @property
    def state(self) -> str:
        """One of `cpr_nb.model.states.SESSION_STATES`, as of now."""
        self.refresh()
        return self._snapshot.state

    @property
    def head(self) -> dict[str, Any]:
        """What status.json says of the session as a whole."""
        return self._snapshot.head

    @property
    def snapshot(self) -> Snapshot:
        """The folder as it was read last."""
        return self._snapshot

    @property
    def cost_usd(self) -> float | None:
        """What it has cost so far by the CLI's own estimate; None when not known."""
        cost = self.head.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) else None

    def __repr__(self) -> str:
        return on_one_line(self.refresh().snapshot)

    # -- its tasks --------------------------------------------------------------------------

    @property
    def tasks(self) -> list[Task]:
        """All its tasks, in order."""
        return [Task(self, index) for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._snapshot.tasks or ())

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def __getitem__(self, index: int) -> Task:
        return self.tasks[index]

    def task(self, wanted: str | int) -> Task:
        """A task by its id, a unique prefix of it, or its number from 1.

        Raises:
            TaskNotFound: If there is no such task, or the prefix fits several.
        """
        if isinstance(wanted, int) or (wanted.isdigit() and wanted not in self._task_ids()):
            number = int(wanted)
            if 1 <= number <= len(self):
                return Task(self, number - 1)
        else:
            ids = self._task_ids()
            fits = [i for i, task_id in enumerate(ids) if task_id == wanted]
            fits = fits or [i for i, task_id in enumerate(ids) if task_id.startswith(wanted)]
            if len(fits) == 1 and wanted:
                return Task(self, fits[0])
        raise errors.TaskNotFound(f"session {self.id} has no task {wanted!r}, or several")

    def _task_ids(self) -> list[str]:
        return [str(task.get("transaction_id", "")) for task in self._snapshot.tasks or ()]

    def fields(self, index: int) -> dict[str, Any]:
        """What status.json says of task number ``index`` (from 0)."""
        return (self._snapshot.tasks or [])[index]

    def asked_task(self, index: int) -> dict[str, Any]:
        """What session.json says of it: the prompt in full, its own options."""
        if self._asked is None:
            tasks = read_spec(self.paths).get("tasks")
            self._asked = tasks if isinstance(tasks, list) else []
        asked = self._asked[index] if index < len(self._asked) else None
        return asked if isinstance(asked, dict) else {}

    # -- reading ----------------------------------------------------------------------------

    def refresh(self) -> Session:
        """Reads the folder again if anything changed. Every question of state does so."""
        try:
            stat = os.stat(self.paths.status)
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            seen = None
        if seen != self._seen or seen is None or self._snapshot.state not in states.ENDED_STATES:
            snapshot = read_session(self.paths.root)
            if snapshot.state == states.UNREADABLE and self._snapshot.is_legacy and seen:
                return self  # a legacy session is written in place: keep the last good one
            self._snapshot = snapshot
            self._seen = seen
        return self

    # -- waiting ----------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether every task has ended."""
        return self.state in states.ENDED_STATES

    def wait(self, timeout: float | None = None) -> Session:
        """Waits until every task has ended. Ctrl-C ends the wait, not the work.

        Args:
            timeout: How many seconds at most; None waits as long as it takes.

        Returns:
            This session.

        Raises:
            WaitTimeout: If it has not ended in time. It goes on.
            SessionInterrupted: If its runner is gone.
        """
        self.wait_until(lambda: self._snapshot.state in states.ENDED_STATES, timeout, "the session")
        return self

    def wait_until(self, reached: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Waits until a condition holds that only looks at this handle.

        Raises:
            WaitTimeout: If it does not hold in time.
            SessionInterrupted: If it never will, for the runner is gone.
        """
        end = deadline(timeout)
        waiting.until(lambda: self.look(reached, end, what))

    def __await__(self) -> Generator[Any, None, Session]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Session:
        import asyncio

        for delay_s in waiting.poll_delays_s():
            if self.look(lambda: self._snapshot.state in states.ENDED_STATES, None, "the session"):
                break
            await asyncio.sleep(delay_s)
        return self

    def look(self, reached: Callable[[], bool], end: float | None, what: str) -> bool:
        """One look of a wait: whether the condition holds; raises if it never will.

        Args:
            reached: The condition; it only looks at this handle.
            end: When the wait ends, on the clock that never goes back; None for never.
            what: What is waited for, for the error.

        Raises:
            WaitTimeout: If it does not hold in time.
            SessionInterrupted: If it never will, for the runner is gone.
        """
        self.refresh()
        if reached():
            return True
        state = self._snapshot.state
        if state in states.ENDED_STATES:
            raise errors.SessionInterrupted(f"session {self.id} is {state}, but {what} is not")
        if state in (states.INTERRUPTED, states.STALE, states.UNREADABLE):
            raise errors.SessionInterrupted(
                f"session {self.id} is {state}: its runner is gone before the end; "
                f"cpr resume {self.id[:8]} goes on"
            )
        if end is not None and time.monotonic() >= end:
            raise errors.WaitTimeout(f"{what} has not ended in time; it goes on")
        return False

    def as_completed(self, timeout: float | None = None) -> AsCompleted:
        """The tasks as they end, for ``for`` and for ``async for``.

        Args:
            timeout: How many seconds to wait for all of them.

        Returns:
            An iterable of `Task`.

        Raises:
            WaitTimeout: While iterating, if they have not all ended in time.
            SessionInterrupted: While iterating, if the runner is gone.
        """
        return AsCompleted(self, timeout)

    def raise_for_failures(self) -> Session:
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


def attach(session: str, results_dir: str | os.PathLike[str] | None = None) -> Session:
    """Opens a session that exists: from another kernel, another day, or a legacy one.

    Args:
        session: Its id, a unique prefix of at least four characters, or its name.
        results_dir: The results directory, if it isn't the usual one.

    Returns:
        The session.

    Raises:
        SessionNotFound: If there is none.
        AmbiguousSession: If several fit.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.attach("3f2a").state  # doctest: +SKIP
    """
    directory = catalog.results_dir(results_dir, os.environ)
    return Session(catalog.find_session(directory, session))
