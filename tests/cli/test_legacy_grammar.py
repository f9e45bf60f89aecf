"""claude-parallel-runner.pl's commands, outputs and workflow, with `cpr` in place of its script."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

LEGACY = Path(__file__).parents[1] / "store"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DATE = r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"
FAILED, GOOD = "eb0e8f55-b5b4-5144-08dc-d144fc4f1590", "58f2a8e6-135c-0d34-8ae6-f30afe254fb0"


def recorded(command: str) -> list[str]:
    """What the real claude-parallel-runner.pl printed for a command."""
    blocks = (LEGACY / "legacy-output.txt").read_text("utf-8").split("$ ")
    (block,) = [block for block in blocks if block.startswith(command + "\n")]
    return block.partition("\n")[2].rpartition("[exit ")[0].rstrip("\n").split("\n")


def assert_appended(ours: str, expected: Sequence[str]) -> None:
    """Line by line claude-parallel-runner.pl's, where ours may only append to a line."""
    lines = ours.rstrip("\n").split("\n")
    assert len(lines) == len(expected), ours
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start), (line, start)


def assert_matches(ours: str, patterns: Sequence[str]) -> None:
    """The first lines match these, each as a whole."""
    lines = ours.split("\n")[: len(patterns)]
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


@pytest.fixture
def legacy_cpr(stub_cpr: Cpr) -> Cpr:
    shutil.copytree(LEGACY / "legacy-results", stub_cpr.cwd / "results")
    stub_cpr.env["TZ"] = "UTC"
    return stub_cpr


# --- Its sessions -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["--list"], ["list"]])
def test_legacy_sessions_are_listed_as_it_lists_them(legacy_cpr: Cpr, command: list[str]) -> None:
    assert_appended(legacy_cpr.good(*command), recorded("--list"))


@pytest.mark.parametrize("command", [["--overview"], ["overview"]])
def test_legacy_sessions_count_as_it_counts_them(legacy_cpr: Cpr, command: list[str]) -> None:
    assert_appended(legacy_cpr.good(*command), recorded("--overview"))


@pytest.mark.parametrize(
    "command", [["--status", FAILED], [f"--status={FAILED}"], ["status", FAILED[:4]]]
)
def test_the_status_of_a_legacy_session_is_as_it_shows_it(
    legacy_cpr: Cpr, command: list[str]
) -> None:
    expected = [
        re.sub(r"^(Started|Completed): \d+$", r"\1: Sun Nov 22 06:34:51 2026", line)
        for line in recorded(f"--status {FAILED}")
    ]
    ours = legacy_cpr.good(*command)
    assert_appended(ours, expected)
    assert "): completed (failed)\n" in ours


@pytest.mark.parametrize("command", [["--results", FAILED], ["results", FAILED[:8]]])
def test_the_results_of_a_legacy_session_are_as_it_shows_them(
    legacy_cpr: Cpr, command: list[str]
) -> None:
    ours = legacy_cpr.good(*command).rstrip("\n").split("\n")
    assert ours == recorded(f"--results {FAILED}")


def test_an_unknown_session_is_what_the_script_says_it_is(legacy_cpr: Cpr) -> None:
    done = legacy_cpr("--status", "nope")
    (words,) = recorded("--status nope")
    assert done.returncode == 2 and words in done.stderr


def test_a_legacy_session_can_be_read_but_not_worked_on(legacy_cpr: Cpr) -> None:
    done = legacy_cpr("retry", GOOD)
    assert (
        done.returncode == 2 and "claude-parallel-runner.pl kept only 50 characters" in done.stderr
    )
    assert "had already ended: completed" in legacy_cpr.good("cancel", GOOD)
    assert "3/3 succeeded" in legacy_cpr.good("watch", GOOD)
    row = json.loads(legacy_cpr.good("status", "--json", FAILED))
    assert (row["state"], row["n_succeeded"], row["n_failed"]) == ("completed", 2, 1)
    assert [task["outcome"] for task in row["tasks"]] == ["succeeded", "failed", "succeeded"]
    assert "\x1b[31mred" in row["tasks"][0]["result"]


def test_a_legacy_session_that_gave_no_sign_of_life_is_stale(legacy_cpr: Cpr) -> None:
    folder = legacy_cpr.cwd / "results" / f"session-{GOOD}"
    status = json.loads((folder / "status.json").read_text())
    status["overall_status"] = "running"
    (folder / "status.json").write_text(json.dumps(status))
    assert f"{GOOD[:8]} [running]" in legacy_cpr.good("--list")
    for path in (folder, *folder.iterdir()):
        os.utime(path, (1, 1))
    assert f"{GOOD[:8]} [stale]" in legacy_cpr.good("--list")
    assert "no sign of life" in legacy_cpr.good("--status", GOOD)


