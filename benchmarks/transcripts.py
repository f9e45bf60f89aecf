"""Transcripts of Claude Code: the first look and the second, beside pyarrow's reader."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab, SkippedError
from benchmarks.report import Comparison, absolute, compare
from benchmarks.transcripts_data import write_transcripts

_BYTES, _QUICK_BYTES = 1_000_000_000, 10_000_000
_TIMEOUT_S = 600
_PEAK_MB = 400


def measure_transcripts(lab: Lab) -> Iterator[Comparison]:
    """`cpr.transcripts` of a gigabyte in many files: time, and peak memory."""
    if importlib.util.find_spec("pyarrow") is None:
        raise SkippedError("pyarrow is not installed")
    folder = lab.fresh("transcripts")
    size = write_transcripts(folder, _QUICK_BYTES if lab.quick else _BYTES)
    runs: dict[str, list[dict[str, Any]]] = {"pyarrow": [], "first": [], "second": []}
    for _ in range(lab.rounds):
        cache = str(lab.fresh("cache"))
        runs["pyarrow"].append(_measure(lab, "pyarrow", folder, cache))
        runs["first"].append(_measure(lab, "ours", folder, cache))
        runs["second"].append(_measure(lab, "ours", folder, cache))
    name = f"transcripts, {size / 1e6:.0f} MB"
    wall, cpu, peak = (
        {run: [figures[key] for figures in runs[run]] for run in runs}
        for key in ("wall_s", "cpu_s", "peak_bytes")
    )
    theirs = "pyarrow, with a schema"
    yield compare(f"{name}, first", wall["first"], theirs, wall["pyarrow"], unit="ms", limit=1.5)
    yield compare(f"{name}, first, CPU", cpu["first"], theirs, cpu["pyarrow"], unit="ms")
    yield compare(
        f"{name}, second", wall["second"], "the first", wall["first"], unit="ms", limit=0.1
    )
    yield absolute(f"{name}: peak", peak["first"], unit="MB", limit=_PEAK_MB)


def _measure(lab: Lab, reader: str, folder: Path, cache: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.transcripts_probe", reader, str(folder)],
        env={**lab.environment, "XDG_CACHE_HOME": cache},
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace")[-500:])
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
