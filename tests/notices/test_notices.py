"""Notices of sessions: sent at least once, with one key, and no secret where others see it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import Cpr, prompts
from testkit.noticed import (
    FAILS,
    LIMITED,
    SECRET,
    await_event,
    await_senders,
    ended,
    events,
    launch,
    log,
    senders,
    state_dir,
    url_of,
)
from testkit.stub import Stub, plan
from testkit.webhooks import LIMIT_S, Webhook

import cpr_nb as cpr
from cpr_nb.model.errors import InputError
from cpr_nb.notices import notice_program

PROGRAM = notice_program.__file__


# -- a command ------------------------------------------------------------------------------------


def test_a_command_is_given_the_session(tmp_path: Path, stub_cpr: Cpr) -> None:
    out = tmp_path / "out"
    command = f"cat > {out}.json; env > {out}.env; pwd > {out}.cwd"
    session = ended(
        stub_cpr.launch(
            prompts(plan(), FAILS), "--attempts=1", "--name=night", "--on-done", command
        )
    )
    got = json.loads(Path(f"{out}.json").read_text())
    assert (got["event"], got["key"]) == ("done", f"{session.id}-done")
    row = cpr.sessions_df(full=True).iloc[0]
    for name in ("session_id", "name", "state", "n_succeeded", "n_failed", "cost_usd", "path"):
        assert got["session"][name] == row[name], name
    assert "1 of 2 tasks succeeded, 1 failed" in got["text"]
    environment = Path(f"{out}.env").read_text().splitlines()
    assert f"CPR_SESSION_ID={session.id}" in environment
    assert f"CPR_SESSION_PATH={session.path}" in environment
    assert "CPR_EVENT=done" in environment
    assert f"CPR_NOTICE_KEY={got['key']}" in environment
    # Not in the folder of the agents, who could have changed the program.
    assert Path(Path(f"{out}.cwd").read_text().strip()) == Path(os.environ["HOME"])
    assert events(session, "on_done") == ["sending", "sent"]


@pytest.mark.parametrize(
    ("text", "is_failure"), [(plan(), False), (FAILS, True)], ids=["good", "failed"]
)
def test_a_list_is_a_command_and_a_failure_has_a_notice_of_its_own(
    tmp_path: Path, text: str, is_failure: bool
) -> None:
    out = tmp_path / "out"
    session = ended(launch(text, on_failed=["sh", "-c", f'echo "$0" > {out}', "a b; c"]))
    assert out.exists() == is_failure
    if is_failure:
        assert out.read_text() == "a b; c\n"
    else:
        assert events(session, "on_failed") == ["not_needed"]


def test_the_command_that_waits_ends_after_the_notice(tmp_path: Path, stub_cpr: Cpr) -> None:
    out = tmp_path / "out"
    stub_cpr("run", "--wait", "--on-done", f"sleep 0.5; touch {out}", stdin=prompts(plan()))
    assert out.exists(), "a container would have ended with the command"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no-such-program-here", "its command ended with exit code 127"),
        (["/no/such/program"], "its program can't be started: No such file or directory"),
    ],
    ids=["shell", "list"],
)
def test_what_can_not_be_sent_is_a_warning_of_the_session(
    stub_cpr: Cpr, command: Any, why: str
) -> None:
    session = ended(launch(on_done=command))
    assert events(session, "on_done") == ["sending", "gave_up"]
    assert session.warnings == [f"the notice on_done was not sent: {why}"]
    assert cpr.sessions_df(full=True)["warnings"].tolist() == session.warnings
    assert f"Warning: {session.warnings[0]}" in stub_cpr.good("status", session.id)


def test_the_command_that_waits_says_what_was_not_sent(stub_cpr: Cpr) -> None:
    command = "sleep 0.5; no-such-program-here"  # so the summary is there before
    said = stub_cpr("run", "--wait", "--on-done", command, stdin=prompts(plan())).stdout
    assert said.count("the notice on_done was not sent: its command ended with exit code 127") == 1


# -- a webhook ------------------------------------------------------------------------------------


def test_a_webhook_that_fails_twice_accepts_the_third_try_and_no_one_sees_its_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stub: Stub, stub_cpr: Cpr
) -> None:
    with Webhook([503, 429, 204]) as hook:
        monkeypatch.setenv("TEAM_HOOK", url_of(hook))
        stub_cpr.env["TEAM_HOOK"] = url_of(hook)
        session = stub_cpr.launch(prompts(plan()), "--on-done", "env:TEAM_HOOK", "--name", "night")
        requests = hook.await_requests(3)
        await_event(session, "on_done", "sent")
        ended(session)
    assert [line.get("error") for line in log(session, "on_done") if "error" in line] == [
        "its webhook answered HTTP 503",
        "its webhook answered HTTP 429",
    ]
    assert {request.json["key"] for request in requests} == {f"{session.id}-done"}
    assert {request.headers["Idempotency-Key"] for request in requests} == {f"{session.id}-done"}
    assert requests[0].json["session"]["name"] == "night"
    assert "path" not in requests[0].json["session"], "only a program here needs it"
    assert any("notice_program.py" in command for command in requests[0].commands)
    seen = [command for request in requests for command in request.commands if SECRET in command]
    assert seen == [], "an argument is seen by everybody"
    files = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_symlink()]
    holding = [file for file in files if SECRET.encode() in file.read_bytes()]
    (kept,) = holding
    assert kept.parent == state_dir() / "notices"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    (call,) = stub.calls().values()
    assert "TEAM_HOOK" not in call["env"], "an agent has no use for it"
    shown = stub_cpr.good("status", session.id) + cpr.sessions_df(full=True).to_csv()
    assert SECRET not in shown + cpr.tasks_df(full=True).to_csv()


def test_the_user_and_the_password_of_a_url_are_sent_as_such(
    hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"http://ada:p%40ss@{hook.address}/{SECRET}")
    ended(cpr.launch([plan()], on_done="env:HOOK"))
    (request,) = hook.await_requests(1)
    assert request.headers["Authorization"] == "Basic YWRhOnBAc3M="  # ada:p@ss
    assert request.headers["Host"] == hook.address


@pytest.mark.parametrize(
    "url",
    ["http://", "https:///path", "http://127.0.0.1:port/", "http://[::1/", "http://127.0.0.1/ä"],
    ids=["nothing", "no host", "port", "bracket", "letter"],
)
def test_a_url_that_nothing_can_be_sent_to_is_refused(
    url: str, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", url)
    with pytest.raises(InputError, match="on_done"):
        cpr.launch([plan()], on_done="env:HOOK")
    assert not stub.calls()


@pytest.mark.parametrize("answer", [404, 302])
def test_an_answer_that_no_later_try_changes_ends_it(answer: int) -> None:
    with Webhook([answer]) as hook:
        session = ended(launch(on_done=url_of(hook)))
    assert len(hook.requests) == 1
    why = f"its webhook answered HTTP {answer}"
    assert session.warnings == [f"the notice on_done was not sent: {why}"]


def test_a_sender_that_dies_before_it_wrote_that_it_sent_is_followed_by_one_with_the_same_key(
    stub: Stub,
) -> None:
    with Webhook([None, 200]) as hook:
        session = launch(LIMITED, on_waiting=url_of(hook))
        hook.await_requests(1)
        session.wait_until(lambda: session.refresh().state == "waiting", LIMIT_S, "the wait")
        runner = json.loads((session.path / "runner.json").read_text())["pid"]
        for pid in (*senders(), runner):
            os.kill(pid, signal.SIGKILL)
            processes.await_gone(pid)
        assert events(session, "on_waiting-limit") == ["sending"]
        session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "the end")
        stub.mend()  # the wait is over, and the notice is due all the same
        session.resume()
        first, second = hook.await_requests(2)
        await_event(session, "on_waiting-limit", "sent")
        ended(session)
    assert first.json["key"] == second.json["key"] == f"{session.id}-waiting-limit"
    assert first.json["waiting_for"] == "limit"
    assert first.json["text"].startswith("the usage limit is reached, waits until ")
    assert len(hook.requests) == 2


def test_the_end_is_told_only_once_it_is_written_down(hook: Webhook, stub: Stub) -> None:
    stub.fifos("x")
    session = launch(plan(here="x", gate="x"), on_done=url_of(hook))
    stub.await_here("x")
    (session.path / "notices").mkdir()
    (session.path / "notices" / "on_done.jsonl").touch()
    argv = [sys.executable, str(PROGRAM), str(session.path), "on_done"]
    with subprocess.Popen(argv) as sender:  # as by a runner that is killed before it wrote the end
        os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
        assert sender.wait(LIMIT_S) == 0
    assert not hook.requests and not log(session, "on_done")
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "the end")
    session.resume()
    stub.release("x")
    ended(session)
    assert len(hook.requests) == 1


def test_where_nothing_can_be_written_a_notice_is_sent_all_the_same(hook: Webhook) -> None:
    session = ended(launch(on_done=url_of(hook)))
    shutil.rmtree(session.path / "notices")
    (session.path / "notices").touch()  # in the place of the folder: no file can be made there
    sender = [sys.executable, str(PROGRAM), str(session.path), "on_done"]
    assert subprocess.run(sender, timeout=LIMIT_S).returncode == 0
    assert [request.json["key"] for request in hook.requests] == [f"{session.id}-done"] * 2


def test_a_session_that_waits_again_for_the_same_sends_nothing_more(
    hook: Webhook, stub: Stub
) -> None:
    session = launch(LIMITED, on_waiting=url_of(hook))
    await_event(session, "on_waiting-limit", "sent")
    for _ in range(2):
        runner = json.loads((session.path / "runner.json").read_text())["pid"]
        os.kill(runner, signal.SIGTERM)
        session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "the end")
        session.resume()
        session.wait_until(lambda: session.refresh().state == "waiting", LIMIT_S, "the wait")
    stub.mend()
    session.resume()
    ended(session)
    assert len(hook.requests) == 1
    assert os.listdir(session.path / "notices") == ["on_waiting-limit.jsonl"]  # noqa: PTH208


def test_a_notice_whose_sender_was_ended_is_sent_by_a_resume(hook: Webhook) -> None:
    with Webhook([None]) as deaf:
        session = launch(on_done=url_of(deaf))
        deaf.await_requests(1)
        session.wait(LIMIT_S)
        for pid in senders():
            os.kill(pid, signal.SIGKILL)
            processes.await_gone(pid)
        ended(session)
    (warning,) = session.warnings
    assert warning.endswith(f"cpr resume {session.id[:8]} sends it")
    (kept,) = (state_dir() / "notices").iterdir()
    kept.write_text(json.dumps([url_of(hook)]))
    session.resume()
    await_event(session, "on_done", "sent")
    await_senders()
    (request,) = hook.requests
    assert request.json["key"] == deaf.requests[0].json["key"]
    assert session.warnings == []
    with pytest.raises(cpr.SessionNotUsable, match="it is completed"):
        session.resume()


# -- Apprise and the desktop ----------------------------------------------------------------------


def test_apprise_sends_to_the_services_that_it_knows(hook: Webhook) -> None:
    session = ended(launch(FAILS, on_failed=f"json://{hook.address}/{SECRET}", name="night"))
    (request,) = hook.requests
    assert request.json["title"] == "cpr: night has failures"
    assert request.json["message"].startswith("0 of 1 task succeeded, 1 failed")
    assert request.json["type"] == "failure"
    assert events(session, "on_failed") == ["sending", "sent"]


def test_a_url_that_apprise_does_not_know_is_refused_without_repeating_it() -> None:
    with pytest.raises(InputError, match="that Apprise does not know") as caught:
        launch(on_done=f"nowhere://{SECRET}")
    assert SECRET not in str(caught.value)
    assert not Path("results").exists()


def test_without_apprise_the_launch_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['apprise'] = None; import cpr_nb as cpr\n"
        "cpr.launch(['a'], on_done='slack://a/b/c')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'cpr_nb[notify]'" in run.stderr.splitlines()[-1]
    assert not Path("results").exists()


def test_the_desktop_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "notify-send"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/shown\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    ended(launch(on_done="desktop", name="-<b>x"[1:]))
    shown = (tmp_path / "shown").read_text().splitlines()
    assert shown[:3] == ["--app-name=cpr", "--", "cpr: <b>x has ended"]
    assert shown[3].startswith("1 of 1 task succeeded")
