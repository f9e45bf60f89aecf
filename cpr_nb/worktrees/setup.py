"""The user's set-up command of a worktree, before the agent starts."""

from __future__ import annotations

import os
import subprocess

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records
from cpr_nb.worktrees.git_settings import removed_variables
from cpr_nb.worktrees.inspection import changed_paths
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.worktree import worktree_of

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
_TAIL_BYTES = 4096


class SetupFailed(WorktreeError):
    """The set-up of a task's worktree failed."""

    reason = "setup_failed"


def run_setup(job: HelperJob, record: WorktreeRecord, folder: str) -> None:
    """Runs the set-up if there is one, and records what is there before the agent starts.

    Args:
        job: The task.
        record: How far its worktree has come.
        folder: Where it runs: the agent's folder.

    Raises:
        SetupFailed: If it exits with anything but 0.
        WorktreeError: If the worktree is gone after it.
    """
    worktree = worktree_of(record)
    if job.setup:
        _run(job, record, folder)
    # Ignored files that are newer than this are the agent's. The time is that of this file system,
    # taken before the commands that follow: the agent starts well after it.
    try:
        os.utime(worktree.path)
        since_ns = os.stat(worktree.path).st_ctime_ns
    except OSError as error:
        raise WorktreeError(f"{worktree.path} after set-up: {error.strerror}") from None
    record.write(
        stage=records.READY,
        since_ns=since_ns,
        from_setup=changed_paths(worktree.git()),
        harvest=None,
    )


def _run(job: HelperJob, record: WorktreeRecord, folder: str) -> None:
    log = SessionPaths(job.session_folder).setup(job.task_id)
    removed = removed_variables()
    env = {name: value for name, value in os.environ.items() if name not in removed}
    env |= {"CPR_SESSION_ID": job.session_id, "CPR_TASK_ID": job.task_id}
    env |= {"CPR_BRANCH": str(record["branch"]), "CPR_PORT": str(record["port"])}
    fd = os.open(log, _NEW_FILE, 0o600)
    try:
        process = subprocess.run(  # noqa: S603 - the user's own command
            ["/bin/sh", "-c", job.setup],
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
    if process.returncode:
        raise SetupFailed(_failure_message(log, process.returncode))


def _failure_message(log: str, code: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return one_line(f"set-up failed ({how}): {lines[-1] if lines else 'no output'}")
