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
from pathlib import Path

#: In the environment of every test, unique for each: its processes inherit it.
TOKEN = "CPR_TEST_TOKEN"


def survivors(token: str) -> dict[int, str]:
    """The processes that carry this token, zombies aside: pid → command line."""
    mark = f"{TOKEN}={token}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = command.decode("utf-8", "replace").strip()[:200]
    return found


def children() -> dict[int, str]:
    """Our own children, the not yet reaped ones too: pid → command line."""
    found = {}
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for pid in file.read_text().split():
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
                found[int(pid)] = command.decode("utf-8", "replace")[:200] or "a zombie"
    return found


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
        """What is there now and was not there then; processes among it are ended."""
        left = []
        processes = {**survivors(token), **children()}
        for pid, command in processes.items():
            if pid not in self.children:
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
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - one call, one descriptor
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
    return found
