"""ATIF: what Harbor accepts, and what comes back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from exchange.fixed_session import write_fixed_session
from exchange.harbor import VERDICT, digests, export_fixed
from testkit.command import Cpr

import cpr_nb as cpr
from cpr_nb.exchange.exports import export_session
from cpr_nb.store.read import read_session

FOREIGN = {
    "schema_version": "ATIF-v1.6",
    "session_id": "run-1",
    "agent": {"name": "other-agent", "version": "3", "model_name": "model-y"},
    "steps": [
        {"step_id": 1, "source": "system", "message": "You are an agent."},
        {"step_id": 2, "source": "user", "message": [{"type": "text", "text": "Count."}]},
        {
            "step_id": 3,
            "source": "agent",
            "timestamp": "2026-05-01T10:00:00Z",
            "message": "",
            "tool_calls": [{"tool_call_id": "c", "function_name": "bash", "arguments": {"x": 1}}],
            "observation": {"results": [{"source_call_id": "c", "content": "2"}]},
            "metrics": {"prompt_tokens": 50, "cached_tokens": 20, "completion_tokens": 7},
        },
    ],
    "final_metrics": {"total_cost_usd": 0.5},
    "continued_trajectory_ref": "more.json",
}
MORE = {
    **FOREIGN,
    "steps": [
        {**FOREIGN["steps"][2], "is_copied_context": True},
        {
            "step_id": 2,
            "source": "agent",
            "timestamp": "2026-05-01T10:01:00Z",
            "message": "Two.",
            "metrics": {"prompt_tokens": 60, "completion_tokens": 3},
        },
    ],
    "continued_trajectory_ref": "first.json",  # a circle, which ends where it began
}


def read(folder: Path) -> dict[str, Any]:
    """The trajectories in a folder, by the ids of their tasks."""
    every = [json.loads(path.read_bytes()) for path in sorted(folder.iterdir())]
    return {one["extra"]["cpr"]["task_id"]: one for one in every}


@pytest.mark.parametrize("words", ["whole", "redacted"])
def test_we_write_what_harbors_validator_has_accepted(tmp_path: Path, words: str) -> None:
    recorded = json.loads(VERDICT.read_text())[words]
    assert digests(export_fixed(tmp_path, redact=words == "redacted")) == recorded, (
        "the trajectories have changed: ask the validator again (python tests/exchange/harbor.py)"
    )


def test_attempts_continue_and_subagents_are_inside(tmp_path: Path) -> None:
    every = read(export_fixed(tmp_path))
    steps = every["again"]["steps"]
    assert [step["source"] for step in steps] == ["user", "agent", "agent", "system"] + 2 * [
        "agent"
    ]
    assert steps[3]["message"] == "Attempt 2 begins."
    assert [step["step_id"] for step in steps] == list(range(1, 7))
    first = steps[1]  # two lines of one message
    assert first["reasoning_content"] == "Which file?"
    assert first["observation"]["results"][0]["content"] == "See\n[image]"
    assert first["metrics"]["prompt_tokens"] == 130 and first["metrics"]["cached_tokens"] == 100
    assert steps[4]["observation"]["results"][0]["extra"]["is_error"] is True
    nested = every["nested"]
    inner = nested["subagent_trajectories"][0]
    ref = nested["steps"][1]["observation"]["results"][0]["subagent_trajectory_ref"]
    assert ref == [{"trajectory_id": inner["trajectory_id"]}]
    innermost = inner["subagent_trajectories"][0]
    assert innermost["steps"][0]["message"] == "deep"
    orphan = every["lost"]["subagent_trajectories"][0]["steps"][0]
    assert orphan["message"] == "orphan"
    assert "completion_tokens" not in every["lost"]["steps"][1]["metrics"]  # its end is unknown


def test_a_trajectory_of_another_agent(tmp_path: Path, stub_cpr: Cpr) -> None:
    folder = stub_cpr.cwd / "run"
    folder.mkdir()
    (folder / "first.json").write_text(json.dumps(FOREIGN))
    (folder / "more.json").write_text(json.dumps(MORE))
    # Each continues the other, so neither is the first: the one that is named is.
    ran = stub_cpr("import", "run/first.json", "--json")
    assert ran.returncode == 0, ran.stderr
    (found,) = json.loads(ran.stdout)
    row = json.loads(stub_cpr("status", found["session_id"], "--json").stdout)
    (task,) = row["tasks"]
    assert (task["prompt"], task["outcome"], task["ok"]) == ("Count.", "succeeded", True)
    assert (task["input_tokens"], task["output_tokens"]) == (90, 10)
    assert task["cost_usd"] == 0.5 and task["duration_s"] == 60
    assert stub_cpr("results", found["session_id"]).stdout.count("Two.") == 1
    assert stub_cpr("retry", found["session_id"]).returncode == 2


def test_results_of_an_agent_without_calls_are_what_it_was_sent(tmp_path: Path) -> None:
    steps: list[Any] = json.loads(json.dumps(FOREIGN["steps"]))
    del steps[2]["tool_calls"]
    steps[2]["observation"]["results"] = [{"content": "$ ls: a.py"}]
    path = tmp_path / "terminal.json"
    path.write_text(json.dumps({**FOREIGN, "steps": steps}))
    (session,) = cpr.import_sessions(path, results_dir=tmp_path / "there")
    events = session.events_df()
    assert events[events["type"] == "user"]["text"].tolist() == ["$ ls: a.py"]
    steps[2]["tool_calls"] = FOREIGN["steps"][2]["tool_calls"]
    steps[2]["observation"]["results"] = [{"content": "2"}]  # of the only call there is
    path.write_text(json.dumps({**FOREIGN, "steps": steps}))
    (session,) = cpr.import_sessions(path, results_dir=tmp_path / "there")
    assert session.tool_calls_df()["output"].tolist() == ["2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"schema_version": "ATIF-v1.x", "steps": []}, "at least one step", id="empty"),
        pytest.param({"steps": [{"source": "agent"}]}, "source and a message", id="no-message"),
        pytest.param({"steps": [{"message": "x"}]}, "source and a message", id="no-source"),
        pytest.param({"agent": "me"}, "an object 'agent'", id="agent-is-text"),
    ],
)
def test_no_trajectory_is_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**FOREIGN, **change}))
    with pytest.raises(cpr.InputError, match=words):
        cpr.import_sessions(path, results_dir=tmp_path / "there")
    assert not list(tmp_path.glob("there/session-*"))


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text(json.dumps(FOREIGN)[:-40])
    with pytest.raises(cpr.InputError, match="it is no JSON"):
        cpr.import_sessions(path, results_dir=tmp_path / "there")


def test_odd_parts_of_a_trajectory_do_not_stop_the_import(tmp_path: Path) -> None:
    steps: list[Any] = json.loads(json.dumps(FOREIGN["steps"]))
    steps[2] |= {"tool_calls": [7], "observation": {"results": [None, {"content": 3}]}}
    steps[2] |= {"metrics": {"prompt_tokens": -1}, "timestamp": "yesterday", "extra": []}
    odd = {**FOREIGN, "steps": steps, "subagent_trajectories": [1], "final_metrics": 4}
    (tmp_path / "odd.json").write_text(json.dumps(odd))
    (session,) = cpr.import_sessions(tmp_path / "odd.json", results_dir=tmp_path / "there")
    row = session.tasks_df(full=True).iloc[0]
    assert row["outcome"] == "lost" and row.isna()[["cost_usd", "duration_s", "ended_at"]].all()


def test_each_outcome_comes_back(tmp_path: Path) -> None:
    folder = export_fixed(tmp_path)
    (session,) = cpr.import_sessions(folder, results_dir=tmp_path / "there")
    rows = session.tasks_df(full=True).set_index("task_id")
    assert rows["outcome"].to_dict() == {
        "again": "succeeded",
        "nested": "failed",
        "lost": "lost",
        "odd": "succeeded",
        "skipped": "skipped",
        "cancelled": "cancelled",
        "waits": "skipped",  # it had not begun
    }
    assert rows.loc["nested", ["reason", "error"]].tolist() == ["check_failed", "the check <1>"]
    before = cpr.Session(next(tmp_path.glob("session-*"))).tasks_df(full=True).set_index("task_id")
    same = ["result", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens"]
    assert before[same].equals(rows[same])  # unknown is missing, also there
    calls = session.tool_calls_df().set_index("input")["parent_tool_use_id"]
    assert calls.iloc[2:5].isna().tolist() == [True, True, False]


def test_a_folder_is_replaced_only_if_it_is_empty(tmp_path: Path) -> None:
    snapshot = read_session(str(write_fixed_session(tmp_path)))
    target = tmp_path / "out"
    target.mkdir()
    export_session(snapshot, "atif", target)
    with pytest.raises(cpr.InputError, match="holds files already"):
        export_session(snapshot, "atif", target)
    shutil.rmtree(target)
    assert not list(tmp_path.glob(".out*"))
