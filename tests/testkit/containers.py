"""Containers, as far as cpr can tell: each has its own PIDs and host name, and the same files."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from testkit.command import LIMIT_S, Cpr

_SPACES = ("--pid", "--uts", "--fork", "--mount-proc", "--kill-child")
# The first process of a container that only waits.
_WAIT = 'hostname "$0"; echo ready; read end || :'


def why_not() -> str:
    """Why there can be no containers here; empty if there can."""
    missing = [name for name in ("unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "only root can have PID namespaces"


def as_first_process(command: Cpr, folder: Path, name: str) -> Cpr:
    """The command as the first process (PID 1) of a new container, whose end ends all in it.

    Args:
        command: The command.
        folder: Where a script can be written.
        name: The container's host name.
    """
    inside = f'hostname {name}; exec {shlex.quote(command.path)} "$@"'
    return _scripted(
        command, folder / f"cpr-in-{name}", f"exec unshare {' '.join(_SPACES)}", inside
    )


class Container:
    """One container whose first process only waits.

    Args:
        name: Its host name.
        folder: Where a script can be written.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self._folder = name, folder

    def __enter__(self) -> Self:
        self._unshare = subprocess.Popen(
            ["unshare", *_SPACES, "sh", "-c", _WAIT, self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it complains when its child is killed
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n", "the container does not start"
        pid = self._unshare.pid
        self.first_pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        return self

    def __exit__(self, *exc: object) -> None:
        """All its processes end at once."""
        os.kill(self.first_pid, signal.SIGKILL)
        self._unshare.wait(LIMIT_S)
        for pipe in (self._unshare.stdin, self._unshare.stdout):
            assert pipe is not None
            pipe.close()

    def command(self, cwd: Path, env: Mapping[str, str]) -> Cpr:
        """The installed command, called in it."""
        command = Cpr(cwd, env)
        inside = f'cd {shlex.quote(str(cwd))} && exec {shlex.quote(command.path)} "$@"'
        enter = f"exec nsenter --target {self.first_pid} --mount --uts --pid"
        return _scripted(command, self._folder / f"cpr-in-{self.name}", enter, inside)


def _scripted(command: Cpr, path: Path, enter: str, inside: str) -> Cpr:
    """The command, called by a script that enters a container first."""
    path.write_text(f'#!/bin/sh\n{enter} sh -c {shlex.quote(inside)} cpr "$@"\n')
    path.chmod(0o755)
    command.path = str(path)
    return command
