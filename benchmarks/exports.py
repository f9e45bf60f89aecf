"""Exports: a session of one long stream in each format, and a log of Inspect read back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.frames_data import write_status
from benchmarks.lab import Lab, SkippedError
from benchmarks.report import Comparison, compare, figure
from cpr_nb.exchange.exports import FORMATS
from cpr_nb.store.write import dump

_STREAM_BYTES, _QUICK_STREAM_BYTES = 200_000_000, 2_000_000
_TEXT_CHARS = 10_000
#: A process of its own does it, and says what it took: seconds of CPU, bytes at its peak.
_PROGRAM = """
import re, sys, time
from pathlib import Path
from cpr_nb.cli.main import main
words = sys.argv[1:]
if words[0] == "json":
    import json
    with open(words[1], "rb") as file:
        for line in file:
            json.loads(line)
elif words[0] != "nothing" and main(words):
    sys.exit(1)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(time.process_time(), int(peak[1]) * 1024)
"""


def measure_exports(lab: Lab) -> Iterator[Comparison]:
    """CPU time and peak memory of each export, beside `json` in a loop over the same stream."""
    if not Path("/proc/self/status").exists():
        raise SkippedError("the peak of a process's memory is known from Linux only")
    results = lab.fresh("results")
    root, n_bytes = _write(results, _QUICK_STREAM_BYTES if lab.quick else _STREAM_BYTES)
    folder = lab.fresh("exports")
    stream, n_mb = next(Path(root).glob("task-*.jsonl")), n_bytes // 10**6
    session_id = Path(root).name.removeprefix("session-")

    def export(name: str) -> tuple[float, float]:
        target = folder / f"{len(list(folder.iterdir()))}{FORMATS[name].suffix}"
        options = ["--with-content"] if name == "otel" else []
        words = ["export", session_id, "--to", name, "-o", str(target), *options]
        return _run(lab, *words, "--results-dir", str(results))

    _, base_bytes = _run(lab, "nothing")
    for name in FORMATS:
        runs = lab.interleave(
            {"ours": lambda name=name: export(name), "json": lambda: _run(lab, "json", str(stream))}
        )
        ours, loop = ([run[0] for run in runs[key]] for key in ("ours", "json"))
        label = f"export --to {name}, a stream of {n_mb} MB, CPU"
        yield compare(label, ours, "json in a loop", loop, unit="s")
        added = [(run[1] - base_bytes) / 1e6 for run in runs["ours"]]
        yield figure("  memory that it adds", added, unit="MB", limit=40)


def _run(lab: Lab, *words: str) -> tuple[float, float]:
    command = [sys.executable, "-c", _PROGRAM, *words]
    done = subprocess.run(command, env=lab.environment, capture_output=True, text=True, check=True)
    cpu_s, peak_bytes = done.stdout.split()[-2:]
    return float(cpu_s), float(peak_bytes)


def _write(results: Path, n_bytes: int) -> tuple[str, int]:
    """Writes a session of one task, whose agent calls a tool again and again."""
    paths, spec, tasks = write_status(results, 1, 1)
    Path(paths.session).write_bytes(dump({**spec, "tasks": tasks}))
    Path(paths.answer(tasks[0]["id"])).write_text("Done.\n")
    n_written = number = 0
    with Path(paths.stream(tasks[0]["id"])).open("wb") as file:
        while n_written < n_bytes:
            number += 1
            n_written += file.write(_turn(number))
    return paths.root, n_written


def _turn(number: int) -> bytes:
    text = f"line {number} of a file\n" * (_TEXT_CHARS // 20)
    call = {"type": "tool_use", "id": f"c{number}", "name": "Bash", "input": {"command": text}}
    message = {"id": f"m{number}", "role": "assistant", "model": "opus", "content": [call]}
    result = {"type": "tool_result", "tool_use_id": f"c{number}", "content": text * 2}
    lines = [
        {"type": "assistant", "message": message, "timestamp": "2026-05-01T10:00:00.000Z"},
        {"type": "user", "message": {"role": "user", "content": [result]}},
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
