"""The first process of a host (`testkit.hosts`), as seen from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from testkit.command import LIMIT_S

_SPACES = ("--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "--kill-child")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def await_truth(what: str, condition: Callable[[], Any]) -> Any:
    """Waits until it is true, and returns it: for what tells nobody that it changes."""
    end = time.monotonic() + LIMIT_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} in {LIMIT_S:g} s")
        time.sleep(0.02)
    return found


class Place:
    """A first process, in namespaces and, if there are any, in a cgroup of its own.

    Args:
        name: The name of its host.
        settings: The file that tells it what to do (`testkit.host_init`).
        clock_shift_s: By how much its clocks since the boot are ahead.
    """

    def __init__(self, name: str, settings: Path, clock_shift_s: int = 0) -> None:
        spaces, shift = list(_SPACES), str(clock_shift_s)
        if clock_shift_s:
            spaces += ["--time", "--boottime", shift, "--monotonic", shift]
        init = [sys.executable, str(Path(__file__).with_name("host_init.py")), str(settings)]
        self._log = settings.with_suffix(".log")
        with self._log.open("ab") as err:
            self._unshare = subprocess.Popen(
                ["unshare", *spaces, *init],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        self.await_word("up")
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self.pid = int(children.read_text())
        self.group = _make_group(name)
        if self.group is not None:
            (self.group / "cgroup.procs").write_text(str(self.pid))

    def await_word(self, word: str) -> None:
        """Waits until the first process says it."""
        assert self._unshare.stdout is not None
        line = self._unshare.stdout.readline().decode().strip()
        if line != word:
            raise OSError(f"a host said {line!r}, not {word!r}: {self._log.read_text()[-900:]}")

    def go(self) -> None:
        """Lets it begin."""
        assert self._unshare.stdin is not None
        self._unshare.stdin.write(b"go\n")
        self._unshare.stdin.flush()

    def end(self) -> None:
        """All its processes end at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._unshare.wait(LIMIT_S)
        for pipe in (self._unshare.stdin, self._unshare.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        group = self.group
        if group is not None:
            await_truth("end of a cgroup", lambda: _is_gone(group))

    def set_frozen(self, frozen: int) -> None:
        """Stops all its processes at once (1), or lets them go on (0)."""
        if self.group is None:
            raise OSError("there is no cgroup v2 to freeze processes with")
        (self.group / "cgroup.freeze").write_text(str(frozen))
        events = self.group / "cgroup.events"
        await_truth("change of the cgroup", lambda: f"frozen {frozen}" in events.read_text())

    def argv(self, *argv: str, spaces: Sequence[str]) -> list[str]:
        """What runs a command in its namespaces."""
        join = f"echo $$ > {self.group}/cgroup.procs; " if self.group is not None else ""
        enter = ["nsenter", "--target", str(self.pid), *spaces]
        return ["sh", "-c", join + 'exec "$@"', "sh", *enter, *argv]

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are in its network."""
        others = Path(f"/proc/{self.pid}/ns/net")
        with Path("/proc/thread-self/ns/net").open() as own, others.open() as other:
            _enter(other.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())


def _enter(fd: int) -> None:
    if _LIBC.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _make_group(name: str) -> Path | None:
    """A cgroup in the unified tree; None where there is none."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        group = Path(mounted, f"cpr-hosts-{os.getpid()}-{name}")
        if kind == "cgroup2":
            with contextlib.suppress(OSError):
                group.mkdir(exist_ok=True)
                return group
    return None


def _is_gone(group: Path) -> bool:
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
