"""``cpr list`` over many sessions, beside a C program that reads every byte of them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

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

    Once of our sessions, once of sessions in the form of claude-parallel-runner.pl. That program
    itself is not part of this project, so it is not compared.
    """
    n_sessions = _QUICK_N_SESSIONS if lab.quick else _N_SESSIONS
    readall = lab.program("readall")
    for form, write in (("", write_status), (" in the Perl form", _write_legacy)):
        first: list[float] = []
        second: list[float] = []
        floor: list[float] = []
        for _ in range(lab.rounds):
            results = lab.fresh("sessions")
            for number in range(n_sessions):
                write(results, number, _N_TASKS)
            time.sleep(SETTLED_S)  # younger files are not cached
            listing = [*cpr_command(), "list", "--results-dir", str(results)]
            floor.append(_wall_s(lab, [str(readall), str(results)]))
            first.append(_wall_s(lab, listing))
            second.append(_wall_s(lab, listing))
        label = f"cpr list, {n_sessions} sessions{form}"
        yield compare(f"{label}, first: wall", first, _FLOOR, floor, unit="ms", limit=3.0)
        yield compare(f"{label}, second: wall", second, _FLOOR, floor, unit="ms", limit=1.6)


def _write_legacy(results: Path, number: int, n_tasks: int) -> None:
    """Writes the status.json of an ended session as claude-parallel-runner.pl does."""
    source = random.Random(number)
    tasks = [
        _shuffled(
            source, task_num=task, transaction_id=f"{source.getrandbits(128):032x}", success=1
        )
        | {"prompt": f"Review module_{task}.py for bugs, write wh...", "status": "completed"}
        for task in range(1, n_tasks + 1)
    ]
    session_id = f"{source.getrandbits(128):032x}"
    status = _shuffled(
        source, session_id=session_id, overall_status="completed", total=n_tasks, tasks=tasks,
        completed=n_tasks, successful=n_tasks, start_time=1_750_000_000 + number,
        end_time=1_750_000_005 + number,
    )  # fmt: skip
    folder = results / f"session-{session_id}"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps(status, separators=(",", ":")))


def _shuffled(source: random.Random, **fields: object) -> dict[str, object]:
    """In any order, as a hash in Perl is written."""
    return {name: fields[name] for name in source.sample(sorted(fields), len(fields))}


def _wall_s(lab: Lab, argv: list[str]) -> float:
    return measure(lambda: run_program(argv, lab.environment)).wall_s
