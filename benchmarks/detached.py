"""Follows a detached runner until it has ended, and measures what it cost.

A runner is nobody's child: it forks once, and its first process exits. This process makes
itself a "subreaper" (Linux), so the runner becomes its child instead of init's. Then wait()
returns at the moment when the real, unchanged runner ends, and the kernel adds the CPU time of
the runner and of all tasks that it reaped to our RUSAGE_CHILDREN. Nothing is sampled.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.lab import SkippedError, await_readable
from cpr_nb.handles.session import Session
from cpr_nb.launching.plan import plan_launch
from cpr_nb.launching.start import start

_PR_SET_CHILD_SUBREAPER = 36
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_TIMEOUT_S = 600.0
_CANCEL_TIMEOUT_S = 20.0


class RunnerCost(NamedTuple):
    """The CPU time of an ended runner: its own, and that of its tasks."""

    own_s: float
    tasks_s: float


def adopt_orphans() -> None:
    """Makes this process the parent of whatever its children leave behind.

    Raises:
        SkippedError: If the system does not support this.
    """
    if not sys.platform.startswith("linux"):
        raise SkippedError("needs Linux: elsewhere the CPU time of a detached runner can't be had")
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise SkippedError(f"prctl: {os.strerror(ctypes.get_errno())}")


def launch(
    prompts: Iterable[Any],
    claude: Path,
    results: Path,
    environment: Mapping[str, str],
    **options: Any,
) -> Session:
    """Does what `cpr_nb.launch` does, in the given environment instead of ours."""
    locations = {"claude_path": str(claude), "results_dir": str(results), "cwd": str(results)}
    plan = plan_launch(prompts, {**locations, **options}, environ=environment)
    return Session.from_started(start(plan))


class Runner:
    """A runner that this process follows.

    Args:
        pid: Its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def await_end(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Waits, without polling, until its process has ended.

        Raises:
            TimeoutError: If it did not end in time.
        """
        if not await_readable(self._pidfd, timeout_s):
            raise TimeoutError(f"the runner {self.pid} did not end in {timeout_s} s")

    def cost(self) -> RunnerCost:
        """What it cost. It must have ended but not been reaped."""
        fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        user, system, tasks_user, tasks_system = (int(field) for field in fields[11:15])
        return RunnerCost(
            (user + system) / _TICKS_PER_S, (tasks_user + tasks_system) / _TICKS_PER_S
        )

    def kill(self) -> None:
        """Kills it if it is still alive."""
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def reap(self) -> None:
        """Waits for the end of its process and reaps it."""
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        os.close(self._pidfd)


@contextmanager
def followed(session: Session) -> Iterator[Runner]:
    """Follows a session's runner; after the block no process of the session is left.

    After an error in the block, or after the time limit, the session is cancelled.

    Args:
        session: The session; call `adopt_orphans` before its launch.

    Yields:
        The runner.

    Raises:
        TimeoutError: If the runner did not end in time.
        RuntimeError: If a task did not succeed, because then the measurement is worth nothing.
    """
    runner = Runner(int(json.loads(Path(session.paths.runner).read_bytes())["pid"]))
    try:
        yield runner
        runner.await_end()
    except BaseException:
        session.cancel()
        try:
            runner.await_end(_CANCEL_TIMEOUT_S)
        except TimeoutError:
            runner.kill()
        raise
    finally:
        runner.reap()
    head = session.refresh().head
    if head.get("successful") != head.get("total"):
        raise RuntimeError(f"not all tasks succeeded: {session!r}, see {session.paths.root}")


def run_session(
    prompts: Iterable[Any],
    claude: Path,
    results: Path,
    environment: Mapping[str, str],
    **options: Any,
) -> RunnerCost:
    """Launches a session and waits until its runner is gone.

    Returns:
        What the runner cost.
    """
    with followed(launch(prompts, claude, results, environment, **options)) as runner:
        runner.await_end()
        return runner.cost()
