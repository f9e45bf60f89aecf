"""The user's own set-up of a worktree, before the agent starts."""

from __future__ import annotations

import os
import subprocess

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records
from cpr_nb.worktrees.harvest import place_of
from cpr_nb.worktrees.inspection import changed_paths
from cpr_nb.worktrees.job import Order
from cpr_nb.worktrees.records import TaskNote
from cpr_nb.worktrees.repo import removed_here

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
_TAIL_BYTES = 4096


class SetupFailed(WorktreeError):
    """The set-up of a task's worktree failed."""

    reason = "setup_failed"


def run_setup(order: Order, note: TaskNote, folder: str) -> None:
    """Runs the set-up if there is one, and writes down what was there before the agent came.

    Args:
        order: The task.
        note: How far its worktree has come.
        folder: Where it runs: the agent's folder.

    Raises:
        SetupFailed: If it exits with anything but 0.
        WorktreeError: If the worktree is gone after it.
    """
    place = place_of(note)
    if order.setup:
        _run(order, note, folder)
    # Ignored files that are newer than this are the agent's. By the clock of that file system,
    # and before the commands that follow: the agent starts well after it.
    try:
        os.utime(place.path)
        since_ns = os.stat(place.path).st_ctime_ns
    except OSError as error:
        raise WorktreeError(f"{place.path} after set-up: {error.strerror}") from None
    note.write(
        stage=records.READY, since_ns=since_ns, from_setup=changed_paths(place.git()), harvest=None
    )


def _run(order: Order, note: TaskNote, folder: str) -> None:
    log = SessionPaths(order.session_folder).setup(order.task_id)
    removed = removed_here()
    env = {name: value for name, value in os.environ.items() if name not in removed}
    env |= {"CPR_SESSION_ID": order.session_id, "CPR_TASK_ID": order.task_id}
    env |= {"CPR_BRANCH": str(note["branch"]), "CPR_PORT": str(note["port"])}
    fd = os.open(log, _NEW_FILE, 0o600)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            ["/bin/sh", "-c", order.setup],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=fd,
            stderr=fd,
            check=False,
        )
    except OSError as error:
        raise SetupFailed(f"set-up can't start: {error.strerror}") from None
    finally:
        os.close(fd)
    if done.returncode:
        raise SetupFailed(_words(log, done.returncode))


def _words(log: str, code: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return one_line(f"set-up failed ({how}): {lines[-1] if lines else 'no output'}")
