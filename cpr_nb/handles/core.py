"""A session's folder as an object: its state, refreshing it, waiting for it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cpr_nb.handles import waiting
from cpr_nb.model import errors, states
from cpr_nb.model.text import visible_line
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.request_folder import leave_request
from cpr_nb.store.spec_file import read_spec, task_of
from cpr_nb.views.formatting import session_line
from cpr_nb.views.notice import warnings_of

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.launching.rerun_tasks import RerunSource
    from cpr_nb.launching.start import StartedSession


class SessionCore:
    """What every part of a `Session` builds on: its folder, as it was read last.

    Args:
        path: The session's folder.

    Attributes:
        paths: The paths of its files.
        answer_types: Task id → the Python type of its answer, where this process was given one.
        frame: The frame that `cpr_nb.map` was given, in the process that called it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.paths = SessionPaths(os.path.abspath(path))
        self.answer_types: dict[str, Any] = {}
        self.frame: pd.DataFrame | None = None
        self._task_specs: list[Any] | None = None
        self._last_stat: tuple[int, int, int] | None = None
        self._snapshot: Snapshot = read_session(self.paths.root)

    @classmethod
    def from_started(cls, started: StartedSession) -> Self:
        """The handle on a session that this process has just started, or attached to."""
        session = cls(started.root)
        session.frame = started.frame
        session.answer_types = started.answer_types
        return session

    @classmethod
    def from_plan(cls, plan: LaunchPlan, *, reuse: bool) -> Self:
        """Starts a plan, or what of it has no answer yet, and says what is reused.

        The plan's warnings are passed to `warnings.warn`.

        Args:
            plan: The plan.
            reuse: Whether to reuse what was done before.

        Raises:
            ResultsDirError: If the results directory can't be written.
            LaunchError: If the runner does not come up; no session is left behind.
        """
        from cpr_nb.launching.begin import reuse_message, start_or_attach

        for warning in plan.warnings:
            # At the caller of the method that planned it.
            warnings.warn(visible_line(warning), stacklevel=3)
        started = start_or_attach(plan, reuse=reuse)
        for line in started.node_lines:
            print_line(line)
        session = cls.from_started(started)
        if line := reuse_message(started, session.snapshot, plan):
            print_line(line)
        return session

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
        """What status.json says about the session as a whole."""
        return self._snapshot.head

    @property
    def snapshot(self) -> Snapshot:
        """The folder as it was read last."""
        return self._snapshot

    @property
    def cost_usd(self) -> float | None:
        """Its cost so far, by the CLI's own estimate; None if it is not known."""
        cost = self.head.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) else None

    @property
    def warnings(self) -> list[str]:
        """What its runner warned of, as of now: one line for each cause, such as a set-up problem.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").warnings  # doctest: +SKIP
            ['the MCP server db failed: its tools were missing']
        """
        return warnings_of(self.refresh().snapshot)

    def __repr__(self) -> str:
        return session_line(self.refresh().snapshot)

    def __len__(self) -> int:
        return len(self._snapshot.tasks or ())

    def fields(self, index: int) -> dict[str, Any]:
        """What status.json says about task number ``index`` (from 0)."""
        return (self._snapshot.tasks or [])[index]

    def task_spec(self, index: int) -> dict[str, Any]:
        """What session.json says about task ``index`` (from 0): its full prompt and options."""
        if self._task_specs is None:
            tasks = read_spec(self.paths).get("tasks")
            self._task_specs = tasks if isinstance(tasks, list) else []
        return task_of(self._task_specs, index)

    def rows_frame(self) -> pd.DataFrame | None:
        """The frame whose rows the tasks are about; None if there is none.

        Values that JSON can't hold are text in it, unless this process has made the session.
        """
        if self.frame is None:
            from cpr_nb.frames.frame_json import read_frame

            self.frame = read_frame(self.paths.frame)
        return self.frame

    def rerun_source(self) -> RerunSource:
        """What a rerun of its tasks needs to know of it."""
        from cpr_nb.launching.rerun_tasks import RerunSource

        return RerunSource(self._snapshot, self.answer_types, self.rows_frame)

    # -- reading ----------------------------------------------------------------------------

    def refresh(self) -> Self:
        """Reads the folder again if anything changed. Every question about its state does so."""
        try:
            status_file = os.stat(self.paths.status)
            stat = (status_file.st_mtime_ns, status_file.st_size, status_file.st_ino)
        except OSError:
            stat = None
        is_unchanged = stat is not None and stat == self._last_stat
        if is_unchanged and self._snapshot.state in states.ENDED_STATES:
            return self
        snapshot = read_session(self.paths.root)
        if snapshot.state == states.UNREADABLE and self._snapshot.is_legacy and stat:
            return self  # a legacy session is written in place: keep the last good one
        if self.is_planned and snapshot.state != states.PLANNED:
            self.frame = self._task_specs = None  # now its rows are known
        self._snapshot = snapshot
        self._last_stat = stat
        return self

    # -- waiting ----------------------------------------------------------------------------

    def done(self) -> bool:
        """Whether every task has ended."""
        return self.state in states.ENDED_STATES

    def wait(self, timeout: float | None = None) -> Self:
        """Waits until every task has ended. Ctrl-C ends the wait, not the work.

        Where no live view shows the session, a line says how far it is.

        Args:
            timeout: The longest wait, in seconds; None waits as long as it takes.

        Returns:
            This session.

        Raises:
            WaitTimeout: If it has not ended in time. It continues.
            SessionInterrupted: If its runner is gone, or it is planned after something that goes
                on only when a person says so.
        """
        self.wait_until(self.has_ended, timeout, "")
        _flush_views()
        return self

    def wait_until(
        self, condition: Callable[[], bool], timeout: float | None, subject: str
    ) -> None:
        """Waits until a condition holds that only reads this handle.

        Args:
            condition: The condition.
            timeout: The longest wait, in seconds; None waits as long as it takes.
            subject: What is waited for, for the error; "" for the whole session.

        Raises:
            WaitTimeout: If it does not hold in time.
            SessionInterrupted: If it never will, because the runner is gone.
        """
        end = waiting.deadline(timeout)
        waiting.until(lambda: self.poll(condition, end, subject), self.paths.root)

    def __await__(self) -> Generator[Any, None, Self]:
        return self._wait_async().__await__()

    async def _wait_async(self) -> Self:
        await waiting.until_async(lambda: self.poll(self.has_ended, None), self.paths.root)
        _flush_views()
        return self

    @property
    def is_planned(self) -> bool:
        """Whether it had not started when its folder was read last: its inputs have not ended."""
        return self._snapshot.state == states.PLANNED

    def has_ended(self) -> bool:
        """Whether it had ended when its folder was read last."""
        return self._snapshot.state in states.ENDED_STATES

    def poll(
        self, condition: Callable[[], bool], end: waiting.Deadline | None, subject: str = ""
    ) -> bool:
        """Reads the folder once for a wait.

        Args:
            condition: The condition that is waited for; it only reads this handle.
            end: When the wait ends; None for never.
            subject: What is waited for, for the error; "" for the whole session.

        Returns:
            Whether the condition holds.

        Raises:
            WaitTimeout: If it does not hold in time.
            SessionInterrupted: If it never will, because the runner is gone.
        """
        self.refresh()
        if condition():
            return True
        state = self._snapshot.state
        if state in states.ENDED_STATES:
            raise errors.SessionInterrupted(f"session {self.id} is {state}, but {subject} is not")
        if state in (states.INTERRUPTED, states.STALE, states.UNREADABLE):
            raise errors.SessionInterrupted(_why_it_never_ends(self._snapshot))
        if state == states.PLANNED:
            from cpr_nb.views.planned_text import why_stuck

            if why := why_stuck(self._snapshot):
                raise errors.SessionInterrupted(why)
        if end is not None and end.is_over:
            from cpr_nb.views.wait_progress import timeout_text

            raise errors.WaitTimeout(timeout_text(self._snapshot, end.timeout_s, subject))
        return False

    # -- requests ---------------------------------------------------------------------------

    def ask(self, verb: str, request: str) -> None:
        """Leaves a request for the runner, and carries it out if there is no runner.

        Args:
            verb: What to call it in an error.
            request: The name of the request.

        Raises:
            SessionNotUsable: If it can't be done.
        """
        if self._snapshot.state != states.INTERRUPTED:
            self.leave_request(verb, request)
            return
        from cpr_nb.launching.resume import settle

        settle(self._snapshot, request)

    def leave_request(self, verb: str, request: str, value: str = "") -> None:
        """Leaves a request for the session's runner.

        Args:
            verb: What to call it in an error.
            request: The name of the request.
            value: Its value.

        Raises:
            SessionNotUsable: If there is no runner, or it would not see the request.
        """
        self._require_runner(verb)
        try:
            leave_request(self.paths, self.id, verb, request, value)
        except errors.SessionNotUsable:
            self._require_runner(verb)  # it may have ended meanwhile
            raise
        self.print_if_stopped()

    @property
    def stopped_pid(self) -> int | None:
        """The pid of its runner if that is stopped (SIGSTOP), so that it reads no request."""
        from cpr_nb.executors.local import stopped_runner

        return stopped_runner(self.paths)

    def print_if_stopped(self) -> None:
        """Says so if its runner is stopped, and what helps."""
        pid = self.stopped_pid
        if pid is not None:
            print_line(
                f"Session {self._snapshot.short_id}: its runner (process {pid}) is stopped, and "
                f"does this as soon as it continues: kill -CONT {pid}"
            )

    def _require_runner(self, verb: str) -> None:
        """Refuses what only a live runner can do."""
        snapshot = self.refresh().snapshot
        if snapshot.is_legacy:
            raise errors.SessionNotUsable(
                f"can't {verb} {self.id}: claude-parallel-runner.pl wrote this session"
            )
        if not snapshot.is_live or self.is_planned:
            raise errors.SessionNotUsable(
                f"can't {verb} {self.id}: it is {snapshot.state}, no runner works on it"
            )


def _why_it_never_ends(snapshot: Snapshot) -> str:
    root = snapshot.paths.root
    if not os.path.isdir(root):
        return (
            f"session {snapshot.session_id}: its folder is gone: {root}; "
            "if it was moved, attach to it there: cpr.attach(PATH)"
        )
    return (
        f"session {snapshot.session_id} is {snapshot.state}: its runner ended before the session "
        f"did; cpr resume {snapshot.short_id} resumes it"
    )


def _flush_views() -> None:
    """Brings the live views of this process up to date, if there are any."""
    module = sys.modules.get("cpr_nb.display.ticker")
    if module is not None:
        module.ticker.flush()


def print_line(line: str) -> None:
    """Prints a line for the user: in a notebook among a cell's output, elsewhere on stderr."""
    stream = sys.stdout if "IPython" in sys.modules else sys.stderr
    if stream is not None:
        stream.write(f"{visible_line(line)}\n")
