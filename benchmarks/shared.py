"""Shared processes: many short tasks with the real CLI, and how many processes are best for them.

The scripted API is a process of its own, so that its CPU time counts for nobody. No option sets the
number of processes. Where it is fixed here, the runner is that of a copy of the package, in which
three lines more decide it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import cpr_nb
from benchmarks import detached
from benchmarks.lab import Lab, Run, measure
from benchmarks.real_cli import real_claude, xargs
from benchmarks.report import Comparison, compare
from cpr_nb.offline.scripted_api import cli_environment

_N_SHORT, _SHORT_PARALLEL = 120, 4
_QUICK_N_SHORT, _QUICK_PARALLEL = 6, 2
_WALL_LIMIT, _CPU_LIMIT = 0.35, 0.25
_N_WAITING, _COUNTS = 100, (1, 2, 4, 8, 16, 32)
_QUICK_N_WAITING, _QUICK_COUNTS = 4, (1, 2)
_BEST_LIMIT = 1.15
_N_ROWS, _QUICK_N_ROWS = 300, 4
_MOST_ROUNDS = 3
_END_TIMEOUT_S = 10
_SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
}
_OWN, _XARGS = "a process a task", "xargs -P, the same argv"
# Appended to cpr_nb/runner/shared/sizing.py of the copy.
_FIXED_NUMBER = """

Sizing.wanted = lambda self, at_s, *, n_left, **others: min({count}, n_left)
"""
_HELLO: Mapping[str, Any] = {}
_SECOND = {"default": [{"text": "Done.", "hang_s": 1}]}
_LABEL = {"default": [{"so": {"label": "good"}}, {"text": "Done."}]}


def measure_shared(lab: Lab) -> Iterator[Comparison]:
    """Wall and CPU time of whole sessions, each from its launch to the end of its runner."""
    detached.adopt_orphans()
    lab.rounds = min(lab.rounds, _MOST_ROUNDS)
    claude = real_claude()
    yield from _short_tasks(lab, claude)
    yield from _rows(lab, claude)
    yield from _numbers_of_processes(lab, claude)


def _short_tasks(lab: Lab, claude: Path) -> Iterator[Comparison]:
    n_tasks = _QUICK_N_SHORT if lab.quick else _N_SHORT
    parallel = _QUICK_PARALLEL if lab.quick else _SHORT_PARALLEL
    with _api(lab, _HELLO) as url:

        def session(**options: Any) -> Callable[[], Run]:
            return lambda: _session(lab, claude, url, n_tasks, max_parallel=parallel, **options)

        contenders = {
            _XARGS: lambda: xargs(lab, claude, url, n_tasks, parallel),
            _OWN: session(),
            "shared": session(share_process=True),
        }
        contenders["shared"]()  # loads the CLI into the page cache
        runs = lab.interleave(contenders)
    label = f"{n_tasks} tasks of one request, P = {parallel}, shared"
    yield from _compared(label, runs, _OWN, _WALL_LIMIT, _CPU_LIMIT)
    yield from _compared(label, runs, _XARGS, _WALL_LIMIT, _CPU_LIMIT)


def _rows(lab: Lab, claude: Path) -> Iterator[Comparison]:
    n_rows = _QUICK_N_ROWS if lab.quick else _N_ROWS
    with _api(lab, _LABEL) as url:

        def session(**options: Any) -> Callable[[], Run]:
            return lambda: _session(lab, claude, url, n_rows, schema=_SCHEMA, **options)

        runs = lab.interleave({_OWN: session(), "shared": session(share_process=True)})
    a_row = {name: [_divided(run, n_rows) for run in series] for name, series in runs.items()}
    label = f"{n_rows} rows with a schema, shared, a row"
    yield from _compared(label, a_row, _OWN, None, None, unit="ms")


def _numbers_of_processes(lab: Lab, claude: Path) -> Iterator[Comparison]:
    """The number that the runner chooses beside fixed ones."""
    n_tasks = _QUICK_N_WAITING if lab.quick else _N_WAITING
    counts = _QUICK_COUNTS if lab.quick else _COUNTS
    with _api(lab, _SECOND) as url:

        def chosen() -> Run:
            return _session(lab, claude, url, n_tasks, share_process=True)

        def session(count: int, runner: str) -> Callable[[], Run]:
            def run() -> Run:
                options = {"share_process": True, "max_parallel": count}
                with mock.patch("cpr_nb.executors.local._MAIN", runner):
                    return _session(lab, claude, url, n_tasks, **options)

            return run

        fixed = {str(count): session(count, _fixed_runner(lab, count)) for count in counts}
        runs = lab.interleave({"chosen": chosen, **fixed})
    walls = {name: [run.wall_s for run in series] for name, series in runs.items()}
    label = f"{n_tasks} tasks of 1 s, the chosen number: wall"
    best = [min(walls[name][turn] for name in fixed) for turn in range(len(walls["chosen"]))]
    against = f"the best of {', '.join(fixed)}"
    yield compare(label, walls["chosen"], against, best, unit="s", limit=_BEST_LIMIT)
    for name in fixed:
        against = "1 process" if name == "1" else f"{name} processes"
        yield compare(label, walls["chosen"], against, walls[name], unit="s")


def _fixed_runner(lab: Lab, count: int) -> str:
    """The program of a runner that wants so many processes."""
    package = lab.fresh(f"package-{count}") / "cpr_nb"
    shutil.copytree(Path(cpr_nb.__file__).parent, package)
    with (package / "runner" / "shared" / "sizing.py").open("a", encoding="utf-8") as file:
        file.write(_FIXED_NUMBER.format(count=count))
    return str(package / "runner" / "__main__.py")


def _session(lab: Lab, claude: Path, url: str, n_tasks: int, **options: Any) -> Run:
    folder, environment = lab.fresh("cli-shared"), cli_environment(url, lab.fresh("cli-home"))
    prompts = [f"say hello to {number}" for number in range(n_tasks)]
    more = {"nice": 0, **options}
    return measure(lambda: detached.run_session(prompts, claude, folder, environment, **more))


def _divided(run: Run, n: int) -> Run:
    return Run(run.wall_s / n, run.cpu_s / n)


def _compared(
    label: str,
    runs: Mapping[str, Sequence[Run]],
    rival: str,
    wall_limit: float | None,
    cpu_limit: float | None,
    *,
    unit: str = "s",
) -> Iterator[Comparison]:
    for name, index, limit in (("wall", 0, wall_limit), ("CPU", 1, cpu_limit)):
        ours, theirs = ([run[index] for run in runs[key]] for key in ("shared", rival))
        yield compare(f"{label}: {name}", ours, rival, theirs, unit=unit, limit=limit)


@contextmanager
def _api(lab: Lab, script: Mapping[str, Any]) -> Iterator[str]:
    """The address of a scripted API in a process of its own."""
    file = lab.fresh("api") / "script.json"
    file.write_text(json.dumps(script), "utf-8")
    argv = [sys.executable, "-m", "cpr_nb.offline.scripted_api", "--script", str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as api:
        try:
            assert api.stdout is not None
            yield api.stdout.readline().split()[-1]
        finally:
            api.terminate()
            api.wait(_END_TIMEOUT_S)
