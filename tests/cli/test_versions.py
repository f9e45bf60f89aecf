"""A CLI that can't do what a launch asks: refused before anything is spent."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.launching.cli_cache import SMALLEST_PROGRAM_BYTES
from cpr_nb.model.cli_versions import NEWEST_TESTED, OLDEST_SUPPORTED, show

SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}}'
NEWEST = f"{show(NEWEST_TESTED)} (Claude Code)"


@pytest.fixture
def program(stub: Stub) -> Stub:
    """The stub, as large as a program that is not just a script in front of another."""
    with stub.path.open("a") as file:
        file.write("#" * SMALLEST_PROGRAM_BYTES)
    return stub


@pytest.mark.parametrize(
    ("version", "options", "words"),
    [
        ("2.0.0", ["--schema", SCHEMA], "schema needs Claude Code 2.0.45 or newer"),
        ("2.0.0", ["--permissions", "sandbox"], "permissions=sandbox needs Claude Code 2.1.81"),
        ("2.1.32", ["--effort", "low"], "effort needs Claude Code 2.1.71 or newer"),
        ("2.1.71", ["--effort", "xhigh"], "effort=xhigh needs Claude Code 2.1.126 or newer"),
        ("2.1.126", ["--schema", SCHEMA], "schema needs task_budget_usd with Claude Code 2.1.126"),
        ("1.0.60", [], f"cpr_nb needs Claude Code {show(OLDEST_SUPPORTED)} or newer"),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_what_the_version_can_not_do_is_refused(
    stub_cpr: Cpr, stub: Stub, version: str, options: list[str], words: str, dry: bool
) -> None:
    stub.set_version(f"{version} (Claude Code)")
    dry_run = ["--dry-run"] if dry else []
    done = stub_cpr("run", *options, *dry_run, stdin=prompts(plan()))
    assert done.returncode == 2
    assert words in done.stderr and str(stub) in done.stderr and version in done.stderr
    assert not stub.calls()
    assert not any(stub_cpr.cwd.iterdir())


def test_a_budget_allows_the_schema(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version("2.1.126 (Claude Code)")
    options = ["--schema", SCHEMA, "--task-budget-usd", "1", "--dry-run"]
    assert "2.1.126" in stub_cpr.good("run", *options, stdin=prompts(plan()))


def test_one_task_may_be_the_reason(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version("2.1.32 (Claude Code)")
    done = stub_cpr("run", stdin=prompts(plan(), {"prompt": "x", "effort": "low"}))
    assert done.stderr.startswith("cpr: stdin: prompts[1]: effort needs Claude Code 2.1.71")


def test_retries_and_follow_ups_are_checked_too(
    stub_cpr: Cpr, stub: Stub, in_env: Callable[[dict[str, str]], None]
) -> None:
    stub.set_version(NEWEST)
    session = stub_cpr.launch(prompts(plan(exit=1, result=None)), "--effort", "low")
    session.wait()
    stub.set_version("2.1.32 (Claude Code)")
    done = stub_cpr("retry", session.id)
    assert done.returncode == 2
    assert "effort needs Claude Code 2.1.71 or newer" in done.stderr
    stub.set_version("2.0.45 (Claude Code)")
    in_env(stub_cpr.env)
    with pytest.raises(cpr.InputError, match=r"a follow-up needs Claude Code 2\.1\.29"):
        session.task(1).follow_up("And now?")


def test_an_old_cli_continues_a_conversation_only_where_it_began(
    stub_cpr: Cpr,
    stub: Stub,
    in_env: Callable[[dict[str, str]], None],
    transcript: Callable[[str], Path],
) -> None:
    stub.set_version("2.1.126 (Claude Code)")
    session = stub_cpr.launch(prompts(plan()))
    task = session.wait()[0]
    path = transcript(str(task.conversation_id))  # of another folder
    in_env(stub_cpr.env)
    with pytest.raises(cpr.SessionNotUsable, match=r"needs Claude Code 2\.1\.227 or newer"):
        task.follow_up("And now?")
    here = path.parent.with_name("".join(c if c.isalnum() else "-" for c in str(stub_cpr.cwd)))
    path.parent.rename(here)
    task.follow_up("And now?").wait()


def test_the_session_keeps_the_version(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version(NEWEST)
    session = stub_cpr.launch(prompts(plan()))
    session.wait()
    spec = json.loads((session.path / "session.json").read_text())
    assert spec["claude_version"] == show(NEWEST_TESTED)


def test_a_version_that_is_not_known_is_a_warning_where_it_matters(
    stub_cpr: Cpr, stub: Stub, in_env: Callable[[dict[str, str]], None]
) -> None:
    assert stub_cpr("run", "--dry-run", stdin=prompts(plan())).stderr == ""
    done = stub_cpr("run", "--dry-run", "--effort", "low", stdin=prompts(plan()))
    assert done.returncode == 0
    assert done.stderr.startswith(f"cpr: warning: {stub} --version does not name a version")
    in_env(stub_cpr.env)
    with pytest.warns(UserWarning, match="does not name a version") as caught:
        cpr.launch([plan()], effort="low", dry_run=True)
        cpr.launch([plan()], effort="low").wait()
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name] * 2


def test_a_program_is_asked_once_until_it_changes(stub_cpr: Cpr, program: Stub) -> None:
    program.set_version(NEWEST)
    for _ in range(3):
        stub_cpr.good("run", "--dry-run", stdin=prompts(plan()))
    assert program.n_asked == 1
    program.set_version("2.0.0 (Claude Code)")
    os.utime(program.path, ns=(1, 1))
    assert stub_cpr("run", "--dry-run", stdin=prompts(plan())).returncode == 2
    assert program.n_asked == 2


def test_a_script_in_front_of_the_cli_is_asked_each_time(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version(NEWEST)
    stub_cpr.good("run", "--dry-run", stdin=prompts(plan()))
    stub.set_version("2.0.0 (Claude Code)")
    assert stub_cpr("run", "--dry-run", stdin=prompts(plan())).returncode == 2


@pytest.mark.parametrize("wrong", ["{", "[]", '{"facts": {"version": "2.0.0"}}', "no folder"])
def test_what_is_remembered_may_be_lost_or_damaged(
    stub_cpr: Cpr, program: Stub, wrong: str
) -> None:
    program.set_version(NEWEST)
    cache = Path(stub_cpr.env["HOME"]) / "cache"
    stub_cpr.env["XDG_CACHE_HOME"] = str(cache)
    if wrong == "no folder":
        cache.write_text("a file")
    else:
        stub_cpr.good("run", "--dry-run", stdin=prompts(plan()))
        (file,) = (cache / "cpr_nb").iterdir()
        file.write_text(wrong)
    assert show(NEWEST_TESTED) in stub_cpr.good("run", "--dry-run", stdin=prompts(plan()))


def test_the_doctor_says_what_a_version_lacks(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version("2.1.32 (Claude Code)")
    output = stub_cpr.good("doctor")
    assert f"2.1.32 (Claude Code), {stub}; lacks " in output
    assert "effort (since 2.1.71)" in output
    stub.set_version("2.0.45 (Claude Code)")
    done = stub_cpr("doctor")
    assert done.returncode == 1
    assert f"cpr_nb needs {show(OLDEST_SUPPORTED)} or newer" in done.stdout


def test_nothing_is_said_about_a_good_version(
    stub_cpr: Cpr, stub: Stub, in_env: Callable[[dict[str, str]], None]
) -> None:
    stub.set_version(NEWEST)
    in_env(stub_cpr.env)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cpr.launch([plan()], effort="low", schema=json.loads(SCHEMA), dry_run=True)


def test_a_sandbox_that_takes_a_folder_for_a_pattern_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    stub.set_version("2.1.126 (Claude Code)")
    sandbox = ("run", "--dry-run", "--permissions", "sandbox", "--results-dir")
    assert stub_cpr(*sandbox, "results", stdin=prompts("a")).returncode == 0
    done = stub_cpr(*sandbox, "results [old]", stdin=prompts("a"))
    assert done.returncode == 2
    assert "the sandbox of Claude Code 2.1.126 can't protect " in done.stderr
    stub.set_version("2.1.332 (Claude Code)")
    assert stub_cpr(*sandbox, "results [old]", stdin=prompts("a")).returncode == 0
