"""``cpr list`` over many sessions, beside a C program that reads every byte of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import Lab, measure, run_program
from benchmarks.report import Comparison, compare
from benchmarks.startup import cpr_command
from cpr_nb.model import outcome, record, states
from cpr_nb.runner.recorder import first_head
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.write import StatusWriter, utc_iso

_N_SESSIONS = 10_000
_QUICK_N_SESSIONS = 300
_N_TASKS = 10
_BEGAN_AT_S = 1_750_000_000
_FLOOR = "C reads every byte"


def measure_listing(lab: Lab) -> Iterator[Comparison]:
    """The first and the second time in a results directory that nobody has read before.

    The goals of this row compare with the program that cpr_nb took its format from; it is no
    part of this project, so they are measured elsewhere.
    """
    n_sessions = _QUICK_N_SESSIONS if lab.quick else _N_SESSIONS
    first: list[float] = []
    second: list[float] = []
    floor: list[float] = []
    readall = lab.program("readall")
    for _ in range(lab.rounds):
        results = lab.fresh("sessions")
        for number in range(n_sessions):
            _write_session(results, number)
        listing = [*cpr_command(), "list", "--results-dir", str(results)]
        floor.append(_wall_s(lab, [str(readall), str(results)]))
        first.append(_wall_s(lab, listing))
        second.append(_wall_s(lab, listing))
    what = f"cpr list, {n_sessions} sessions"
    yield compare(f"{what}, first: wall", first, _FLOOR, floor, unit="ms")
    yield compare(f"{what}, second: wall", second, _FLOOR, floor, unit="ms")


def _wall_s(lab: Lab, argv: list[str]) -> float:
    return measure(lambda: run_program(argv, lab.environment)).wall_s


def _write_session(results: Path, number: int) -> None:
    """Writes what a listing reads of an ended session, by the runner's own writer."""
    session_id = str(uuid.uuid4())
    paths = SessionPaths(str(results / f"session-{session_id}"))
    Path(paths.root).mkdir()
    at = _BEGAN_AT_S + number
    asked = {
        "session_id": session_id,
        "start_time": at,
        "created_at": utc_iso(at),
        "cwd": str(results),
        "max_parallel": 8,
        "executor": "local",
    }
    bases = [
        record.base_fields(task + 1, str(uuid.uuid4()), f"task {task}") for task in range(_N_TASKS)
    ]
    head = first_head(asked, _N_TASKS)
    head |= {"overall_status": states.COMPLETED, "state": states.COMPLETED, "n_pending": 0}
    head |= {"completed": _N_TASKS, "successful": _N_TASKS, "n_succeeded": _N_TASKS, "n_failed": 0}
    head |= {"end_time": at + 5, "ended_at": utc_iso(at + 5), "duration_s": 5.0, "cost_usd": 0.01}
    writer = StatusWriter(paths.status, head, bases)
    for task in range(_N_TASKS):
        running = record.running_fields(1, str(uuid.uuid4()), utc_iso(at))
        ended = record.ended_fields(
            running,
            outcome.Outcome(states.SUCCEEDED, "completed"),
            outcome.Exit(0),
            None,
            ended_at=utc_iso(at + 5),
            duration_s=5.0,
            extra={"cost_usd": 0.001, "peak_rss_bytes": 180_000_000},
        )
        writer.set_task(task, ended)
    writer.write()
