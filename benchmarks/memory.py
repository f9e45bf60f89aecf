"""How much memory a runner needs, beside an idle Python."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import detached
from benchmarks.lab import Lab
from benchmarks.report import Comparison, absolute, compare

_IDLE_LIMIT = 1.4
_MANY_TASKS = 5000
_QUICK_MANY_TASKS = 200
_MANY_LIMIT_MB = 17.0
_PARALLEL = 64
# Time for a runner to write everything after the start of its last task.
_SETTLE_S = 0.5
_POLL_S = 0.01
_TIMEOUT_S = 120.0


class _Memory(NamedTuple):
    resident_bytes: float
    peak_bytes: float


def measure_memory(lab: Lab) -> Iterator[Comparison]:
    """Resident memory with one idle task; peak memory with 5,000 tasks."""
    detached.adopt_orphans()
    many = _QUICK_MANY_TASKS if lab.quick else _MANY_TASKS
    lab.program("stub")
    contenders: dict[str, Callable[[], _Memory]] = {
        "bare": _bare_python,
        "idle": lambda: _runner(lab, 1),
        "many": lambda: _runner(lab, many),
    }
    runs = lab.interleave(contenders)
    bare = [run.resident_bytes for run in runs["bare"]]
    yield compare(
        "runner, idle: resident",
        [run.resident_bytes for run in runs["idle"]],
        "python -I -S, idle",
        bare,
        unit="MB",
        limit=_IDLE_LIMIT,
    )
    yield compare(
        "runner, idle: peak",
        [run.peak_bytes for run in runs["idle"]],
        "python -I -S, idle",
        [run.peak_bytes for run in runs["bare"]],
        unit="MB",
    )
    yield absolute(
        f"runner with {many} tasks: peak",
        [run.peak_bytes for run in runs["many"]],
        unit="MB",
        limit=_MANY_LIMIT_MB,
    )


def _bare_python() -> _Memory:
    # It reports that it has started, then waits for us, without any import.
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        memory = _memory(process.pid)
        process.stdin.write(b"\n")
    return memory


def _runner(lab: Lab, n_tasks: int) -> _Memory:
    """The memory of a runner whose last task blocks while all others have ended."""
    folder = lab.fresh("memory")
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    prompts: list[object] = [f"task {number}" for number in range(n_tasks - 1)]
    prompts.append({"prompt": "wait", "env": {"CPR_BENCH_FIFO": str(fifo)}})
    session = detached.launch(
        prompts, lab.program("stub"), folder, lab.environment, max_parallel=_PARALLEL
    )
    with detached.followed(session) as runner, holding(fifo):
        _await(lambda: session.refresh().head.get("completed") == n_tasks - 1)
        time.sleep(_SETTLE_S)
        return _memory(runner.pid)


@contextmanager
def holding(fifo: Path) -> Iterator[None]:
    """Keeps the task waiting during the block; it has opened the FIFO before."""
    opened: list[int] = []

    def open_fifo() -> bool:
        try:
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # ENXIO: no reader yet
            return False
        return True

    _await(open_fifo)
    try:
        yield
    finally:
        os.close(opened[0])


def _await(is_reached: Callable[[], bool]) -> None:
    end = time.monotonic() + _TIMEOUT_S
    while not is_reached():
        if time.monotonic() > end:
            raise TimeoutError(f"the runner did not reach the state in {_TIMEOUT_S} s")
        time.sleep(_POLL_S)


def resident_bytes(pid: int) -> float:
    """How much memory a process has now."""
    return _memory(pid).resident_bytes


def _memory(pid: int) -> _Memory:
    fields = {}
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        name, _, value = line.partition(":")
        fields[name] = value
    return _Memory(*(float(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")))
