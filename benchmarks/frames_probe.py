"""One measurement of reading, in a process of its own: `python -m benchmarks.frames_probe`.

It loads the modules by reading an empty folder, then measures one reading. It prints the wall time,
the memory before and the peak memory after it as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WITHOUT = "--without-pyarrow"


def main(reader: str, folder: Path) -> None:
    """Measures one reading and prints the figures.

    Args:
        reader: The name of a function of cpr_nb, or of `_RIVALS`.
        folder: The results directory.
    """
    with tempfile.TemporaryDirectory() as empty:
        read = _RIVALS.get(reader) or _ours(reader)
        read(Path(empty))
    before = _memory_bytes("VmRSS")
    began = time.perf_counter()
    table = read(folder)
    wall_s = time.perf_counter() - began
    peak = _memory_bytes("VmHWM")
    print(json.dumps({"wall_s": wall_s, "before": before, "peak": peak, "n": len(table)}))


def _ours(name: str) -> Callable[[Path], Any]:
    import cpr_nb as cpr

    function: Callable[[Path], Any] = getattr(cpr, name)
    return function


def _memory_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(name)


# -- rivals -----------------------------------------------------------------------------------


def _read(*names: str, ending: str = "") -> Callable[[Path], list[int]]:
    """Makes a reader of bytes only: of files with these names, or with this ending."""

    def read(folder: Path) -> list[int]:
        sizes = []
        for session in [entry.path for entry in os.scandir(folder) if entry.name[0] != "."]:
            file_names = list(names)
            if ending:
                file_names += [name for name in os.listdir(session) if name.endswith(ending)]
            for name in file_names:
                with open(f"{session}/{name}", "rb") as file:
                    sizes.append(len(file.read()))
        return sizes

    return read


def _streams(folder: Path) -> list[Path]:
    return sorted(folder.glob("session-*/task-*.jsonl"))


def _json_loop(folder: Path) -> Any:
    """What anybody would write: `json`, one row per content block."""
    import pandas as pd

    rows = []
    for path in _streams(folder):
        with path.open("rb") as file:
            for line in file:
                event = json.loads(line)
                message = event.get("message") or {}
                for block in message.get("content") or [{}]:
                    text = block.get("text") or block.get("content") or event.get("result")
                    if block.get("type") == "tool_use":
                        text = json.dumps(block["input"])
                    rows.append(
                        {
                            "session_id": path.parent.name,
                            "task_id": path.stem,
                            "at": event.get("timestamp"),
                            "type": event["type"],
                            "subtype": block.get("type", event.get("subtype")),
                            "role": message.get("role"),
                            "text": text,
                            "model": message.get("model"),
                            "tool": block.get("name"),
                        }
                    )
    return pd.DataFrame(rows)


def _read_json(folder: Path) -> Any:
    import pandas as pd

    parts = [pd.read_json(path, lines=True) for path in _streams(folder)]
    return pd.concat(parts) if parts else pd.DataFrame()


def _pyarrow(folder: Path) -> Any:
    """Reads with pyarrow and a schema: it cannot infer one here."""
    import pyarrow as pa
    import pyarrow.json as pj

    text = pa.string()
    names = "command", "description", "file_path", "content", "old_string", "new_string", "pattern"
    tool_input = pa.struct([(name, text) for name in names])
    fields = "type", "text", "thinking", "id", "name", "tool_use_id", "content"
    block = pa.struct([*((name, text) for name in fields), ("input", tool_input)])
    message = pa.struct(
        [("id", text), ("role", text), ("model", text), ("content", pa.list_(block))]
    )
    timestamp = pa.timestamp("us", "UTC")
    columns = [("type", text), ("subtype", text), ("timestamp", timestamp), ("message", message)]
    schema = pa.schema([*columns, ("result", text)])
    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    parts = [pj.read_json(path, parse_options=options) for path in _streams(folder)]
    return pa.concat_tables(parts) if parts else []


_RIVALS: dict[str, Callable[[Path], Any]] = {
    "read-heads": _read("status.json"),
    "read-tasks": _read("status.json", "session.json", ending=".txt"),
    "read-streams": _read(ending=".jsonl"),
    "json": _json_loop,
    "read_json": _read_json,
    "pyarrow": _pyarrow,
}


if __name__ == "__main__":
    if _WITHOUT in sys.argv:
        sys.argv.remove(_WITHOUT)
        sys.modules["pyarrow"] = None  # type: ignore[assignment] - as if it were not installed
    main(sys.argv[1], Path(sys.argv[2]))
