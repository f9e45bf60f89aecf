"""Tasks on nodes: what the hub and the node agents cost, beside the same tasks on this machine.

All nodes are this machine. Everything is counted: the launch, the runner, its hub, the node agents
with their start, their twins, and the tasks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import detached
from benchmarks.lab import Lab, Run, SkippedError, measure, run_program
from benchmarks.memory import holding, resident_bytes
from benchmarks.real_cli import real_claude
from benchmarks.report import Comparison, absolute, compare
from cpr_nb.handles.session import Session
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

_N_NODES = 4
_STUB_SIZE, _QUICK_STUB_SIZE = (1000, 64), (40, 8)
_REAL_SIZE, _QUICK_REAL_SIZE = (24, 8), (4, 4)
_STUB_WALL_LIMIT, _STUB_CPU_LIMIT, _REAL_CPU_LIMIT = 1.5, 2.0, 1.03
_MEMORY_LIMIT_MB = 22.0
_MOST_ROUNDS = 3
_END_TIMEOUT_S = 30.0
_POLL_S = 0.01
_HERE = "on this machine"


def measure_nodes(lab: Lab) -> Iterator[Comparison]:
    """Memory of a node agent; wall and CPU time of tasks on four nodes and on this machine."""
    detached.adopt_orphans()
    yield _memory(lab)
    yield from _stub_rows(lab)
    size = _QUICK_REAL_SIZE if lab.quick else _REAL_SIZE
    lab.rounds = min(lab.rounds, _MOST_ROUNDS)
    claude = real_claude()
    with ScriptedApi() as api:
        environment = cli_environment(api.url, lab.fresh("cli-home"))
        runs = _both(lab, "real", claude, environment, *size)
    yield from _rows(f"{size[0]} tasks, real CLI", runs, size[0], None, _REAL_CPU_LIMIT)


def _stub_rows(lab: Lab) -> Iterator[Comparison]:
    """Stub tasks; and what of it is ``setpriv``, which has a task end with its node agent."""
    n_tasks, parallel = _QUICK_STUB_SIZE if lab.quick else _STUB_SIZE
    stub = lab.program("stub")
    runs = _both(lab, "stub", stub, lab.environment, n_tasks, parallel)
    label = f"{n_tasks} stub tasks"
    yield from _rows(label, runs, n_tasks, _STUB_WALL_LIMIT, _STUB_CPU_LIMIT)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SkippedError("no setpriv: it comes with util-linux")

    def floor(*words: str) -> Callable[[], Run]:
        argv = [str(lab.program("floor")), str(lab.fresh("floor")), str(n_tasks), str(parallel)]
        return lambda: measure(lambda: run_program([*argv, *words], lab.environment))

    words = [setpriv, "--pdeathsig", "KILL", str(stub)]
    floors = lab.interleave({"plain": floor(str(stub)), "setpriv": floor(*words)})
    extra = [
        (more.cpu_s - less.cpu_s) / n_tasks
        for less, more in zip(floors["plain"], floors["setpriv"], strict=True)
    ]
    here, nodes = ([run.cpu_s / n_tasks for run in runs[name]] for name in (_HERE, "nodes"))
    label = f"{label} on {_N_NODES} nodes: CPU a task"
    yield compare(f"{label}, setpriv alone", extra, _HERE, here, unit="ms")
    rest = [all_s - extra_s for all_s, extra_s in zip(nodes, extra, strict=True)]
    yield compare(f"{label}, without setpriv", rest, _HERE, here, unit="ms")


def _both(
    lab: Lab,
    name: str,
    claude: Path,
    environment: Mapping[str, str],
    n_tasks: int,
    parallel: int,
) -> dict[str, list[Run]]:
    prompts = [f"say hello to {number}" for number in range(n_tasks)]
    more = {"max_parallel": parallel, "nice": 0}

    def here() -> None:
        folder = lab.fresh(f"{name}-here")
        detached.run_session(prompts, claude, folder, environment, **more)

    def on_nodes() -> None:
        folder = lab.fresh(f"{name}-nodes")
        with _session(prompts, claude, folder, environment, parallel // _N_NODES, **more):
            pass

    contenders: dict[str, Callable[[], Run]] = {
        _HERE: lambda: measure(here),
        "nodes": lambda: measure(on_nodes),
    }
    contenders[_HERE]()  # loads the program into the page cache
    return lab.interleave(contenders)


def _rows(
    label: str,
    runs: Mapping[str, list[Run]],
    n_tasks: int,
    wall_limit: float | None,
    cpu_limit: float,
) -> Iterator[Comparison]:
    label = f"{label} on {_N_NODES} nodes"
    walls = {name: [run.wall_s for run in series] for name, series in runs.items()}
    cpus = {name: [run.cpu_s / n_tasks for run in series] for name, series in runs.items()}
    yield compare(f"{label}: wall", walls["nodes"], _HERE, walls[_HERE], unit="s", limit=wall_limit)
    yield compare(
        f"{label}: CPU a task", cpus["nodes"], _HERE, cpus[_HERE], unit="ms", limit=cpu_limit
    )


def _memory(lab: Lab) -> Comparison:
    """The memory of a node agent while a task runs on it."""
    fifo = lab.fresh("fifo") / "fifo"
    os.mkfifo(fifo)
    prompts = [{"prompt": "wait", "env": {"CPR_BENCH_FIFO": str(fifo)}}]
    figures = []
    for _ in range(lab.rounds):
        folder = lab.fresh("memory")
        with (
            _session(prompts, lab.program("stub"), folder, lab.environment, 1) as agents,
            holding(fifo),
        ):
            figures.append(float(max(resident_bytes(agent.pid) for agent in agents)))
    return absolute("a node agent: resident", figures, unit="MB", limit=_MEMORY_LIMIT_MB)


@contextmanager
def _session(
    prompts: list[Any],
    claude: Path,
    folder: Path,
    environment: Mapping[str, str],
    slots: int,
    **options: Any,
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """A session on nodes; after the block it has ended, and all its processes are reaped."""
    session = detached.launch(prompts, claude, folder, environment, executor="agents", **options)
    agents: list[subprocess.Popen[bytes]] = []
    try:
        with detached.followed(session):
            for number in range(_N_NODES):
                agents.append(_agent(session, f"n{number}", slots, claude, environment))
            yield agents
    finally:
        _reap(agents)


def _agent(
    session: Session, name: str, slots: int, claude: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    command = str(Path(sys.executable).with_name("cpr"))
    words = ["agent", f"{session.paths.root}/join.json", "--slots", str(slots), "--name", name]
    with Path(f"{session.paths.root}-{name}.log").open("wb") as log:
        return subprocess.Popen(
            [command, *words],
            env={**environment, "CPR_CLAUDE": str(claude)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _reap(agents: list[subprocess.Popen[bytes]]) -> None:
    """Waits for the node agents, and for what they and the runner have left to us to reap."""
    for agent in agents:
        try:
            agent.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()
            raise
    deadline = time.monotonic() + _END_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(_POLL_S)
        except ChildProcessError:
            return
    raise TimeoutError("something of a session on nodes did not end")
