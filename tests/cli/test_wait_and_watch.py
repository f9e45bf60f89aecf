"""Waiting for a session and watching it: on a terminal, into a pipe, with Ctrl-C."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr

BAD = plan(result=None, exit=3, stderr="something broke")


def the_session(work: Path) -> cpr.Session:
    (folder,) = (work / "results").glob("session-*")
    return cpr.Session(folder)


@pytest.mark.parametrize("flag", ["--sync", "--wait"])
@pytest.mark.parametrize(("element", "code"), [("a", 0), (BAD, 1)])
def test_the_exit_code_of_waiting_says_how_it_went(
    stub_cpr: Cpr, flag: str, element: str, code: int
) -> None:
    done = stub_cpr("run", flag, stdin=prompts("b", element))
    assert (done.returncode, done.stderr) == (code, "")
    assert f"{2 - code}/2 succeeded" in done.stdout


def test_waiting_into_a_pipe_prints_one_line_per_task(stub_cpr: Cpr) -> None:
    text = prompts(
        {"id": "good", "prompt": "a"}, {"id": "bad", "prompt": BAD}, {"id": "last", "prompt": "c"}
    )
    output = stub_cpr("--sync", "-j1", stdin=text).stdout
    lines = [line for line in output.split("\n") if line.startswith("[")]
    assert [line.split(",")[0] for line in lines] == [
        "[1/3] ✅ Task 1 (ID: good): succeeded",
        "[2/3] ❌ Task 2 (ID: bad): failed: usage_error",
        "[3/3] ✅ Task 3 (ID: last): succeeded",
    ]
    assert "❌ completed: 2/3 succeeded · " in output and "USD 0.50 estimate" in output
    assert "  ❌ Task 2 (ID: bad): failed: usage_error: something broke\n" in output
    assert "\x1b" not in output


def test_waiting_for_json_prints_one_object(stub_cpr: Cpr) -> None:
    done = stub_cpr("run", "--json", "--wait", stdin=prompts(BAD))
    launch = json.loads(done.stdout)
    assert (done.returncode, done.stderr, launch["state"]) == (1, "", "completed")
    assert set(launch) >= {"session_id", "path", "n_tasks", "max_parallel", "state"}


def test_ctrl_c_ends_the_wait_and_not_the_work(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    (stub_cpr.cwd / "p.json").write_text(prompts(plan(here="task", gate="task")))
    with stub_cpr.on_terminal("--sync", "p.json") as terminal:
        stub.await_here("task")
        terminal.read_until("1 running")
        terminal.press_ctrl_c()
        assert terminal.finish() == 130
        session = the_session(stub_cpr.cwd)
        assert (
            f"cpr: the session keeps running. To watch it: cpr watch {session.id[:8]}"
            in terminal.text
        )
        assert "Traceback" not in terminal.text
    assert session.state == "running"
    stub.release("task")
    assert session.wait(LIMIT_S)[0].ok


def test_ctrl_c_in_a_watch_leaves_the_work_too(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("task")
    session = stub_cpr.launch(prompts(plan(here="task", gate="task")))
    stub.await_here("task")
    with stub_cpr.on_terminal("watch") as terminal:
        terminal.read_until("1 running")
        terminal.press_ctrl_c()
        assert terminal.finish() == 130
    assert session.state == "running"
    stub.release("task")
    assert session.wait(LIMIT_S).state == "completed"


@pytest.mark.parametrize(("columns", "rows"), [(100, 24), (60, 14)])
def test_watch_on_a_terminal_shows_the_session_live(
    stub_cpr: Cpr, stub: Stub, columns: int, rows: int
) -> None:
    stub.fifos("held")
    held = plan(here="held", tool=["Edit", {"file_path": "/x/utils.py"}], gate="held")
    session = stub_cpr.launch(
        prompts("say hello", BAD, f"Hold on {held}", "last"), "-j1", "--name", "my-work"
    )
    stub.await_here("held")
    with stub_cpr.on_terminal("watch", "my-work", columns=columns, rows=rows) as terminal:
        terminal.read_until("1 running")
        terminal.read_until("Edit")
        stub.release("held")
        assert terminal.finish() == 0
        text, frame = terminal.text, terminal.output.decode()
    assert f"◐ running  my-work  {session.id[:8]}" in text
    assert "✓ 1 succeeded" in text and "✕ 1 failed" in text and "○ 1 pending" in text
    assert "1 of 1 at once" in text
    last = text[text.rindex("● completed") :]
    assert "✓ 3 succeeded" in last and "✕ 1 failed" in last and "0 running" in last
    assert "USD 0.75 estimate" in last and "usage_error" in last
    assert re.search(r"❌ completed: 3/4 succeeded", last)
    assert "\x1b[?25h" in frame, "the cursor must be back"
    shown = [line for line in text.split("\n") if "━" in line]
    assert max(len(line.rstrip("\r")) for line in shown) <= columns


def test_watch_into_a_pipe_prints_one_line_per_task(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(prompts("a", plan(here="held", gate="held")), "-j1")
    stub.await_here("held")
    watching = stub_cpr.start("watch", session.id[:6], stdout=subprocess.PIPE)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith(b"[1/2] ")
    stub.release("held")
    assert watching.stdout.readline().startswith(b"[2/2] ")
    assert b"2/2 succeeded" in watching.stdout.read()
    watching.stdout.close()
    assert watching.wait(LIMIT_S) == 0


@pytest.mark.parametrize(("element", "code"), [("a", 0), (BAD, 1)])
def test_watch_has_an_exit_code_if_asked(stub_cpr: Cpr, element: str, code: int) -> None:
    session = stub_cpr.launch(prompts(element)).wait(LIMIT_S)
    assert stub_cpr("watch", session.id).returncode == 0
    assert stub_cpr("watch", "--exit-code", session.id).returncode == code


def test_watch_without_a_name_takes_the_session_that_lives(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    old = stub_cpr.launch(prompts("a", plan(here="held", gate="held")), "-j1")
    stub.await_here("held")
    stub_cpr.launch(prompts("newer")).wait(LIMIT_S)
    watching = stub_cpr.start("watch", stdout=subprocess.PIPE)
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith(b"[1/2] ")
    stub.release("held")
    out, _ = watching.communicate(timeout=LIMIT_S)
    assert f"cpr results {old.id[:8]}" in out.decode()


def test_colours_can_be_refused(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    outputs = []
    for env in ({}, {"NO_COLOR": "1"}):
        stub_cpr.env.update(env)
        with stub_cpr.on_terminal("watch", session.id) as terminal:
            assert terminal.finish() == 0
            outputs.append(terminal.output.decode())
    coloured = [bool(re.search(r"\x1b\[[0-9;]*3[0-9]", output)) for output in outputs]
    assert coloured == [True, False]


def test_cpr_alone_on_a_terminal_prints_a_short_help(stub_cpr: Cpr, stub: Stub) -> None:
    with stub_cpr.on_terminal() as terminal:
        assert terminal.finish() == 0
        assert "cpr demo" in terminal.text and "JSON" not in terminal.text
        assert len(terminal.text.split("\n")) < 15
    assert stub.calls() == {} and not any(stub_cpr.cwd.iterdir())


def test_a_run_without_prompts_on_a_terminal_says_what_to_do(stub_cpr: Cpr) -> None:
    with stub_cpr.on_terminal("--sync") as terminal:
        assert terminal.finish() == 2
        assert "cpr: no prompts: name a file, or pipe JSON in" in terminal.text


def test_a_terminal_gets_no_escape_sequences_of_an_agent(stub_cpr: Cpr) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m plain"
    session = stub_cpr.launch(prompts(plan(result={"result": hostile}))).wait(LIMIT_S)
    with stub_cpr.on_terminal("results", session.id) as terminal:
        assert terminal.finish() == 0
        assert b"\x1b" not in terminal.output and b"\x07" not in terminal.output
        assert "\\x1b[31mred\\x1b[0m plain" in terminal.text
    assert hostile in stub_cpr.good("results", session.id), "a pipe gets it as it is"
