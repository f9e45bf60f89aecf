"""Options reach the CLI: the session's, and a task's own over them; limits are kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def value(argv: list[str], flag: str) -> str | None:
    return argv[argv.index(flag) + 1] if flag in argv else None


def run(stub_cpr: Cpr, text: str, *options: str) -> cpr.Session:
    return stub_cpr.launch(text, *options).wait(LIMIT_S)


CASES: dict[str, tuple[list[str], list[str]]] = {
    "model": (["--model", "opus"], ["--model", "opus"]),
    "effort": (["--effort", "high"], ["--effort", "high"]),
    "allow": (
        ["--allow", "Bash(git commit:*)", "--allow", "Edit"],
        ["--allowedTools=Bash(git commit:*)", "--allowedTools=Edit"],
    ),
    "deny": (["--deny", "WebFetch"], ["--disallowedTools=WebFetch"]),
    "turns": (["--max-turns", "3"], ["--max-turns", "3"]),
    "task budget": (["--task-budget-usd", "0.5"], ["--max-budget-usd", "0.5"]),
    "schema": (["--schema", json.dumps(SCHEMA)], ["--json-schema", json.dumps(SCHEMA)]),
    "read": (
        ["--permissions", "read"],
        [
            "--permission-mode",
            "dontAsk",
            "--tools=Read,Grep,Glob,ToolSearch",
            "--allowedTools=Read",
        ],
    ),
    "tools": (["--tools", "Read,Bash", "--tools=Task"], ["--tools=Read,Bash,Task"]),
    "no tools": (["--tools", ""], ["--tools="]),
    "edits": ([], ["--permission-mode", "acceptEdits"]),
    "all": (["--permissions", "all"], ["--permission-mode", "bypassPermissions"]),
    "as it is": (
        ["--claude-args=--append-system-prompt", "--claude-args", "Be brief."],
        ["--append-system-prompt", "Be brief."],
    ),
}


@pytest.mark.parametrize(("options", "expected"), CASES.values(), ids=CASES)
def test_an_option_reaches_the_cli(
    stub_cpr: Cpr, stub: Stub, options: list[str], expected: list[str]
) -> None:
    run(stub_cpr, prompts("a"), *options)
    (call,) = stub.calls().values()
    argv = call["argv"]
    start = argv.index(expected[0])
    assert argv[start : start + len(expected)] == expected


def test_every_call_has_what_the_runner_needs(stub_cpr: Cpr, stub: Stub) -> None:
    session = run(stub_cpr, prompts({"id": "a", "prompt": "-x a prompt"}))
    argv = stub.calls()["a"]["argv"]
    assert argv[:4] == ["-p", "--output-format", "stream-json", "--verbose"]
    assert value(argv, "--session-id") == session[0].conversation_id
    assert not any("a prompt" in arg for arg in argv)


def test_a_schema_may_be_a_file(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "schema.json").write_text(json.dumps(SCHEMA, indent=2))
    answer = plan(result={"structured_output": {"n": 3}})
    session = run(stub_cpr, prompts(answer), "--schema", "schema.json")
    assert session[0].result() == {"n": 3}
    (call,) = stub.calls().values()
    assert json.loads(value(call["argv"], "--json-schema") or "") == SCHEMA


def test_a_misspelled_tool_is_a_warning(stub_cpr: Cpr) -> None:
    own = {"prompt": "a", "tools": ["Read", "Raed"]}
    done = stub_cpr("run", "--dry-run", "--tools", "Read,Agent", stdin=prompts("b", own))
    assert done.returncode == 0
    assert "no CLI that this cpr knows has the tool Raed" in done.stderr
    assert done.stderr.count("has the tool") == 1


def test_a_task_may_have_options_of_its_own(stub_cpr: Cpr, stub: Stub) -> None:
    (stub_cpr.cwd / "sub").mkdir()
    own: dict[str, Any] = {"model": "haiku", "max_turns": 9, "permissions": "read", "cwd": "sub"}
    own |= {"allow": ["WebFetch"], "schema": SCHEMA, "task_budget_usd": 2}
    text = prompts(
        {"id": "own", "prompt": plan(result={"structured_output": {"n": 1}}), **own},
        {"id": "usual", "prompt": "b"},
    )
    run(stub_cpr, text, "--model", "opus", "--max-turns", "5", "--allow", "Edit")
    calls = stub.calls()
    flags = ("--model", "--max-turns", "--permission-mode", "--max-budget-usd")
    own_values = [value(calls["own"]["argv"], flag) for flag in flags]
    assert own_values == ["haiku", "9", "dontAsk", "2.0"]
    usual_values = [value(calls["usual"]["argv"], flag) for flag in flags]
    assert usual_values == ["opus", "5", "acceptEdits", None]
    assert "--allowedTools=WebFetch" in calls["own"]["argv"]
    assert "--allowedTools=Edit" not in calls["own"]["argv"]
    assert "--json-schema" not in calls["usual"]["argv"]
    assert calls["own"]["cwd"] == str(stub_cpr.cwd / "sub")
    assert calls["usual"]["cwd"] == str(stub_cpr.cwd)


def test_a_table_has_options_in_its_columns(stub_cpr: Cpr, stub: Stub) -> None:
    table = 'id,prompt,model,max_turns,tools\na,one,opus,4,"Read,Bash"\nb,two,,,[]\n'
    (stub_cpr.cwd / "p.csv").write_text(table)
    stub_cpr.good("--sync", "p.csv")
    calls = stub.calls()
    assert "--tools=Read,Bash" in calls["a"]["argv"] and "--tools=" in calls["b"]["argv"]
    assert [value(calls[name]["argv"], "--model") for name in "ab"] == ["opus", None]
    assert [value(calls[name]["argv"], "--max-turns") for name in "ab"] == ["4", None]


# --- Limits -------------------------------------------------------------------------------------


def test_a_task_that_takes_too_long_is_ended(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    slow = {"id": "slow", "prompt": plan(gate="held"), "timeout_s": 0.3}
    session = run(stub_cpr, prompts(slow, {"id": "quick", "prompt": "b"}), "--timeout-s", "60")
    assert [(task.outcome, task.reason) for task in session] == [
        ("timed_out", "timeout"),
        ("succeeded", "completed"),
    ]
    with pytest.raises(cpr.TaskTimedOut, match="timed_out: timeout") as caught:
        session[0].result()
    assert (caught.value.task_id, caught.value.reason) == ("slow", "timeout")


@pytest.mark.slow
def test_a_silent_task_is_ended_but_not_one_whose_tool_runs(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("silent", "busy")
    busy = plan(tool=["Bash", {"command": "make"}], here="busy", gate="busy")
    text = prompts(
        {"id": "busy", "prompt": busy},
        {"id": "silent", "prompt": plan(say="hm", gate="silent")},
    )
    session = stub_cpr.launch(text, "--silence-s", "2", "-j2")
    stub.await_here("busy")
    # The other one began later and is ended for its silence; this one has been as silent.
    error = session[1].exception(LIMIT_S)
    assert isinstance(error, cpr.TaskTimedOut) and error.reason == "silence"
    assert session[0].running()
    stub.release("busy")
    assert session.wait(LIMIT_S)[0].ok


def test_once_the_budget_is_spent_nothing_more_starts(stub_cpr: Cpr, stub: Stub) -> None:
    session = run(stub_cpr, prompts(*"abcde"), "-j1", "--budget-usd", "0.5")
    ends = [(task.outcome, task.reason) for task in session]
    assert ends == [("succeeded", "completed")] * 2 + [("skipped", "budget")] * 3
    assert len(stub.calls()) == 2 and session.state == "completed"
    assert "budget of USD 0.5 is spent" in session[4].error
    assert stub_cpr("watch", "--exit-code", session.id).returncode == 1
    with pytest.raises(cpr.TaskSkipped):
        session[2].result()


ENDS: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "stderr": ({"result": None, "exit": 1, "stderr": "bad flag"}, ("failed", "usage_error")),
    "exit code only": ({"result": None, "exit": 1}, ("failed", "unknown")),
    "no result line": ({"result": None}, ("failed", "unknown")),
    "SIGKILL": ({"result": None, "signal": 9}, ("failed", "signal")),
    "exit 143": ({"result": None, "exit": 143}, ("failed", "signal")),
    "an error": ({"result": {"is_error": True, "api_error_status": 400}}, ("failed", "api_error")),
    "turns": (
        {"result": {"is_error": True, "subtype": "error_max_turns"}},
        ("failed", "max_turns"),
    ),
    "good words, bad exit": ({"exit": 1}, ("failed", "unknown")),
    "garbage": ({"raw": "{]\x00 not JSON"}, ("succeeded", "completed")),
    "a huge line": ({"result": {"result": "x" * 3_000_000}}, ("succeeded", "completed")),
}


def test_a_task_ends_as_its_process_tells(stub_cpr: Cpr) -> None:
    text = prompts(
        *[{"id": f"t{n}", "prompt": plan(**ENDS[name][0])} for n, name in enumerate(ENDS)]
    )
    session = run(stub_cpr, text)
    ends = {name: (task.outcome, task.reason) for name, task in zip(ENDS, session, strict=True)}
    assert ends == {name: end for name, (_, end) in ENDS.items()}
    assert session[-1].text == "x" * 3_000_000


def test_the_cli_may_be_named_by_a_relative_path(stub_cpr: Cpr, stub: Stub) -> None:
    folder = stub.folder
    stub_cpr.good("--sync", "--claude-path", "./claude", stdin=prompts("a"), cwd=folder)
    assert len(stub.calls()) == 1


def test_a_cli_that_cannot_be_started_is_refused(stub_cpr: Cpr, stub: Stub) -> None:
    stub.path.write_text("#!/no/such/interpreter\n")
    done = stub_cpr("run", stdin=prompts("a", "b"))
    assert done.returncode == 2
    assert done.stderr == f"cpr: {stub.path} can't be started: No such file or directory\n"
    assert not list((stub_cpr.cwd / "results").glob("session-*"))


def test_a_folder_that_vanishes_holds_up_its_task_only(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    gone = stub_cpr.cwd / "gone"
    gone.mkdir()
    text = prompts(plan(here="held", gate="held"), {"prompt": "b", "cwd": "gone"}, "c")
    session = stub_cpr.launch(text, "-j1", "--machine-wait-s", "1")
    stub.await_here("held")
    gone.rmdir()
    stub.release("held")
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["succeeded", "skipped", "succeeded"]
    assert session[1].reason == "machine" and "gone" in session[1].error
