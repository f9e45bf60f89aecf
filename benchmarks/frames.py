"""Tables, beside reading the bytes, loops with ``json``, `pandas.read_json` and pyarrow."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.frames_data import streams, write_session
from benchmarks.lab import Lab
from benchmarks.report import Comparison, compare
from cpr_nb.store.cache_files import SETTLED_S
from cpr_nb.store.layout import CACHE

_N_SESSIONS, _QUICK_N_SESSIONS = 10_000, 100
_N_TASKS = 10
# 20 sessions of 10 tasks with 1,000 events each: 184 MB.
_N_LONG, _QUICK_N_LONG = 20, 1
_N_EVENTS = 1020
_TIMEOUT_S = 600
_WITHOUT = "--without-pyarrow"


class _Reading(NamedTuple):
    """One reading, in a process of its own."""

    wall_s: float
    before_bytes: float
    peak_bytes: float


class _ResultsDirectory:
    """A results directory that is read several times.

    Args:
        lab: The lab.
        folder: The directory.
    """

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self.folder = folder
        time.sleep(SETTLED_S + 0.1)  # younger files are not cached

    def measure(self, reader: str, *options: str) -> _Reading:
        """Measures one reading."""
        argv = [sys.executable, "-m", "benchmarks.frames_probe", reader, str(self.folder), *options]
        done = subprocess.run(
            argv,
            env=self._lab.environment,
            cwd=Path(__file__).resolve().parents[1],
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace")[-500:])
        figures = json.loads(done.stdout)
        return _Reading(figures["wall_s"], figures["before"], figures["peak"])

    def move_cache_away(self) -> None:
        """Makes the next reading the first one; nothing is deleted."""
        if (self.folder / CACHE).exists():
            (self.folder / CACHE).rename(self._lab.fresh("forgotten") / CACHE)


def measure_tables(lab: Lab) -> Iterator[Comparison]:
    """`sessions_df` and `tasks_df` of many sessions, `events_df` of long streams."""
    n_sessions = _QUICK_N_SESSIONS if lab.quick else _N_SESSIONS
    many = lab.fresh("many")
    for number in range(n_sessions):
        write_session(many, number, _N_TASKS)
    directory = _ResultsDirectory(lab, many)
    yield from _measure(lab, directory, "sessions_df", n_sessions, "read-heads", 1.5)
    yield from _measure(lab, directory, "tasks_df", n_sessions, "read-tasks", 2.0)
    n_long = _QUICK_N_LONG if lab.quick else _N_LONG
    long = lab.fresh("long")
    long_streams = streams(n_long * _N_TASKS, _N_EVENTS)
    for number in range(n_long):
        write_session(long, number, _N_TASKS, streams=long_streams)
    yield from _measure_events(lab, _ResultsDirectory(lab, long))


def _measure(
    lab: Lab, directory: _ResultsDirectory, table: str, n_sessions: int, rival: str, limit: float
) -> Iterator[Comparison]:
    runs: dict[str, list[float]] = {"reading": [], "first": [], "second": []}
    for _ in range(lab.rounds):
        runs["reading"].append(directory.measure(rival).wall_s)
        directory.move_cache_away()
        runs["first"].append(directory.measure(table).wall_s)
        runs["second"].append(directory.measure(table).wall_s)
    name = f"{table}, {n_sessions} sessions"
    reading = runs["reading"]
    yield compare(
        f"{name}, first", runs["first"], "reading the bytes", reading, unit="ms", limit=limit
    )
    yield compare(
        f"{name}, second", runs["second"], "the first", runs["first"], unit="ms", limit=0.25
    )


def _measure_events(lab: Lab, directory: _ResultsDirectory) -> Iterator[Comparison]:
    size = sum(path.stat().st_size for path in directory.folder.glob("session-*/task-*.jsonl"))
    has_pyarrow = importlib.util.find_spec("pyarrow") is not None
    rivals = ["read-streams", "json", "read_json", *(["pyarrow"] if has_pyarrow else [])]
    runs: dict[str, list[_Reading]] = {}
    for _ in range(lab.rounds):
        for rival in rivals:
            runs.setdefault(rival, []).append(directory.measure(rival))
        for options in ((), (_WITHOUT,)) if has_pyarrow else ((_WITHOUT,),):
            directory.move_cache_away()
            for which in ("first", "second"):
                name = " ".join((which, *options))
                runs.setdefault(name, []).append(directory.measure("events_df", *options))
    name = f"events_df, {size / 1e6:.0f} MB"
    if has_pyarrow:
        yield from _events_rows(runs, name, "", size)
        yield _compare_walls(
            runs, f"{name}, first", "first", "pyarrow", "pyarrow, with a schema", 1.1
        )
    yield from _events_rows(runs, f"{name}, no pyarrow", f" {_WITHOUT}", size)


def _events_rows(
    runs: dict[str, list[_Reading]], name: str, end: str, size: int
) -> Iterator[Comparison]:
    first, second = f"first{end}", f"second{end}"
    yield _compare_walls(runs, f"{name}, first", first, "read_json", "pd.read_json", 0.1)
    yield _compare_walls(runs, f"{name}, first", first, "json", "json loops", None)
    yield _compare_walls(runs, f"{name}, first", first, "read-streams", "reading the bytes", None)
    yield _compare_walls(runs, f"{name}, second", second, first, "the first", 0.15)
    peaks = [reading.peak_bytes for reading in runs[first]]
    added = [reading.peak_bytes - reading.before_bytes for reading in runs[first]]
    sizes = [float(size)] * len(peaks)
    yield compare(f"{name}: peak", peaks, "the input", sizes, unit="MB", limit=1)
    yield compare(f"{name}: peak, added", added, "the input", sizes, unit="MB", limit=1)
    theirs = [reading.peak_bytes - reading.before_bytes for reading in runs["read_json"]]
    yield compare(f"{name}: peak, added", added, "pd.read_json", theirs, unit="MB")


def _compare_walls(
    runs: dict[str, list[_Reading]],
    label: str,
    ours: str,
    theirs: str,
    name: str,
    limit: float | None,
) -> Comparison:
    mine, other = ([reading.wall_s for reading in runs[key]] for key in (ours, theirs))
    return compare(label, mine, name, other, unit="ms", limit=limit)
