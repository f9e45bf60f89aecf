"""A session of the real CLI in Inspect, and back: its own readers, and our tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testkit import inspect_readers
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr

pytestmark = [pytest.mark.slow, pytest.mark.real_cli]
INSPECT = str(Path(sys.executable).parent / "inspect")
#: Longer than what Inspect's logs keep in an event.
LONG = "A long answer. " * 40
#: The columns that a session and its import have in common.
TASK_COLUMNS = [
    *("task_id", "prompt", "outcome", "reason", "cost_usd", "duration_s", "error", "model"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("started_at", "ended_at", "conversation_id", "n_tool_calls", "ok"),
]
CALL_COLUMNS = [
    *("task_id", "tool", "target", "input", "output", "is_error", "parent_tool_use_id", "ended_at"),
]


def session_of(real_cpr: Cpr) -> cpr.Session:
    """Tools, one of which fails; a subagent; a failure; a failed check."""
    write = {"file_path": "{cwd}/hello.py", "content": "print('hello')\n" * 20}
    read = {"tool": "Read", "input": {"file_path": "{cwd}/nowhere.py"}}
    inner = script(read, {"text": "Nothing is there."})
    agent = {"description": "look", "subagent_type": "general-purpose", "prompt": inner}
    elements = [
        {"id": "tools", "prompt": script({"tool": "Write", "input": write}, read, {"text": LONG})},
        {
            "id": "agent",
            "prompt": script({"tool": "Task", "input": agent}, {"text": "done"}),
            "tools": ["Read", "Task"],
        },
        {"id": "thinks", "prompt": script({"thinking": "Well …", "text": "Zwölf 🎉"})},
        {"id": "fails", "prompt": script({"fail": {"status": 400, "message": "no"}})},
        {"id": "bad", "prompt": script({"text": "no"}), "check": "exit 3"},
    ]
    return real_cpr.launch(prompts(*elements), "--name", "review").wait(LIMIT_S)


def test_inspect_reads_a_session_and_cpr_reads_it_back(real_cpr: Cpr, tmp_path: Path) -> None:
    session = session_of(real_cpr)
    log = tmp_path / "logs" / "review.eval"
    log.parent.mkdir()
    real_cpr.good("export", session.id, "--to", "inspect", "-o", str(log))
    tasks = session.tasks_df(full=True).set_index("task_id")

    known = inspect_readers.read(log, tmp_path / "converted")
    _check_samples(known["samples"], tasks)
    _check_messages(known["messages"])
    _check_log(known["logs"][0])

    copies = [log, *sorted((tmp_path / "converted").rglob("*.*"))]
    assert [copy.suffix for copy in copies] == [".eval", ".eval", ".json"]
    for i, copy in enumerate(copies):
        _check_import(session, copy, tmp_path / f"results {i}")
    _check_commands(log, tmp_path)


def _check_samples(samples: list[dict[str, Any]], tasks: Any) -> None:
    assert [sample["id"] for sample in samples] == tasks.index.tolist()
    for sample in samples:
        task = tasks.loc[sample["id"]]
        total = sum(task[[name for name in tasks if name.endswith("_tokens")]])
        assert sample["total_tokens"] == total, sample["id"]
        assert sample["metadata_cpr_outcome"] == task["outcome"]
        assert sample["total_time"] == task["duration_s"]
        assert bool(sample["error"]) == (not task["ok"])
    by_id = {sample["id"]: sample for sample in samples}
    assert "400" in by_id["fails"]["error"] and "check_failed" in by_id["bad"]["error"]
    assert [by_id[name]["score_check"] for name in ("bad", "thinks")] == ["I", None]


def _check_messages(messages: list[dict[str, Any]]) -> None:
    assert len({message["message_id"] for message in messages}) == len(messages)
    contents = [message["content"] for message in messages]
    assert contents.count(LONG) == 1 and "Zwölf 🎉" in "\n".join(contents)
    results = {
        (message["tool_call_function"], bool(message["tool_call_error"]))
        for message in messages
        if message["role"] == "tool"
    }
    assert results == {("Task", False), ("Write", False), ("Read", True)}


def _check_log(log: dict[str, Any]) -> None:
    assert (log["version"], log["status"], log["eval"]["task"]) == (2, "success", "review")
    samples = {sample["id"]: sample for sample in log["samples"]}
    events = samples["agent"]["events"]
    (started,) = [e for e in events if e["event"] == "tool" and e["agent_span_id"]]
    (inner,) = [e for e in events if e["event"] == "tool" and not e["agent_span_id"]]
    assert started["agent"] == "general-purpose"
    assert (inner["function"], inner["span_id"]) == ("Read", started["agent_span_id"])
    own = [e for e in events if e["event"] == "model" and not e["span_id"]]
    sent = [[m["role"] for m in e["input"]] for e in own]  # a subagent may answer in between
    assert sent[:2] == [["user"], ["user", "assistant", "tool"]]
    roles = [message["role"] for message in samples["agent"]["messages"]]
    assert roles[:3] == ["user", "assistant", "tool"]
    assert set(roles[3:]) == {"assistant"}  # nothing of the subagent


def _check_import(session: cpr.Session, log: Path, results: Path) -> None:
    (imported,) = cpr.import_sessions(log, results)
    assert (imported.state, imported.name) == ("imported", "review")
    for table, columns in (("tasks_df", TASK_COLUMNS), ("tool_calls_df", CALL_COLUMNS)):
        ours, theirs = (getattr(one, table)(full=True) for one in (session, imported))
        assert in_json(ours[columns]) == in_json(theirs[columns])
    ours, theirs = session.usage_df(), imported.usage_df()
    columns = [name for name in ours if name != "session_id"]
    assert ours[columns].to_dict("list") == theirs[columns].to_dict("list")
    texts = [[task.text if task.ok else None for task in one] for one in (session, imported)]
    assert texts[0] == texts[1]


def in_json(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso"))
    return rows


def _check_commands(log: Path, tmp_path: Path) -> None:
    """The commands of Inspect that show and score a log; none of them goes anywhere."""
    home = {"HOME": str(tmp_path / "inspect"), "PATH": "/usr/bin:/bin", "ANTHROPIC_API_KEY": "none"}
    home["ANTHROPIC_BASE_URL"] = "http://127.0.0.1:9"
    (tmp_path / "inspect").mkdir()

    def inspect(*words: str) -> str:
        done = subprocess.run(
            [INSPECT, *words], env=home, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    bundle = tmp_path / "bundle"
    inspect("view", "bundle", "--log-dir", str(log.parent), "--output-dir", str(bundle))
    listing = json.loads((bundle / "logs" / "listing.json").read_text())
    assert listing[log.name]["status"] == "success"
    inspect("score", str(log), "--scorer", "includes", "--action", "append", "--overwrite")
    scored = json.loads(inspect("log", "dump", "--header-only", str(log)))
    assert scored["results"]["scores"][-1]["name"] == "includes"
