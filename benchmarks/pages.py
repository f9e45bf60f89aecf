"""Reports: `s.report()` of sessions whose answers and patches are long."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.frames_data import write_status
from benchmarks.lab import Lab
from benchmarks.report import Comparison, compare, figure
from cpr_nb.handles.session import Session
from cpr_nb.store.write import dump

_N_FEW, _N_MANY = 100, 1000
_QUICK_N_FEW, _QUICK_N_MANY = 5, 50
_ANSWER = (
    "## Result\n\n" + "1. **High.** `login.py:48` trusts a header that anybody can set.\n" * 50
)
_PATCH = "--- a/login.py\n+++ b/login.py\n@@ -1,9 +1,9 @@\n" + "-an old line\n+a new line\n" * 200
_USAGE = {"opus": {"costUSD": 0.1}, "haiku": {"costUSD": 0.01}}
_RESULT = {"type": "result", "is_error": False, "modelUsage": _USAGE}


def measure_reports(lab: Lab) -> Iterator[Comparison]:
    """The size of a report, and whether its time grows with the number of tasks only."""
    n_few = _QUICK_N_FEW if lab.quick else _N_FEW
    n_many = _QUICK_N_MANY if lab.quick else _N_MANY
    few, many = _write(lab.fresh("few"), n_few), _write(lab.fresh("many"), n_many)
    sizes = [len(Session(root).report().html.encode()) / 1e3 for root in (few, many)]
    yield figure(
        f"s.report(), {n_few} tasks, long answers and patches", sizes[:1], unit="kB", limit=1000
    )
    yield figure(f"the same, {n_many} tasks", sizes[1:], unit="kB", limit=2000)
    times = lab.interleave(
        {"few": lambda: _cpu_s(few) / n_few, "many": lambda: _cpu_s(many) / n_many}
    )
    label = f"its CPU time for a task of {n_many}"
    against = f"for a task of {n_few}"
    yield compare(label, times["many"], against, times["few"], unit="ms", limit=1.25)


def _write(results: Path, n_tasks: int) -> str:
    """Writes a session; returns its folder."""
    paths, spec, tasks = write_status(results, 1, n_tasks)
    Path(paths.session).write_bytes(dump({**spec, "tasks": tasks}))
    for task in tasks:
        Path(paths.answer(task["id"])).write_text(_ANSWER)
        Path(paths.patch(task["id"])).write_text(_PATCH)
        Path(paths.stream(task["id"])).write_text(json.dumps(_RESULT) + "\n")
    return paths.root


def _cpu_s(root: str) -> float:
    begin_s = time.process_time()
    Session(root).report()
    return time.process_time() - begin_s
