"""Gathers what the loop needs: what was asked, the environment, who we are."""

from __future__ import annotations

import json
import os
import sys
import time

from cpr_nb.runner import process
from cpr_nb.runner.asked import Asked
from cpr_nb.runner.loop import Loop
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.write import utc_iso


def prepare(root: str) -> Loop:
    """Makes the loop for a session's folder.

    Variables of single tasks come on stdin as JSON, task id → name → value: a value must
    not be on the disk, nor in the arguments.

    Args:
        root: The session's folder.

    Returns:
        The loop, ready to run.
    """
    task_env = json.loads(sys.stdin.buffer.read() or b"{}")
    asked = Asked(SessionPaths(root).session)
    pid = os.getpid()
    runner = {
        "pid": pid,
        "started_at": utc_iso(time.time()),
        "start_time": process.start_time(pid),
        "boot_id": process.boot_id(),
        "host": os.uname().nodename,
        "executor": asked.head.get("executor"),
    }
    return Loop(SessionPaths(root), asked, dict(os.environb), task_env, runner)
