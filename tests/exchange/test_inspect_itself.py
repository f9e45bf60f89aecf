"""Inspect itself: it reads what is written of odd sessions, and its own logs are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit import inspect_readers
from testkit.hostile_text import ALL
from testkit.session_folders import RUNNING, write_session

import cpr_nb as cpr
from cpr_nb.exchange.exports import export_session
from cpr_nb.store.read import read_session

pytestmark = pytest.mark.slow


def line(kind: str, *blocks: dict[str, Any], **more: Any) -> bytes:
    message = {"id": f"m{len(blocks)}", "role": kind, "model": "m", "content": list(blocks)}
    return json.dumps({"type": kind, "message": message, **more}).encode() + b"\n"


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def call(given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": ALL, "name": ALL, "input": given}


def odd_streams() -> dict[str, list[bytes]]:
    hostile = {"type": "text", "text": ALL * 10}
    result = {"type": "tool_result", "tool_use_id": ALL, "content": ALL * 10, "is_error": True}
    return {
        "hostile": [line("assistant", hostile, call({ALL: ALL})) + line("user", result)],
        "attempts": [line("assistant", call({"n": 1})), line("user", hostile)],
        "deep": [line("assistant", call({"deep": nested(400)}), call(nested(400)))],
        "numbers": [line("assistant", call({"big": 10**30, "nan": float("nan")}))],
        "damaged": [b'{"type": "assistant", "mess', b"\xff\xfe\n{}\n"],
        "empty": [b""],
        "none": [],
        "key": [line("assistant", {"type": "text", "text": "attachment://none"})],
        "orphan": [line("assistant", hostile, parent_tool_use_id="gone")],
        "long-" + "x" * 120: [line("assistant", hostile)],
    }


OUTCOMES = ("succeeded", "failed", "timed_out", "cancelled", "skipped", "lost")


def write_odd_logs(folder: Path, logs: Path) -> int:
    """Writes the logs of sessions of each kind; returns how many samples they have."""
    streams = odd_streams()
    logs.mkdir()
    for i, outcome in enumerate(OUTCOMES, start=1):
        state = {"status": "completed", "state": "ended", "outcome": outcome, "error": ALL}
        root = write_session(folder, streams, number=i, state=state, name=ALL, score=i)
        export_session(read_session(str(root)), "inspect", logs / f"{outcome}.eval")
    for i, state_of_session in enumerate(("running", "cancelled", "error"), start=10):
        head = {"overall_status": state_of_session, "error": ALL}
        root = write_session(folder, streams, number=i, state=RUNNING, **head)
        log = logs / f"{state_of_session}-session.eval"
        export_session(read_session(str(root)), "inspect", log)
    return len(streams) * (len(OUTCOMES) + 3)


def test_inspect_reads_odd_sessions_and_cpr_reads_its_logs(tmp_path: Path) -> None:
    logs, copies = tmp_path / "logs", tmp_path / "copies"
    n_samples = write_odd_logs(tmp_path / "results", logs)
    known = inspect_readers.read(logs, copies, "evaluate")
    assert len(known["samples"]) == n_samples
    assert sum(len(log["samples"]) for log in known["logs"]) == n_samples
    assert {log["status"] for log in known["logs"]} == {
        "success",
        "started",
        "cancelled",
        "error",
    }
    for folder in ("eval", "json"):
        sessions = cpr.import_sessions(copies / folder, tmp_path / f"of {folder}")
        assert sum(len(session) for session in sessions) == n_samples
    (own,) = (copies / "own").glob("*.eval")
    _check_own(own, tmp_path / "own results")


def _check_own(log: Path, results: Path) -> None:
    (session,) = cpr.import_sessions(log, results)
    assert session.name == "halves"
    tasks = session.tasks_df(full=True)
    assert tasks["task_id"].tolist() == ["four", "four_epoch_2", "5", "5_epoch_2"]
    assert session.results_df()["score"].tolist() == [1.0, 1.0, 0.0, 0.0] and tasks["ok"].all()
    assert tasks["prompt"].tolist() == ["Half of 4?"] * 2 + ["Half of 5?"] * 2
    calls = session.tool_calls_df(full=True)
    assert calls["output"].tolist() == ["half is 2", "it is odd"] * 4
    assert calls["is_error"].tolist() == [False, True] * 4
    assert tasks["n_tool_calls"].tolist() == [2] * 4
    assert session[0].text == "It is two. " * 20
    assert tasks[["input_tokens", "output_tokens"]].values.tolist() == [[30, 6]] * 4
    assert tasks["cost_usd"].isna().all()
    assert set(session.events_df()["type"]) == {"system", "assistant", "user", "result"}
