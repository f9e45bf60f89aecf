"""Tasks on nodes: what the hub and the node agents cost, beside the same tasks on this machine.

All nodes are this machine. Everything is counted: the runner, its hub, the node agents, their
twins, and the tasks. What a session and a node cost once cancels out in the differences.
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
from typing import Any, NamedTuple

from benchmarks import detached
from benchmarks.lab import Lab, Run, SkippedError, measure, run_program
from benchmarks.memory import holding, resident_bytes
from benchmarks.real_cli import real_claude
from benchmarks.report import Comparison, absolute, compare, figure
from cpr_nb.handles.session import Session
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

_N_NODES = 4
_STUB_WALL_LIMIT, _STUB_CPU_LIMIT, _REAL_CPU_LIMIT = 1.5, 2.0, 1.03
_MEMORY_LIMIT_MB = 22.0
_MOST_ROUNDS = 3
_END_TIMEOUT_S = 30.0
_POLL_S = 0.01
_HERE, _NODES = "on this machine", "nodes"


class _Size(NamedTuple):
    """Few tasks, many tasks, and how many at once."""

    few: int
    many: int
    parallel: int


class _Both(NamedTuple):
    """What one more task costs here and on nodes, and a node's start: a figure a round."""

    here: list[Run]
    nodes: list[Run]
    starts_s: list[float]


_STUB_SIZE, _QUICK_STUB_SIZE = _Size(100, 1100, 64), _Size(8, 40, 8)
_REAL_SIZE, _QUICK_REAL_SIZE = _Size(4, 28, 8), _Size(4, 8, 4)


def measure_nodes(lab: Lab) -> Iterator[Comparison]:
    """Memory of a node agent; wall and CPU time of tasks on four nodes and on this machine."""
    detached.adopt_orphans()
    yield _memory(lab)
    yield from _stub_rows(lab)
    size = _QUICK_REAL_SIZE if lab.quick else _REAL_SIZE
    lab.rounds = min(lab.rounds, _MOST_ROUNDS)
    claude = real_claude()
    with ScriptedApi() as api:
        both = _both(lab, claude, cli_environment(api.url, lab.fresh("cli-home")), size)
    yield from _rows(f"real CLI, {_N_NODES} nodes", both, None, _REAL_CPU_LIMIT)


def _stub_rows(lab: Lab) -> Iterator[Comparison]:
    """Stub tasks; and what of it is ``setpriv``, which has a task end with its node agent."""
    size = _QUICK_STUB_SIZE if lab.quick else _STUB_SIZE
    stub = lab.program("stub")
    both = _both(lab, stub, lab.environment, size)
    label = f"stub, {_N_NODES} nodes, P = {size.parallel}"
    yield from _rows(label, both, _STUB_WALL_LIMIT, _STUB_CPU_LIMIT)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SkippedError("no setpriv: it comes with util-linux")
    n_tasks = size.many

    def floor(*words: str) -> Callable[[], Run]:
        def run() -> None:
            folder = str(lab.fresh("floor"))
            counts = str(n_tasks), str(size.parallel)
            run_program([str(lab.program("floor")), folder, *counts, *words], lab.environment)

        return lambda: measure(run)

    words = [setpriv, "--pdeathsig", "KILL", str(stub)]
    floors = lab.interleave({"plain": floor(str(stub)), "setpriv": floor(*words)})
    extra = [
        (more.cpu_s - less.cpu_s) / n_tasks
        for less, more in zip(floors["plain"], floors["setpriv"], strict=True)
    ]
    here, nodes = ([run.cpu_s for run in runs] for runs in (both.here, both.nodes))
    yield compare(f"{label}: CPU, setpriv alone", extra, _HERE, here, unit="ms")
    rest = [all_s - extra_s for all_s, extra_s in zip(nodes, extra, strict=True)]
    yield compare(f"{label}: CPU, without setpriv", rest, _HERE, here, unit="ms")


def _both(lab: Lab, claude: Path, environment: Mapping[str, str], size: _Size) -> _Both:
    """Measures few tasks and many, here and on nodes: what one more costs, and a node's start."""
    more = {"max_parallel": size.parallel, "nice": 0}

    def here(n_tasks: int) -> Callable[[], Run]:
        def run() -> None:
            detached.run_session(_prompts(n_tasks), claude, lab.fresh("here"), environment, **more)

        return lambda: measure(run)

    def on_nodes(n_tasks: int) -> Callable[[], Run]:
        def run() -> None:
            folder, slots = lab.fresh("nodes"), size.parallel // _N_NODES
            with _session(_prompts(n_tasks), claude, folder, environment, slots, **more):
                pass

        return lambda: measure(run)

    here(size.few)()  # loads the program into the page cache
    runs = lab.interleave(
        {
            f"{where} {n_tasks}": measured(n_tasks)
            for where, measured in ((_HERE, here), (_NODES, on_nodes))
            for n_tasks in (size.few, size.many)
        }
    )
    n_more = size.many - size.few
    one_more = {
        where: [
            Run((many.wall_s - few.wall_s) / n_more, (many.cpu_s - few.cpu_s) / n_more)
            for few, many in zip(
                runs[f"{where} {size.few}"], runs[f"{where} {size.many}"], strict=True
            )
        ]
        for where in (_HERE, _NODES)
    }
    few = zip(runs[f"{_HERE} {size.few}"], runs[f"{_NODES} {size.few}"], strict=True)
    starts_s = [(nodes.cpu_s - here.cpu_s) / _N_NODES for here, nodes in few]
    return _Both(one_more[_HERE], one_more[_NODES], starts_s)


def _prompts(n_tasks: int) -> list[str]:
    return [f"say hello to {number}" for number in range(n_tasks)]


def _rows(
    label: str, both: _Both, wall_limit: float | None, cpu_limit: float
) -> Iterator[Comparison]:
    for name, index, limit in (("wall", 0, wall_limit), ("CPU", 1, cpu_limit)):
        here, nodes = ([run[index] for run in runs] for runs in (both.here, both.nodes))
        yield compare(f"{label}: {name} of one more", nodes, _HERE, here, unit="ms", limit=limit)
    yield figure(f"{label}: CPU of a node's start", [s * 1000 for s in both.starts_s], unit="ms")


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
