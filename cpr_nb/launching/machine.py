"""What this machine has: the Claude Code CLI, memory, cores, a sandbox."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping

from cpr_nb.model.errors import InputError
from cpr_nb.store.bubblewrap import in_bubblewrap, socket_filter
from cpr_nb.store.programs import find_program
from cpr_nb.store.resources import (
    MORE_THAN_CORES,
    MOST_TASKS,
    TASK_MEMORY_BYTES,
    TASKS_PER_CORE,
    free_memory_bytes,
    usable_cores,
)


def check_permissions(mode: str, environ: Mapping[str, str], where: str) -> None:
    """Refuses a permission mode that can't work on this machine.

    Args:
        mode: The value of ``permissions``.
        environ: The environment that the task will have.
        where: The task, for the error.

    Raises:
        InputError: If it can't work; the message says what to do.
    """
    if mode == "sandbox" and sys.platform.startswith("linux"):
        missing = [tool for tool in ("bwrap", "socat") if find_program(tool, os.environ) is None]
        if missing:
            raise InputError(
                f"the sandbox needs {' and '.join(missing)} "
                "(Debian, Ubuntu: apt install bubblewrap socat)",
                where,
            )
    if mode == "all" and os.geteuid() == 0 and not environ.get("IS_SANDBOX"):
        raise InputError(
            "the CLI refuses 'all' for root: run as another user, or set IS_SANDBOX=1 "
            "if this machine is itself a sandbox",
            where,
        )


def check_sandboxed_commands(where: str) -> None:
    """Refuses a check or a set-up that needs a sandbox which this machine can't give it.

    Args:
        where: The task, for the error.

    Raises:
        InputError: If it can't; the message says why.
    """
    problem = _bubblewrap_problem()
    if problem:
        raise InputError(
            f"the check and the set-up of a sandboxed task run in bubblewrap, and here that can't "
            f"be: {problem}. Leave them out, or choose other permissions",
            where,
        )


@functools.cache
def _bubblewrap_problem() -> str:
    """Why bubblewrap can't run a command here; empty if it can."""
    import subprocess
    import tempfile

    if not sys.platform.startswith("linux"):
        return "it exists for Linux only"
    machine = os.uname().machine
    socket_program = socket_filter(machine)
    if socket_program is None:
        return f"the system calls of {machine} are not known to cpr"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        file.write(socket_program)
        file.seek(0)
        argv = in_bubblewrap(["/bin/sh", "-c", "exit 0"], folder, file.fileno())
        done = subprocess.run(  # noqa: S603
            argv, pass_fds=[file.fileno()], capture_output=True, check=False
        )
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return (words or [f"exit code {done.returncode}"])[-1] if done.returncode else ""


class DefaultParallel:
    """How many tasks run at once if nobody says so.

    Args:
        first: At first.
        most: At most, while they mostly wait and memory is free.
    """

    __slots__ = ("first", "most")

    def __init__(self, first: int, most: int) -> None:
        self.first = first
        self.most = most


def default_parallel(n_tasks: int, *, grows: bool = True) -> DefaultParallel:
    """How many tasks to run at once by default.

    That depends on the cores and on the free memory. What the live runners of this user need for
    tasks that they have yet to start counts as used.

    Args:
        n_tasks: How many tasks the session has.
        grows: Whether the number follows how busy the cores are. That of shared processes is
            chosen otherwise (`cpr_nb.runner.shared.sizing`).

    Returns:
        At least 1 at first; see `cpr_nb.runner.growth` for how it goes on.
    """
    cores = max(1, round(usable_cores()))
    most = max(1, min(n_tasks, TASKS_PER_CORE * cores, MOST_TASKS))
    free = free_memory_bytes() - _promised_tasks() * TASK_MEMORY_BYTES
    by_memory = int(max(1, min(most, free // TASK_MEMORY_BYTES)))
    if not grows:
        return DefaultParallel(by_memory, by_memory)
    return DefaultParallel(min(by_memory, cores + MORE_THAN_CORES), most)


def _promised_tasks() -> int:
    """How many more tasks the live runners of this user may start beside those that run."""
    from cpr_nb.store.read import read_session

    n_promised = 0
    for root in runner_folders():
        session = read_session(root, tasks=False)
        if session.is_live:
            waiting = session.count("n_pending")
            limit = session.count("parallel_now") or session.count("max_parallel") or waiting
            n_promised += max(0, min(waiting, limit - session.count("n_running")))
    return n_promised


def runner_folders() -> list[str]:
    """The session folders of all live runners of this user; empty where there is no /proc."""
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return [folder for pid in pids if (folder := _runner_folder(f"/proc/{pid}"))]


def _runner_folder(process: str) -> str:
    """The folder in which a process works if it is a runner of this user; else empty."""
    try:
        if os.stat(process).st_uid != os.geteuid():
            return ""
        with open(f"{process}/cmdline", "rb", buffering=0) as file:
            argv = file.read().split(b"\0")
        is_runner = any(word.endswith(b"cpr_nb/runner/__main__.py") for word in argv[:-1])
        return os.readlink(f"{process}/cwd") if is_runner else ""
    except OSError:
        return ""
