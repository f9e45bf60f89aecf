"""The processes that run for a session: attempts, adopted attempts, checks, helpers."""

from __future__ import annotations

import os

from cpr_nb.runner import process
from cpr_nb.runner.attempt import Attempt, SideRun
from cpr_nb.runner.niceness import DEFAULT_NICE, Niceness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cpr_nb.runner.shared.served_attempt import ServedAttempt
    from cpr_nb.runner.shared.shared_process import SharedProcess
    from cpr_nb.runner.wakeup import Wakeup

Run = Attempt | SideRun
_RSS_UNIT = 1024 if process.LINUX else 1  # macOS counts bytes


class ProcessTable:
    """Finds them by their key and by task, and notices their end.

    Args:
        wakeup: Watches the descriptors of adopted processes.
        nice: How nice they are (see `Niceness`); None: as nice as they are by default.
    """

    def __init__(self, wakeup: Wakeup, nice: int | None = None) -> None:
        self._wakeup = wakeup
        self._niceness = Niceness(DEFAULT_NICE if nice is None else nice)
        self._by_key: dict[int | str, Run | SharedProcess] = {}
        self._adopted: list[Attempt] = []
        self.by_task: dict[int, Run] = {}
        self.unidentified: list[Attempt] = []

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Run]:
        return iter(list(self.by_task.values()))

    @property
    def has_visible(self) -> bool:
        """Whether a process runs that can be seen from here."""
        return any(run.process.pid >= 0 for run in self._by_key.values())

    def sandboxed_folders(self) -> set[str]:
        """The folders in which checks run in a sandbox of ours."""
        return {run.sandboxed for run in self if isinstance(run, SideRun)}

    def add(self, run: Run) -> None:
        """Adds a process that runs for a task."""
        self._by_key[run.process.key] = self.by_task[run.task] = run
        self._niceness.begin(run.process.pid_here)

    def add_started(self, attempt: Attempt) -> None:
        """Adds an attempt that we have just started; `identify` journals it later."""
        self.add(attempt)
        if not attempt.process.node:
            self.unidentified.append(attempt)

    def identify(self, journal: Callable[..., None]) -> None:
        """Journals what distinguishes a process from a later one with the same pid.

        Not when it starts: the kernel shows a process to nobody while it executes its program,
        and waiting for that would be the most expensive part of starting it.
        """
        for attempt in self.unidentified:
            pid = attempt.process.pid
            if pid in self._by_key:
                start_time = process.start_time(pid)
                journal("identity", task_id=attempt.task_id, pid=pid, start_time=start_time)
        self.unidentified.clear()

    def keep_nice(self, now: float) -> None:
        """Makes the shells nice that they have started meanwhile."""
        self._niceness.follow(now, (run.process.pid_here for run in self._by_key.values()))

    def add_shared(self, shared: SharedProcess) -> None:
        """Adds a process that is about to serve tasks."""
        self._by_key[shared.process.key] = shared
        self._niceness.begin(shared.process.pid_here)

    def add_served(self, attempt: ServedAttempt) -> None:
        """Adds an attempt that a shared process runs."""
        self.by_task[attempt.task] = attempt

    def adopt(self, attempt: Attempt) -> None:
        """Adds an attempt that an earlier runner started, and watches it."""
        self.add(attempt)
        self._adopted.append(attempt)
        pidfd = attempt.process.pidfd
        if pidfd is not None and pidfd >= 0:
            self._wakeup.watch(pidfd)

    def reap(self) -> tuple[int, Run | SharedProcess | None, int, int] | None:
        """Reaps one child that has ended.

        Returns:
            Its pid, what it was (None for a stranger), its wait status, its peak memory in
            bytes; None if no child has ended.
        """
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if pid == 0:
            return None
        return pid, self.remove_run(pid), status, usage.ru_maxrss * _RSS_UNIT

    def reap_adopted(self, ready: set[int], *, poll: bool) -> list[Attempt]:
        """Removes and returns the adopted processes that have ended.

        Args:
            ready: The descriptors that became readable.
            poll: Whether to check those that have no descriptor.
        """
        gone = []
        for attempt in self._adopted:
            fd = -1 if attempt.process.pidfd is None else attempt.process.pidfd
            if fd in ready or (fd < 0 and poll and attempt.is_gone()):
                self._unwatch(attempt)
                gone.append(attempt)
        for attempt in gone:
            self._adopted.remove(attempt)
            self.forget(attempt)
        return gone

    def abandon(self, task: int) -> None:
        """Kills what runs for a task, if anything does, and forgets it: its end is no event."""
        run = self.by_task.get(task)
        if run is None:
            return
        if isinstance(run, Attempt) and run in self._adopted:
            self._unwatch(run)
            self._adopted.remove(run)
        self.forget(run)
        run.kill_tree()
        if isinstance(run, Attempt):
            run.stream.close()

    def kill_all(self) -> bool:
        """Kills the process trees of all that runs; returns true."""
        for run in list(self._by_key.values()):
            run.kill_tree()
        return True

    def _unwatch(self, attempt: Attempt) -> None:
        pidfd = attempt.process.pidfd
        if pidfd is not None and pidfd >= 0:
            self._wakeup.unwatch(pidfd)
            os.close(pidfd)

    def run_of(self, key: int | str) -> Run | SharedProcess | None:
        """What a process runs for; None if it is known no more."""
        return self._by_key.get(key)

    def remove_run(self, key: int | str) -> Run | SharedProcess | None:
        """Removes and returns what a process has run for, which has ended."""
        run = self._by_key.pop(key, None)
        if isinstance(run, Run):
            self.forget(run)
        return run

    def forget(self, run: Run) -> bool:
        """Forgets what ran for a task; returns whether it was known."""
        key = run.process.key
        if self._by_key.get(key) is run:
            del self._by_key[key]
        if self.by_task.get(run.task) is not run:
            return False
        del self.by_task[run.task]
        return True
