"""What a test leaves behind: processes, descriptors, threads."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import threading
import time
from pathlib import Path

#: In the environment of every test, unique for each: its processes inherit it.
TOKEN = "CPR_TEST_TOKEN"
#: The program that a runner starts at its end, where sessions are planned to come next.
_STARTS_NEXT = "launching/next_program.py"


def survivors(token: str) -> dict[int, str]:
    """The processes that carry this token, except zombies: pid → command line."""
    mark = f"{TOKEN}={token}".encode()
    commands = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - after every test, so it must be quick
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in _read(f"/proc/{name}/environ").split(b"\0"):
                commands[int(name)] = _command_line(name)
    return commands


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        return file.read()


def _command_line(pid: str) -> str:
    command = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")
    return command.decode("utf-8", "replace").strip()[:200]


def children() -> dict[int, str]:
    """Our own children, also those not reaped yet: pid → command line."""
    commands = {}
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in file.read_text().split():
                commands[int(pid)] = _command_line(pid) or "a zombie"
    return commands


def end(pid: int) -> None:
    """Kills a process and waits until it is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [])
    finally:
        os.close(pidfd)


def await_gone(pid: int) -> None:
    """Waits until a process is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([pidfd], [], [])
    finally:
        os.close(pidfd)


def await_state(pid: int, letter: str) -> None:
    """Waits until a process is in a state, as ``/proc/PID/stat`` names it: T, stopped; Z, ended."""
    while _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] != letter.encode():
        time.sleep(0.001)


def stop(pid: int) -> None:
    """Stops a process (SIGSTOP), and waits until it stands still."""
    os.kill(pid, signal.SIGSTOP)
    await_state(pid, "T")


def await_runners(folder: Path) -> None:
    """Waits for the runners of ended sessions: they linger a few ms after the last status."""
    for lock in folder.rglob("session-*/runner.lock"):
        with contextlib.suppress(OSError, ValueError):
            status = json.loads((lock.parent / "status.json").read_bytes())
            if status["overall_status"] != "running":
                await_lock(lock)


def await_lock(lock: Path) -> None:
    """Waits until nobody holds a lock; a runner holds its own until its process is gone."""
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)


class Footprint:
    """What this process holds at one moment."""

    def __init__(self) -> None:
        self.children = children()
        self.threads = set(threading.enumerate())
        self.descriptors = _descriptors()

    def left_since(self, token: str) -> list[str]:
        """What is here now and was not here then. Processes among it are ended."""
        left = []
        processes = {**survivors(token), **children()}
        for pid, command in processes.items():
            if _STARTS_NEXT in command:  # what it has started is awaited by the test
                await_gone(pid)
            elif pid not in self.children:
                end(pid)
                left.append(f"process {pid}: {command}")
        threads = set(threading.enumerate()) - self.threads
        left += [f"thread {thread.name}" for thread in threads]
        if len(_descriptors()) > len(self.descriptors):
            gc.collect()
        now = _descriptors()
        if len(now) > len(self.descriptors):
            new = sorted(set(now.items()) - set(self.descriptors.items()))
            left += [f"descriptor {fd}: {target}" for fd, target in new]
        return left


def _descriptors() -> dict[int, str]:
    targets = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - one call, one descriptor
        with contextlib.suppress(OSError):
            targets[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
    return targets
