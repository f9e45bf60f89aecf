"""However long a stream is, an export holds only a step of it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from exchange.fixed_session import call, result, returned, said, text
from testkit.session_folders import write_session

from cpr_nb.exchange.exports import export_session
from cpr_nb.store.read import read_session

N_MESSAGES = 150
OUTPUT_BYTES = 200_000  # of each call: 30 MB in all


@pytest.mark.parametrize("to", ["atif", "ctrf", "junit", "otel"])
def test_a_long_stream_is_not_held(tmp_path: Path, to: str) -> None:
    parent = None
    lines = [said(0, "first", call("sub", "Agent", prompt="look"))]
    for number in range(N_MESSAGES):
        name = f"m{number}"
        parent = "sub" if number % 2 else None
        lines.append(said(1, name, text("x"), call(name, "Read", path=name), parent=parent))
        lines.append(returned(2, name, "y" * OUTPUT_BYTES, parent))
    lines.append(returned(3, "sub", "found") + result("Done."))
    folder = write_session(tmp_path, {"long": [b"".join(lines)]})
    path = folder / "status.json"
    path.write_text(path.read_text().replace('"state"', '"started_at": "2026-05-01", "state"'))
    del lines
    snapshot = read_session(str(folder))
    tracemalloc.start()
    try:
        written = export_session(snapshot, to, tmp_path / "out", **_with_content(to))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    files = list(written.iterdir()) if written.is_dir() else [written]
    n_written = sum(file.stat().st_size for file in files)
    assert n_written > (N_MESSAGES * OUTPUT_BYTES if to in ("atif", "otel") else 0)
    assert peak_bytes < 8_000_000
    if to == "otel":  # a collector limits the size of a request
        with written.open() as requests:
            assert max(map(len, requests)) < 3_000_000


def _with_content(to: str) -> dict[str, bool]:
    return {"with_content": True} if to == "otel" else {}
