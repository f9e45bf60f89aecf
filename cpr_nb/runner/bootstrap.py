"""Gathers what the loop needs: what was asked, what an earlier runner left, who we are."""

from __future__ import annotations

import json
import os
import sys
import time

from cpr_nb.runner import process
from cpr_nb.runner.disk_monitor import DiskMonitor
from cpr_nb.runner.history import History, read_history
from cpr_nb.runner.loop import Loop
from cpr_nb.runner.random_ids import chance, new_uuid
from cpr_nb.runner.recorder import Recorder
from cpr_nb.runner.recovery import Recovery
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.session_spec import SessionSpec
from cpr_nb.runner.starter import Starter
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def prepare(root: str, lock_fd: int, *, settle: bool = False) -> Loop:
    """Makes the loop for a session's folder.

    Variables of single tasks come on stdin as JSON, task id → name → value: a value must
    not be on the disk, nor in the arguments.

    Args:
        root: The session's folder.
        lock_fd: The descriptor that holds the session's lock.
        settle: Only carry out the requests that wait.

    Returns:
        The loop, ready to run.
    """
    task_env = json.loads(sys.stdin.buffer.read() or b"{}")
    paths = SessionPaths(root)
    asked = SessionSpec(paths.session)
    is_first = not os.path.exists(paths.runner)
    history = read_history(paths)
    numbers: dict[str, int] = {}
    recorder = Recorder(paths, asked.head, _noted(asked, history, numbers), _runner(asked), history)
    starter = Starter(
        paths, asked.head, dict(os.environb), task_env, many_folders=asked.many_folders
    )
    recovery = Recovery(paths, history, numbers, asked, starter)
    for task_id, number in numbers.items():
        if number in recovery.past:
            recorder.take_up(number, history.tasks[task_id])
    if not is_first:
        recorder.flush(0.0)  # from now on everybody sees a session that is worked on
    max_parallel = history.max_parallel
    schedule = Schedule(
        asked.plans,
        max_parallel=asked.head["max_parallel"] if max_parallel is None else max_parallel,
        new_id=new_uuid,
        chance=chance,
        budget_usd=asked.head["options"].get("budget_usd"),
        groups=asked.groups,
        past=recovery.past,
        spent_usd=recovery.spent_usd,
    )
    return Loop(
        paths,
        asked,
        recorder,
        starter,
        history,
        recovery,
        schedule,
        DiskMonitor(paths, lock_fd),
        settle=settle,
    )


def _noted(
    asked: SessionSpec, history: History, numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """The tasks' unchanging fields; notes the numbers of those that have a history."""
    for base in asked.read_tasks():
        if base["transaction_id"] in history.tasks:
            numbers[base["transaction_id"]] = base["task_num"] - 1
        yield base


def _runner(asked: SessionSpec) -> dict[str, Any]:
    pid = os.getpid()
    return {
        "pid": pid,
        "started_at": utc_iso(time.time()),
        "start_time": process.start_time(pid),
        "boot_id": process.boot_id(),
        "host": os.uname().nodename,
        "executor": asked.head.get("executor"),
    }
