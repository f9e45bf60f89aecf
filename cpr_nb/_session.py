"""A session, seen through its folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from cpr_nb import _sync
from cpr_nb._as_completed import AsCompleted
from cpr_nb._branches import Branches
from cpr_nb._tables import SessionTables
from cpr_nb._task import Task, deadline
from cpr_nb.model import errors, states
from cpr_nb.model.options import check_options
from cpr_nb.store import catalog, layout, requests
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_asked, read_session


class Session(Branches, SessionTables):
    """A handle on a session: of ours, or of the seed's.

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
        name = self._snapshot.head.get("name")
        return str(name) if name else None

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
        self.refresh()
        snapshot, total = self._snapshot, self.head.get("total", 0)
        name = f" {self.name}" if self.name else ""
        counts = ", ".join(
            f"{snapshot.count('n_' + what)} {what}"
            for what in ("succeeded", "failed", "cancelled", "skipped", "running", "pending")
            if snapshot.count("n_" + what)
        )
        cost = f", USD {self.cost_usd:.2f} estimate" if self.cost_usd is not None else ""
        return f"<Session {self.id[:8]}{name} {snapshot.state}: {total} tasks, {counts}{cost}>"

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
            tasks = read_asked(self.paths).get("tasks")
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
            if snapshot.state == states.UNREADABLE and self._snapshot.is_seed and seen:
                return self  # the seed writes in place: the last good one still tells more
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
        _sync.until(lambda: self.look(reached, end, what))

    def __await__(self) -> Generator[Any, None, Session]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Session:
        import asyncio

        for delay_s in _sync.poll_delays_s():
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

    # -- asking the runner ------------------------------------------------------------------

    def cancel(self) -> bool:
        """Ends every task with its process tree; what is written stays.

        If the session's runner is gone, it is done here and now.

        Returns:
            False if the session had ended already.

        Raises:
            SessionNotUsable: If the seed wrote the session, or it can't be read.
        """
        if self.done():
            return False
        self.ask("cancel", requests.cancel_name(None))
        return True

    def pause(self) -> None:
        """Starts nothing more until `resume`; what runs goes on.

        Raises:
            SessionNotUsable: If no runner works on it.
        """
        self._require_runner("pause")
        requests.leave(self.paths, layout.PAUSE)

    @property
    def max_parallel(self) -> int:
        """How many tasks may run at once; 0 for no limit. It can be changed while they run."""
        return self.refresh().snapshot.count("max_parallel")

    @max_parallel.setter
    def max_parallel(self, value: int) -> None:
        checked = check_options({"max_parallel": value})["max_parallel"]
        self._require_runner("set max_parallel of")
        requests.leave(self.paths, layout.MAX_PARALLEL, str(checked))

    def resume(self, env: Mapping[str, str] | None = None) -> Session:
        """Goes on after an interruption, a pause, or before a limit is over.

        Of an interrupted session, what has ended stays as it is; an agent that still runs is
        taken over; one that was cut off goes on with its conversation.

        Args:
            env: Values of variables that the launch was given: they are not stored.

        Returns:
            This session.

        Raises:
            SessionNotUsable: If it has ended, or runs already.
            InputError: If a value of ``env`` is missing.
            LaunchError: If the runner does not come up.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").resume().wait()  # doctest: +SKIP
        """
        from cpr_nb._resume import resume

        resume(self, dict(env or {}))
        return self.refresh()

    def ask(self, verb: str, request: str) -> None:
        """Leaves a request, and carries it out if no runner is there to do so.

        Args:
            verb: What to call it in an error.
            request: The name of the request.

        Raises:
            SessionNotUsable: If it can't be done.
        """
        if self._snapshot.state != states.INTERRUPTED:
            self._require_runner(verb)
            requests.leave(self.paths, request)
            return
        from cpr_nb._resume import settle

        settle(self, request)

    def _require_runner(self, verb: str) -> None:
        """Refuses what only a live runner can do."""
        self.refresh()
        if self._snapshot.is_seed:
            raise errors.SessionNotUsable(f"can't {verb} {self.id}: the seed wrote this session")
        if not self._snapshot.is_live:
            raise errors.SessionNotUsable(
                f"can't {verb} {self.id}: it is {self._snapshot.state}, no runner works on it"
            )

    def retry(self, *, all_tasks: bool = False, **options: Any) -> Session:
        """Runs the tasks that ended without success again, as a new session.

        The new session has the same prompts, ids and options, and points to this one.

        Args:
            all_tasks: Run those that succeeded again, too.
            **options: Options of `cpr_nb.launch` that go before the old ones.

        Returns:
            The new session.

        Raises:
            SessionNotUsable: If nothing is to be retried, or the seed wrote the session: it
                kept only 50 characters of each prompt.
            InputError: If an option can't be right, or an environment value is missing.
        """
        from cpr_nb._retry import plan_retry

        return plan_retry(self, all_tasks=all_tasks, options=options).start()


def attach(session: str, results_dir: str | os.PathLike[str] | None = None) -> Session:
    """Opens a session that exists: from another kernel, another day, or of the seed's.

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
