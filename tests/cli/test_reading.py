"""Reading a session: results, logs, JSON, a pipe that closes early."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.session_folders import write_session
from testkit.stub import Stub, plan

from cpr_nb.offline.scripted_api import ScriptedApi

_SESSION = (
    "session_id name state foreign created_at duration_s n_tasks n_pending n_running n_succeeded "
    "n_failed n_denials cost_usd n_cancelled n_skipped n_reused started_at ended_at input_tokens "
    "output_tokens cache_read_tokens cache_write_tokens n_unknown_costs max_parallel model "
    "parallel_now parallel_why permissions executor host claude_version cwd git_commit git_tree "
    "waiting_for waiting_until notice warnings parent_session_id path n_questions"
)
_TASK = (
    "session_id task_id task_num prompt state outcome ok reason n_denials duration_s cost_usd "
    "result started_at ended_at wait_s api_duration_s attempts num_turns n_tool_calls "
    "input_tokens output_tokens cache_read_tokens cache_write_tokens n_unknown_costs model "
    "api_retries api_error_status exit_code signal is_error subtype stop_reason structured error "
    "note conversation_id branch worktree n_files_changed lines_added lines_deleted n_commits "
    "process node light peak_rss_bytes output_bytes response_model harvest_error kept_because "
    "n_questions"
)
SESSION_COLUMNS, TASK_COLUMNS = set(_SESSION.split()), set(_TASK.split())


@pytest.mark.real_cli
def test_a_running_task_shows_its_text_so_far(real_cpr: Cpr, api: ScriptedApi) -> None:
    bash = {"tool": "Bash", "input": {"command": "echo hi", "description": "say hi"}}
    held = script({"text": "First I look.", **bash}, {"wait": "go", "text": "Now I know."})
    silent = script({"wait": "go", "text": "at last"})
    session = real_cpr.launch(prompts(held, silent), "-j2", "--allow", "Bash(echo:*)")
    api.wait_for(lambda record: record.step == 1, LIMIT_S)
    api.wait_for(lambda record: silent in record.last_user_text, LIMIT_S)
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second")
    shown = real_cpr.good("results", session.id).split("-" * 30 + "\n")
    assert shown[1].startswith("First I look.\n[Task still running...]\n")
    assert shown[2] == "[Task still running...]\n\n"
    (row, _) = json.loads(real_cpr.good("results", "--json", session.id))
    assert (row["outcome"], row["result"]) == (None, "First I look.")
    api.release("go")
    session.wait(LIMIT_S)
    assert [task.text for task in session] == ["Now I know.", "at last"]
    only = real_cpr.good("results", session.id, "--task", "2")
    assert "at last" in only and "Now I know." not in only


@pytest.mark.real_cli
def test_logs_follow_a_session_to_its_end(real_cpr: Cpr, api: ScriptedApi) -> None:
    bash = {"tool": "Bash", "input": {"command": "echo hi", "description": "say hi"}}
    held = script({"text": "I look.", **bash}, {"wait": "go", "text": "I know."})
    session = real_cpr.launch(prompts({"id": "one", "prompt": held}), "--allow", "Bash(echo:*)")
    api.wait_for(lambda record: record.step == 1, LIMIT_S)
    following = real_cpr.start("logs", "-f", stdout=subprocess.PIPE)
    assert following.stdout is not None
    seen: list[str] = []
    while not any("hi" in line and "◂" in line for line in seen):
        seen.append(following.stdout.readline().decode())
        assert seen[-1], seen
    api.release("go")
    rest = following.stdout.read().decode()
    following.stdout.close()
    assert following.wait(LIMIT_S) == 0
    assert any("I look." in line for line in seen) and any("▸ Bash echo hi" in x for x in seen)
    assert "I know." in rest and "done: success, 2 turns" in rest
    session.wait(LIMIT_S)
    assert real_cpr.good("logs", session.id, "--task", "one") == "".join(seen) + rest


def test_logs_of_a_long_stream_take_little_memory(stub_cpr: Cpr, work: Path) -> None:
    text = {"type": "assistant", "message": {"content": [{"type": "text", "text": "x" * 2000}]}}
    line, n_lines = json.dumps(text).encode() + b"\n", 60_000
    folder = write_session(work / "results", {"a": [line]})
    with (folder / "task-a.jsonl").open("wb") as stream:
        for _ in range(n_lines // 1000):
            stream.write(line * 1000)
    reading = stub_cpr.start("logs", stdout=subprocess.PIPE)
    assert reading.stdout is not None
    for _ in range(n_lines - 1000):  # the rest is more than fits into a pipe: it is still there
        reading.stdout.readline()
    status = Path(f"/proc/{reading.pid}/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    assert len(reading.stdout.readlines()) == 1000
    assert reading.wait(LIMIT_S) == 0
    reading.stdout.close()
    assert peak_kib < 40 << 10  # of a stream of 120 MB


def test_logs_of_a_session_that_has_ended_end_at_once(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts(plan(say="words"))).wait(LIMIT_S)
    assert "words" in stub_cpr.good("logs", "-f", session.id)


def test_tasks_are_named_by_number_id_or_its_beginning(stub_cpr: Cpr) -> None:
    text = prompts(*[{"id": name, "prompt": name} for name in ("docs-a", "docs-b", "7", "tests")])
    session = stub_cpr.launch(text).wait(LIMIT_S)
    for task, task_id in [("1", "docs-a"), ("docs-b", "docs-b"), ("7", "7"), ("te", "tests")]:
        assert f"(ID: {task_id})" in stub_cpr.good("results", session.id, "--task", task)
    for task in ("8", "0", "-1", "x"):
        done = stub_cpr("results", session.id, f"--task={task}")
        assert done.returncode == 2 and f"has no task {task!r}" in done.stderr
    done = stub_cpr("results", session.id, "--task=docs")
    assert done.returncode == 2
    assert f"'docs' matches several tasks of {session.id}: docs-a, docs-b\n" in done.stderr


@pytest.fixture
def mixed(stub_cpr: Cpr, stub: Stub) -> Any:
    """A session in which something of everything happened."""
    text = prompts(
        {"id": "good", "prompt": "long " * 40},
        {"id": "typed", "prompt": plan(result={"structured_output": {"n": 1}})},
        {"id": "bad", "prompt": plan(result=None, exit=3, stderr="something broke")},
        {"id": "slow", "prompt": plan(gate="for ever"), "timeout_s": 0.2},
    )
    stub.fifos("for ever")
    return stub_cpr.launch(text, "--name", "mixed", "--model", "opus").wait(LIMIT_S)


def assert_iso(value: str) -> None:
    assert value.endswith("Z") and datetime.fromisoformat(value).utcoffset() is not None


def test_json_of_a_session_has_the_documented_columns(stub_cpr: Cpr, mixed: Any) -> None:
    row = json.loads(stub_cpr.good("status", "--json", "mixed"))
    assert set(row) == {*SESSION_COLUMNS, "tasks"}
    assert (row["session_id"], row["path"]) == (mixed.id, str(mixed.path))
    figures = ("state", "n_tasks", "n_succeeded", "n_failed", "n_running", "model")
    assert [row[name] for name in figures] == ["completed", 4, 2, 2, 0, "opus"]
    for name in ("created_at", "started_at", "ended_at"):
        assert_iso(row[name])
    good, typed, bad, slow = row["tasks"]
    assert [set(task) for task in row["tasks"]] == [TASK_COLUMNS] * 4
    assert good["prompt"] == "long " * 40 and good["result"].strip() == "done"
    assert (good["ok"], bad["ok"]) == (True, False)
    assert typed["structured"] == {"n": 1}
    assert (bad["outcome"], bad["reason"], bad["exit_code"]) == ("failed", "usage_error", 3)
    assert (slow["outcome"], slow["reason"], slow["signal"]) == ("timed_out", "timeout", 15)
    assert bad["cost_usd"] is None and good["cost_usd"] == 0.25
    assert sum(task["cost_usd"] or 0 for task in row["tasks"]) == row["cost_usd"]
    assert_iso(good["started_at"])


def test_json_of_all_sessions_is_an_array_of_rows(stub_cpr: Cpr, mixed: Any) -> None:
    other = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    for command in (["list", "--json"], ["--list", "--json"], ["--json", "list"]):
        rows = json.loads(stub_cpr.good(*command))
        assert [set(row) for row in rows] == [SESSION_COLUMNS] * 2
        assert {row["session_id"] for row in rows} == {mixed.id, other.id}
    elsewhere = stub_cpr.good("list", "--json", "--results-dir", "/nonexistent")
    assert json.loads(elsewhere) == []


def test_json_of_results_has_a_row_a_task(stub_cpr: Cpr, mixed: Any) -> None:
    rows = json.loads(stub_cpr.good("results", "mixed", "--json"))
    keys = {"task_id", "task_num", "outcome", "result", "structured", "error", "note"}
    keys |= {"harvest_error", "kept_because"}
    assert [set(row) for row in rows] == [keys] * 4
    assert (rows[1]["structured"], rows[2]["error"]) == ({"n": 1}, "something broke")
    assert rows[0]["result"] == "done" and rows[0]["error"] is None
    (row,) = json.loads(stub_cpr.good("results", "mixed", "--json", "--task", "bad"))
    assert row == rows[2]


def test_failures_say_why_wherever_they_are_shown(stub_cpr: Cpr, mixed: Any) -> None:
    status = stub_cpr.good("status", "mixed")
    assert "❌ Task 3 (ID: bad): completed (failed: usage_error)" in status
    assert "❌ Task 4 (ID: slow): completed (timed_out: timeout)" in status
    results = stub_cpr.good("results", "mixed")
    assert "[failed: usage_error] something broke" in results
    assert "[timed_out: timeout]" in results
    assert "2 failed" in stub_cpr.good("list")


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--json"], ["results"], ["--overview"], ["status"], ["--help"]]
)
def test_a_pipe_that_closes_early_is_no_error(
    stub_cpr: Cpr, stub: Stub, command: list[str]
) -> None:
    answer = plan(result={"result": "a line of an answer\n" * 20_000})
    session = stub_cpr.launch(prompts(answer)).wait(LIMIT_S)
    argv = [*command, session.id] if command[0] in ("results", "status") else command
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", '"$0" "$@" | head -1', stub_cpr.path, *argv],
        cwd=stub_cpr.cwd,
        env=stub_cpr.env,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


def test_a_pipe_that_is_closed_already_is_no_error(stub_cpr: Cpr) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    listing = stub_cpr.start("list", stdout=write_fd, stderr=subprocess.PIPE)
    os.close(write_fd)
    _, errors = listing.communicate(timeout=LIMIT_S)
    assert (listing.returncode, errors) == (0, b"")


def test_sessions_of_the_same_second_are_listed_the_newest_first(stub_cpr: Cpr) -> None:
    for session_id, millis in (("ffff0000-0", 100), ("0000ffff-0", 900)):
        folder = stub_cpr.cwd / "results" / f"session-{session_id}"
        folder.mkdir(parents=True)
        head = {"session_id": session_id, "overall_status": "completed", "start_time": 1_000_000}
        head |= {"created_at": f"1970-01-12T13:46:40.{millis}Z", "schema_version": 1, "tasks": []}
        (folder / "status.json").write_text(json.dumps(head))
    rows = json.loads(stub_cpr.good("list", "--json"))
    assert [row["session_id"] for row in rows] == ["0000ffff-0", "ffff0000-0"]


RECORDED = Path(__file__).parents[1] / "model" / "recordings" / "perm_acceptEdits.jsonl"


def test_logs_name_a_denial_once(stub_cpr: Cpr, work: Path) -> None:
    events = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    denied = [e["message"] for e in events if e.get("subtype") == "permission_denied"]
    assert len(denied) == 2
    folder = write_session(work / "results", {"a": [RECORDED.read_bytes()]})
    lines = stub_cpr.good("logs", folder.name.removeprefix("session-")).splitlines()
    for message in denied:
        (line,) = [line for line in lines if message in line]
        assert "denied " in line
    assert len([line for line in lines if "◂" in line]) == 3, "the results of the other calls stay"
