"""The first process of a host (`testkit.hosts`): its folders, its name, sshd, and its dead.

Usage: python host_init.py SETTINGS.json

It says ``up`` once it has its namespaces, waits for the line ``go``, and says ``ready`` when sshd
answers. The end of its stdin is its end, and that of all processes of the host.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

BIND, READ_ONLY = 4096 | 16384, 4096 | 32 | 1  # MS_BIND | MS_REC; MS_BIND | MS_REMOUNT | MS_RDONLY
_SSHD = """ListenAddress {address}
HostKey {common}/key
AuthorizedKeysFile {common}/key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
MaxStartups 100
SetEnv {env}
"""
_SSH = """Host *
  IdentityFile {common}/key
  UserKnownHostsFile {common}/known
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
"""
_LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    """mount(2): the command would resolve ``/proc/self/fd/N`` to a path that is hidden."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if _LIBC.mount(*words, flags, None):
        raise OSError(ctypes.get_errno(), f"mount {source} {target}")


def arrange(settings: dict[str, Any]) -> None:
    """Puts the host's own folders in their places; all else of the machine is read-only."""
    boot_id = os.open(settings["boot_id"], os.O_PATH)
    places = [*settings["own"], *settings["files"]]
    places += [[path, path] for path in settings["visible"]]
    opened = [(place, os.open(source, os.O_PATH)) for place, source in places]
    for place, fd in opened:  # all are open before one hides another
        if not Path(place).exists():
            Path(place).mkdir(parents=True)
        mount(f"/proc/self/fd/{fd}", place, None, BIND)
        if place in settings["read_only"]:
            mount("none", place, None, READ_ONLY)
        os.close(fd)
    mount("proc", "/proc", "proc")
    mount(f"/proc/self/fd/{boot_id}", "/proc/sys/kernel/random/boot_id", None, BIND)
    os.close(boot_id)
    mount("none", "/", None, READ_ONLY)


def serve(settings: dict[str, Any]) -> None:
    """Starts sshd and what brings the machine's ports here; returns when sshd answers."""
    words = {"common": settings["common"], "address": settings["address"]}
    env = " ".join(f'"{name}={value}"' for name, value in settings["env"].items())
    for path, text in {"/root/.ssh/config": _SSH, "/run/sshd.conf": _SSHD}.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text.format(**words, env=env))
    Path("/run/sshd").mkdir(exist_ok=True)
    packages = Path(settings["packages"])
    libraries = ":".join(map(str, packages.glob("usr/lib/*-linux-gnu")))
    _start(f"{packages}/usr/sbin/sshd", "-D", "-e", "-f", "/run/sshd.conf", libraries=libraries)
    for port in settings["ports"]:
        listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"
        _start("socat", listen, f"TCP:{settings['switch']}:{port}")
    while not _answers(settings["address"]):
        time.sleep(0.02)


def _start(*argv: str, libraries: str = "") -> None:
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LD_LIBRARY_PATH": libraries}
    with open("/run/services.log", "ab") as log:  # noqa: PTH123
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={key: value for key, value in env.items() if value},
            start_new_session=True,
        )


def _answers(address: str) -> bool:
    try:
        socket.create_connection((address, 22), 5).close()
    except OSError:
        return False
    return True


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)  # the first process of a PID namespace takes all others along


def main(path: str) -> None:
    settings = json.loads(Path(path).read_text())
    socket.sethostname(settings["name"])
    print("up", flush=True)
    sys.stdin.readline()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    if settings["name"] != "switch":
        arrange(settings)
        os.chdir("/")
        serve(settings)
    print("ready", flush=True)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1])
