"""One reading of transcripts, in a process of its own: `python -m benchmarks.transcripts_probe`.

It loads the modules by reading an empty folder, then measures one reading. It prints the wall time,
the CPU time, the peak memory and the number of answers as JSON. CPU and memory are those of this
process and of those that it starts.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_PEAK_EVERY_S = 0.02


def main(reader: str, folder: Path) -> None:
    """Measures one reading and prints the figures.

    Args:
        reader: ``ours`` or ``pyarrow``.
        folder: The folder with transcripts.
    """
    read = {"ours": _ours, "pyarrow": _pyarrow}[reader]
    with tempfile.TemporaryDirectory() as empty:
        read(Path(empty))
    peaks: dict[str, int] = {}
    done = threading.Event()
    watcher = threading.Thread(target=_watch_children, args=(peaks, done))
    watcher.start()
    began_s, cpu_s = time.perf_counter(), _cpu_s()
    n_rows = read(folder)
    wall_s = time.perf_counter() - began_s
    done.set()
    watcher.join()
    own_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {
        "wall_s": wall_s,
        "cpu_s": _cpu_s() - cpu_s,
        "peak_bytes": own_bytes + sum(peaks.values()),
        "children_bytes": sum(peaks.values()),
        "n_rows": n_rows,
    }
    print(json.dumps(figures))


def _cpu_s() -> float:
    """The CPU time of this process and of those that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _watch_children(peaks: dict[str, int], done: threading.Event) -> None:
    """Keeps the peak memory of each child: the kernel's own of it begins with its parent's."""
    main_thread = f"/proc/self/task/{threading.main_thread().native_id}/children"
    while not done.wait(_PEAK_EVERY_S):
        for child in Path(main_thread).read_text().split():
            try:
                status = Path(f"/proc/{child}/status").read_text()
            except OSError:
                continue
            peak = status.partition("VmHWM:")[2].split()
            if peak:
                peaks[child] = int(peak[0]) * 1024  # the last one: at first it is its parent's


def _ours(folder: Path) -> int:
    import cpr_nb as cpr

    seen = cpr.transcripts(folder)
    return len(seen.df()) + len(seen.usage_df(by=["day", "model"]))


def _pyarrow(folder: Path) -> int:
    """The tokens of every line, with a fixed schema: it has no answers that count once."""
    import pyarrow as pa
    from pyarrow import json as pa_json

    text, number = pa.string(), pa.int64()
    tokens = ("input_tokens", "output_tokens", "cache_read_input_tokens")
    usage = pa.struct([(name, number) for name in (*tokens, "cache_creation_input_tokens")])
    message = pa.struct([("id", text), ("role", text), ("model", text), ("usage", usage)])
    texts = ("type", "uuid", "parentUuid", "timestamp", "sessionId", "agentId", "requestId")
    fields: list[Any] = [(name, text) for name in (*texts, "cwd", "version", "gitBranch")]
    schema = pa.schema([*fields, ("isSidechain", pa.bool_()), ("message", message)])
    # Content is a text in some lines and a list in others: no fixed schema can have both.
    parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    tables = [
        pa_json.read_json(path, parse_options=parse)
        for path in sorted(folder.rglob("*.jsonl"))
        if path.stat().st_size
    ]
    return len(pa.concat_tables(tables)) if tables else 0


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
