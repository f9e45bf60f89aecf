"""How many run at once by default, with short tasks and with tasks that wait for the API.

It is compared with one for each core (right for short tasks), and with 8 for each core (right for
tasks that wait).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import detached
from benchmarks.lab import Lab, Run, measure
from benchmarks.real_cli import real_claude
from benchmarks.report import Comparison, compare
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.store.resources import usable_cores

_WAIT_S, _QUICK_WAIT_S = 5.0, 0.5
_MANY_PER_CORE, _MOST = 8, 64
_LIMIT = 1.15


def measure_parallel(lab: Lab) -> Iterator[Comparison]:
    """Wall time of the session; each contender sets another number, or none."""
    detached.adopt_orphans()
    claude, cores = real_claude(), max(1, round(usable_cores()))
    few, many = max(2, cores), min(_MANY_PER_CORE * cores, _MOST)
    n_tasks = 4 if lab.quick else 3 * many
    wait_s = _QUICK_WAIT_S if lab.quick else _WAIT_S
    for kind, answer in (
        ("short", {"text": "Done."}),
        (f"of {wait_s:g} s", {"text": "Done.", "hang_s": wait_s}),
    ):
        with ScriptedApi({"default": [answer]}) as api:
            run = partial(_run, lab, claude, api.url, n_tasks)
            numbers = {"default": None, f"always {few}": few, f"always {many}": many}
            runs = lab.interleave({name: partial(run, number) for name, number in numbers.items()})
        label = f"{n_tasks} tasks {kind}, by default"
        mine = runs.pop("default")
        best = min(runs, key=lambda name: min(run.wall_s for run in runs[name]))
        for name, series in runs.items():
            limit = _LIMIT if name == best else None
            walls = [run.wall_s for run in mine], [run.wall_s for run in series]
            yield compare(f"{label}: wall", walls[0], name, walls[1], unit="s", limit=limit)
            cpus = [run.cpu_s for run in mine], [run.cpu_s for run in series]
            yield compare(f"{label}: CPU", cpus[0], name, cpus[1], unit="s")


def _run(lab: Lab, claude: Path, url: str, n_tasks: int, max_parallel: int | None = None) -> Run:
    folder, environment = lab.fresh("parallel"), cli_environment(url, lab.fresh("cli-home"))
    return measure(
        lambda: detached.run_session(
            ["say hello"] * n_tasks, claude, folder, environment, max_parallel=max_parallel, nice=0
        )
    )
