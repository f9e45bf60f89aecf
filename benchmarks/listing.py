"""``cpr list`` over many sessions, beside a C program that reads every byte of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.frames_data import write_status
from benchmarks.lab import Lab, measure, run_program
from benchmarks.report import Comparison, compare
from benchmarks.startup import cpr_command
from cpr_nb.store.cache_files import SETTLED_S

_N_SESSIONS = 10_000
_QUICK_N_SESSIONS = 300
_N_TASKS = 10
_FLOOR = "C reads every byte"


def measure_listing(lab: Lab) -> Iterator[Comparison]:
    """The first and the second listing of a results directory that was never read before.

    Further goals compare with claude-parallel-runner.pl. They are measured elsewhere, since that is
    not part of this project.
    """
    n_sessions = _QUICK_N_SESSIONS if lab.quick else _N_SESSIONS
    first: list[float] = []
    second: list[float] = []
    floor: list[float] = []
    readall = lab.program("readall")
    for _ in range(lab.rounds):
        results = lab.fresh("sessions")
        for number in range(n_sessions):
            write_status(results, number, _N_TASKS)
        time.sleep(SETTLED_S)  # younger files are not cached
        listing = [*cpr_command(), "list", "--results-dir", str(results)]
        floor.append(_wall_s(lab, [str(readall), str(results)]))
        first.append(_wall_s(lab, listing))
        second.append(_wall_s(lab, listing))
    label = f"cpr list, {n_sessions} sessions"
    yield compare(f"{label}, first: wall", first, _FLOOR, floor, unit="ms")
    yield compare(f"{label}, second: wall", second, _FLOOR, floor, unit="ms")
    yield compare(f"{label}, second: wall", second, "the first", first, unit="ms", limit=0.6)


def _wall_s(lab: Lab, argv: list[str]) -> float:
    return measure(lambda: run_program(argv, lab.environment)).wall_s
