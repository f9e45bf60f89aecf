"""The user's set-up command of a worktree, before the agent starts."""

from __future__ import annotations

import os
import subprocess

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line
from cpr_nb.store.bubblewrap import in_bubblewrap, remove_stand_ins, socket_filter
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


def _runs_agents_code(job: HelperJob, record: WorktreeRecord) -> bool:
    """Whether a set-up must have a sandbox: a sandboxed agent has worked on the files before."""
    return job.permissions == "sandbox" and bool(record["is_continued"] or record["is_adopted"])


def _in_sandbox(
    argv: list[str], job: HelperJob, record: WorktreeRecord, folder: str, filter_fd: int
) -> list[str]:
    """The set-up in the same sandbox as a check of the task."""
    kept = [job.session_folder, os.path.dirname(job.session_folder)]
    kept += [str(record["common_dir"]), f"{record['worktree']}/.git"]
    read_only = [os.path.realpath(path) for path in kept]
    hidden = [os.path.realpath(job.state_dir)] if os.path.isdir(job.state_dir) else []
    search_path = os.environ.get("PATH", "")
    return in_bubblewrap(argv, folder, filter_fd, read_only, hidden, search_path)


def _run(job: HelperJob, record: WorktreeRecord, folder: str) -> None:
    log = SessionPaths(job.session_folder).setup(job.task_id)
    removed = removed_variables()
    env = {name: value for name, value in os.environ.items() if name not in removed}
    env |= {"CPR_SESSION_ID": job.session_id, "CPR_TASK_ID": job.task_id}
    env |= {"CPR_BRANCH": str(record["branch"]), "CPR_PORT": str(record["port"])}
    fd = os.open(log, _NEW_FILE, 0o600)
    argv, fds = ["/bin/sh", "-c", job.setup], list[int]()
    try:
        if _runs_agents_code(job, record):
            fds.append(_memory_file(socket_filter(os.uname().machine) or b""))
            argv = _in_sandbox(argv, job, record, folder, fds[0])
        process = subprocess.run(  # noqa: S603 - the user's own command
            argv,
            pass_fds=fds,
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
        for open_fd in (fd, *fds):
            os.close(open_fd)
        if fds:
            remove_stand_ins(folder)
    if process.returncode:
        raise SetupFailed(_failure_message(log, process.returncode))


def _memory_file(data: bytes) -> int:
    fd = os.memfd_create("filter")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _failure_message(log: str, code: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(0, os.path.getsize(log) - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return one_line(f"set-up failed ({how}): {lines[-1] if lines else 'no output'}")
