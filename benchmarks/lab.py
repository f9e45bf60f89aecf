"""What the measurements share: fresh folders, compiled programs, a clock."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

_SOURCES = Path(__file__).resolve().parent / "native"
_COMPILE_TIMEOUT_S = 60
_T = TypeVar("_T")


class SkippedError(Exception):
    """Something can't be measured on this machine; the message says why."""


class Run(NamedTuple):
    """One measurement: wall time, and the CPU time of this process and the children it reaped."""

    wall_s: float
    cpu_s: float


class Lab:
    """One run of the benchmarks.

    Args:
        root: An empty folder; the caller removes it after the last measurement.
        rounds: How often everything is measured.
        quick: Whether to measure small sizes only, for a smoke run.
    """

    def __init__(self, root: Path, rounds: int, *, quick: bool) -> None:
        self._root = root
        self._n_folders = 0
        self._programs: dict[str, Path] = {}
        self.rounds = rounds
        self.quick = quick
        # The same small environment for all contenders: its size costs time at every exec.
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.fresh("home")),
            "LANG": "C.UTF-8",
        }

    def fresh(self, name: str) -> Path:
        """A new folder. Nothing is deleted between rounds: deleting slows down the next writes."""
        self._n_folders += 1
        folder = self._root / f"{self._n_folders}-{name}"
        folder.mkdir()
        return folder

    def program(self, name: str) -> Path:
        """The program compiled from ``native/NAME.c``.

        Raises:
            SkippedError: If there is no C compiler.
        """
        if name not in self._programs:
            compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
            if compiler is None:
                raise SkippedError("there is no C compiler (cc, gcc or clang)")
            target = self.fresh(f"compiled-{name}") / name
            argv = [compiler, "-O2", "-o", str(target), str(_SOURCES / f"{name}.c")]
            subprocess.run(argv, check=True, timeout=_COMPILE_TIMEOUT_S)
            self._programs[name] = target
        return self._programs[name]

    def interleave(
        self, contenders: Mapping[str, Callable[[], _T]], repeat: int = 1
    ) -> dict[str, list[_T]]:
        """Measures in the order A B C A B C ….

        Args:
            contenders: Name → a function that measures it once.
            repeat: How many turns make a round, for short measurements.

        Returns:
            Name → its measurements, in order.
        """
        runs: dict[str, list[_T]] = {name: [] for name in contenders}
        for _ in range(self.rounds * repeat):
            for name, contender in contenders.items():
                runs[name].append(contender())
        return runs


def measure(action: Callable[[], object]) -> Run:
    """Measures an action; it must reap every process that it starts."""
    cpu_before, before = _cpu_s(), time.perf_counter()
    action()
    wall_s = time.perf_counter() - before
    return Run(wall_s, _cpu_s() - cpu_before)


def run_program(
    argv: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    feed: bytes = b"",
    cwd: Path | None = None,
    timeout_s: float = 600,
) -> None:
    """Runs a program to its end and discards its output.

    It uses no pipes and does not poll: both would add a millisecond to a run of ten.

    Raises:
        RuntimeError: If it fails.
        TimeoutError: If it takes too long; it and its children are killed.
    """
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stderr:
        if feed:
            stdin.write(feed)
            stdin.seek(0)
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            _await_end(process, timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            stderr.seek(0)
            error_text = stderr.read().decode("utf-8", "replace").strip()[-500:]
            raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {error_text}")


def _await_end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    if not hasattr(os, "pidfd_open"):
        process.wait(timeout_s)  # polls
        return
    pidfd = os.pidfd_open(process.pid)
    try:
        if not await_readable(pidfd, timeout_s):
            raise TimeoutError(f"{process.args!r} did not end in {timeout_s} s")
    finally:
        os.close(pidfd)
    process.wait()


def await_readable(fd: int, timeout_s: float) -> bool:
    """Waits until a descriptor is readable (that of a process: until it has ended)."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_s * 1000))


def _cpu_s() -> float:
    total = 0.0
    for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(target)
        total += usage.ru_utime + usage.ru_stime
    return total
