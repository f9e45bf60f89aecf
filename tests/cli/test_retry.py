"""Retry: what did not succeed, as a new session that points to the old one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

BAD = plan(result=None, exit=3, stderr="something broke")


def retried(output: str) -> cpr.Session:
    return cpr.Session(json.loads(output)["path"]).wait(LIMIT_S)


@pytest.fixture
def failed(stub_cpr: Cpr) -> cpr.Session:
    text = prompts(
        {"id": "good", "prompt": "a", "model": "opus"},
        {"id": "bad", "prompt": BAD, "model": "haiku", "max_turns": 7},
        {"id": "other", "prompt": BAD + "\n"},
    )
    return stub_cpr.launch(text, "--model", "sonnet", "--allow", "Edit", "--name", "n")


def test_only_what_failed_runs_again(stub_cpr: Cpr, stub: Stub, failed: cpr.Session) -> None:
    failed.wait(LIMIT_S)
    old = (failed.path / "status.json").read_bytes()
    new = retried(stub_cpr.good("retry", "--json", failed.id[:8]))
    assert new.id != failed.id and new.path.parent == failed.path.parent
    assert [task.id for task in new] == ["bad", "other"]
    assert [task.prompt for task in new] == [BAD, BAD + "\n"]
    assert new.head["parent_session_id"] == failed.id
    assert (failed.path / "status.json").read_bytes() == old
    argv = stub.calls()["bad"]["argv"]
    assert argv[argv.index("--model") + 1] == "haiku" and argv[-1] == "7"
    assert "--allowedTools=Edit" in argv
    assert stub.calls()["other"]["argv"][argv.index("--model") + 1] == "sonnet"


def test_all_tasks_run_again_if_asked(stub_cpr: Cpr, failed: cpr.Session) -> None:
    failed.wait(LIMIT_S)
    new = retried(stub_cpr.good("retry", "--json", "--all-tasks", failed.id))
    assert [task.outcome for task in new] == ["succeeded", "failed", "failed"]
    again = retried(stub_cpr.good("retry", "--json", new.id))
    assert [task.id for task in again] == ["bad", "other"]
    assert again.head["parent_session_id"] == new.id


def test_a_retry_may_change_the_options(stub_cpr: Cpr, stub: Stub, failed: cpr.Session) -> None:
    failed.wait(LIMIT_S)
    retried(stub_cpr.good("retry", "--json", "--model", "fable", failed.id))
    for name in ("bad", "other"):
        call = [stub.calls()[name]["argv"]]
        assert call[0][call[0].index("--model") + 1] == "fable"


def test_a_retry_works_in_the_folder_of_the_first_run(
    stub_cpr: Cpr, stub: Stub, failed: cpr.Session, tmp_path: Path
) -> None:
    failed.wait(LIMIT_S)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    new = retried(
        stub_cpr.good(
            "retry", "--json", failed.id, "--results-dir", str(failed.path.parent), cwd=elsewhere
        )
    )
    assert new.path.parent == failed.path.parent
    assert stub.calls()["bad"]["cwd"] == str(stub_cpr.cwd)


def test_a_retry_may_be_waited_for(stub_cpr: Cpr, failed: cpr.Session) -> None:
    failed.wait(LIMIT_S)
    done = stub_cpr("retry", failed.id, "--wait")
    assert done.returncode == 1 and "0/2 succeeded" in done.stdout


def test_there_may_be_nothing_to_retry(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    done = stub_cpr("retry", session.id)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"nothing to retry in {session.id}" in done.stderr


def test_a_missing_value_of_the_environment_is_named(stub_cpr: Cpr, stub: Stub) -> None:
    own = {"id": "own", "prompt": BAD, "env": {"TASK_KEY": "t"}}
    text = prompts(own, {"id": "two", "prompt": BAD})
    session = stub_cpr.launch(text, "--env", "KEY=secret").wait(LIMIT_S)
    n_sessions = len(list(session.path.parent.iterdir()))
    for options, missing in [((), "KEY"), (("--env", "KEY=new"), "TASK_KEY")]:
        done = stub_cpr("retry", session.id, *options)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert f"the session set {missing}, and its value is not stored" in done.stderr
    assert len(list(session.path.parent.iterdir())) == n_sessions
    output = stub_cpr.good(
        "retry",
        "--json",
        session.id,
        "--env",
        "KEY",
        "--env",
        "TASK_KEY=T",
        env={"KEY": "from here"},
    )
    retried(output)
    seen = stub.calls()
    assert seen["own"]["env"]["TASK_KEY"] == "T"
    assert seen["two"]["env"]["KEY"] == "from here"


@pytest.mark.parametrize("name", ["", "session.json"])
def test_what_others_may_have_written_is_not_executed(stub_cpr: Cpr, name: str) -> None:
    session = stub_cpr.launch(prompts(plan(result=None, exit=1))).wait(LIMIT_S)
    (session.path / name).chmod(0o777)
    done = stub_cpr("retry", session.id)
    assert done.returncode == 2 and "writable by others" in done.stderr
    assert done.stderr.count("\n") == 1
