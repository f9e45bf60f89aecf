"""Other machines, as far as one kernel can play them, which share a folder over a network.

A machine has a name, a boot id and processes of its own, in namespaces. It sees the shared folder
through a file system of its own in user space (bindfs), whose locks the other machines don't see:
so do many network file systems.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from testkit.command import LIMIT_S, Cpr

_PROGRAMS = ("unshare", "nsenter", "bindfs")
# The first process of the machine: it mounts, says that it is ready, and waits to be ended.
_INIT = """
set -e
hostname "$1"
mount --bind "$2" /proc/sys/kernel/random/boot_id
bindfs -f "$3" "$4" &
while ! grep -qF " $4 " /proc/self/mountinfo; do kill -0 $!; sleep 0.01; done
echo ready
read end || :
"""


def why_not() -> str:
    """Why there can be no other machines here; empty if there can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)}"
    return "" if os.geteuid() == 0 else "only root can have other machines"


class Machine:
    """One machine.

    Args:
        name: Its name.
        folder: Where its own files are; not shared.
        served: The folder that the machines share.
        mounted: Where it sees that folder; the same path on each machine.
    """

    def __init__(self, name: str, folder: Path, served: Path, mounted: Path) -> None:
        self.name, self._folder, self._served, self._mounted = name, folder, served, mounted
        self._init = 0

    def __enter__(self) -> Self:
        boot_id = self._folder / f"boot-{self.name}"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        for folder in (self._served, self._mounted):
            folder.mkdir(exist_ok=True)
        spaces = ["--mount", "--uts", "--pid", "--fork", "--mount-proc"]
        words = [self.name, boot_id, self._served, self._mounted]
        self._unshare = subprocess.Popen(
            ["unshare", *spaces, "sh", "-c", _INIT, "init", *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it complains when its child is killed
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n", "the machine does not start"
        pid = self._unshare.pid
        self._init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        return self

    def __exit__(self, *exc: object) -> None:
        self.die()

    def die(self) -> None:
        """All its processes end at once, as when its power fails."""
        if self._init:
            os.kill(self._init, signal.SIGKILL)
            self._unshare.wait(LIMIT_S)
            for pipe in (self._unshare.stdin, self._unshare.stdout):
                assert pipe is not None
                pipe.close()
            self._init = 0

    def command(self, cwd: Path, env: Mapping[str, str]) -> Cpr:
        """The installed command, called on this machine."""
        command = Cpr(cwd, env)
        path = self._folder / f"cpr-on-{self.name}"
        enter = f"exec nsenter --target {self._init} --mount --uts --pid"
        inside = f'cd {shlex.quote(str(cwd))} && exec {shlex.quote(command.path)} "$@"'
        path.write_text(f'#!/bin/sh\n{enter} sh -c {shlex.quote(inside)} cpr "$@"\n')
        path.chmod(0o755)
        command.path = str(path)
        return command
