"""One reading of transcripts, in a process of its own: `python -m benchmarks.transcripts_probe`.

It loads the modules by reading an empty folder, then measures one reading. It prints the wall time,
the CPU time, the peak memory and the number of answers as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main(reader: str, folder: Path) -> None:
    """Measures one reading and prints the figures.

    Args:
        reader: ``ours`` or ``pyarrow``.
        folder: The folder with transcripts.
    """
    read = {"ours": _ours, "pyarrow": _pyarrow}[reader]
    with tempfile.TemporaryDirectory() as empty:
        read(Path(empty))
    began_s, cpu_s = time.perf_counter(), time.process_time()
    n_rows = read(folder)
    figures = {
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "n_rows": n_rows,
    }
    print(json.dumps(figures))


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