# --- Its examples -------------------------------------------------------------------------------


def launched(ours: str) -> str:
    """The id in what a launch prints, which begins as claude-parallel-runner.pl's does."""
    lines = ours.split("\n")
    match = re.fullmatch(f"🚀 Started session: ({UUID})", lines[0])
    assert match
    session = match[1]
    assert re.fullmatch(f"📂 Results directory: (/.*/)?results/session-{session}", lines[1])
    start = lines.index("Use these commands to monitor progress:")
    assert lines[start - 1] == ""
    assert lines[start + 1 : start + 3] == [
        f"  cpr --status {session}",
        f"  cpr --results {session}",
    ]
    return session


def test_a_session_flows_as_in_the_scripts_readme(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("second")
    elements = [
        plan(result={"result": "All done."}),
        {"id": "custom-uuid", "prompt": plan(here="second", gate="second")},
        "Add documentation",
    ]
    (stub_cpr.cwd / "tasks.json").write_text(prompts(*elements))
    session_id = launched(stub_cpr.good("--max-parallel=1", "tasks.json"))
    stub.await_here("second")
    session = cpr.Session(stub_cpr.cwd / "results" / f"session-{session_id}")
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second task")
    assert_matches(
        stub_cpr.good("--status", session_id[:9]),
        [
            f"Session: {session_id}",
            "Status: running",
            f"Started: {DATE}",
            "Tasks: 1/3",
            "",
            "Tasks:",
            rf"  ✅ Task 1 \(ID: {UUID}\): completed",
            r"  ⏳ Task 2 \(ID: custom-uuid\): running",
            rf"  ⏳ Task 3 \(ID: {UUID}\): pending",
        ],
    )
    assert_matches(
        stub_cpr.good("--results", session_id[:9]),
        [
            f"Session: {session_id}",
            "=" * 50,
            "",
            rf"Task 1 \(ID: {UUID}\):",
            "-" * 30,
            r"All done\.",
            "",
            r"Task 2 \(ID: custom-uuid\):",
            "-" * 30,
            r"\[Task still running\.\.\.\]",
        ],
    )
    entry = [rf"⏳ {session_id[:8]} \[running\]", f"   Started: {DATE}"]
    entry += [r"   Progress: 1/3 tasks \(1 successful\)( - .*)?"]
    assert_matches(stub_cpr.good("--list"), ["All Sessions:", "=" * 60, *entry])
    assert "  ⏳ Running: 1\n" in stub_cpr.good("--overview")
    stub.release("second")
    session.wait(LIMIT_S)
    assert_matches(
        stub_cpr.good("--status", session_id),
        [
            f"Session: {session_id}",
            "Status: completed",
            f"Started: {DATE}",
            "Tasks: 3/3",
            f"Completed: {DATE}",
            r"Duration: \d+s",
            "Success: 3/3",
            "",
            "Tasks:",
            *[rf"  ✅ Task {number} \(ID: .*\): completed" for number in (1, 2, 3)],
        ],
    )
    assert re.search(
        r"Progress: 3/3 tasks \(3 successful\) - Duration: \d+s", stub_cpr.good("--list")
    )


def test_prompts_come_through_a_pipe(stub_cpr: Cpr, stub: Stub) -> None:
    text = '{"prompts":["Create a web app","Write tests"]}'
    session = cpr.attach(launched(stub_cpr.good(stdin=text)), stub_cpr.cwd / "results")
    session.wait(LIMIT_S)
    assert sorted(call["stdin"] for call in stub.calls().values()) == [
        "Create a web app",
        "Write tests",
    ]
    dash = cpr.attach(launched(stub_cpr.good("-", stdin=text)), stub_cpr.cwd / "results")
    assert len(dash.wait(LIMIT_S)) == 2


@pytest.mark.parametrize(
    "args",
    [
        ["--sync", "FILE"],
        ["FILE", "--sync"],
        ["--verbose", "--sync", "FILE"],
        ["--max-parallel=3", "--verbose", "--sync", "FILE"],
        ["--max-parallel", "3", "FILE", "--sync"],
        ["run", "--wait", "FILE"],
        ["--dangerously-skip-permissions", "--sync", "FILE"],
    ],
)
def test_its_options_may_stand_in_any_order(stub_cpr: Cpr, stub: Stub, args: list[str]) -> None:
    (stub_cpr.cwd / "run.json").write_text(prompts("a"))  # not one of the words of the command
    output = stub_cpr.good(*["run.json" if arg == "FILE" else arg for arg in args])
    assert "🚀 Started session: " in output and "1/1 succeeded" in output
    assert ("Loaded 1 prompts" in output) == ("--verbose" in args)
    (call,) = stub.calls().values()
    mode = call["argv"][call["argv"].index("--permission-mode") + 1]
    skips = "--dangerously-skip-permissions" in args
    assert mode == ("bypassPermissions" if skips else "acceptEdits")


def test_sync_says_by_its_exit_code_that_a_task_failed(stub_cpr: Cpr) -> None:
    text = prompts("a", plan(result=None, exit=3, stderr="something broke"))
    done = stub_cpr("--sync", stdin=text)
    assert done.returncode == 1
    assert "1/2 succeeded" in done.stdout and "something broke" in done.stdout
    assert "cpr retry " in done.stdout


def test_several_sessions_live_side_by_side(stub_cpr: Cpr) -> None:
    ids = set()
    for name in ("frontend", "backend", "testing"):
        (stub_cpr.cwd / f"{name}-tasks.json").write_text(prompts(name))
        ids.add(launched(stub_cpr.good(f"{name}-tasks.json")))
    for session_id in ids:
        cpr.attach(session_id, stub_cpr.cwd / "results").wait(LIMIT_S)
    shown = stub_cpr.good("--list")
    assert all(f"✅ {session_id[:8]} [completed]" in shown for session_id in ids)
    assert "Total Sessions: 3\n" in stub_cpr.good("--overview")
    assert "Success Rate: 100.0%\n" in stub_cpr.good("--overview")


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"], ["--max-parallel=3", "--help"]])
def test_help_mentions_everything(stub_cpr: Cpr, args: list[str]) -> None:
    output = stub_cpr.good(*args)
    flags = ["--sync", "--status", "--results", "--list", "--overview", "--max-parallel"]
    for word in [*flags, "--verbose", "exit codes", "retry", "watch"]:
        assert word in output


@pytest.mark.parametrize("args", [["--version"], ["-v"]])
def test_the_version_is_reported(stub_cpr: Cpr, args: list[str]) -> None:
    assert stub_cpr.good(*args) == f"cpr {cpr.__version__}\n"


def test_where_there_is_nothing_that_is_said(stub_cpr: Cpr) -> None:
    assert stub_cpr.good("--list").startswith("No sessions found in ")
    assert "Total Sessions: 0\n" in stub_cpr.good("--overview")
    assert not any(stub_cpr.cwd.iterdir())


# --- Our sessions, as claude-parallel-runner.pl reads them ---------------------------------------

SESSION_TYPES = {
    "session_id": str,
    "overall_status": str,
    "start_time": int,
    "end_time": int,
    "total": int,
    "completed": int,
    "successful": int,
}
TASK_TYPES = {
    "task_num": int,
    "transaction_id": str,
    "prompt": str,
    "status": str,
    "success": int,
    "duration": int,
}


def assert_typed(fields: dict[str, Any], types: dict[str, type]) -> None:
    assert {name: type(fields.get(name)) for name in types} == types


def test_our_status_has_the_scripts_fields(stub_cpr: Cpr) -> None:
    long = "x" * 51
    text = prompts("y" * 50, {"id": "own", "prompt": long}, plan(result=None, exit=1))
    session = stub_cpr.launch(text).wait(LIMIT_S)
    status = json.loads((session.path / "status.json").read_text())
    assert_typed(status, SESSION_TYPES)
    legacy = json.loads((LEGACY / "legacy-results" / f"session-{GOOD}" / "status.json").read_text())
    assert set(legacy) == {*SESSION_TYPES, "tasks"} and set(legacy["tasks"][0]) == set(TASK_TYPES)
    assert (status["session_id"], status["overall_status"]) == (session.id, "completed")
    assert (status["total"], status["completed"], status["successful"]) == (3, 3, 2)
    assert status["start_time"] <= status["end_time"]
    for task in status["tasks"]:
        assert_typed(task, TASK_TYPES)
    assert [task["task_num"] for task in status["tasks"]] == [1, 2, 3]
    assert [task["status"] for task in status["tasks"]] == ["completed"] * 3
    assert [task["success"] for task in status["tasks"]] == [1, 1, 0]
    assert [task["prompt"] for task in status["tasks"]][:2] == ["y" * 50, "x" * 50 + "..."]
    assert (session.path / "task-own.txt").read_text() == "done\n"
