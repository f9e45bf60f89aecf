"""Who may ask for a notice, and where its destination may stand."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from testkit.command import Cpr, prompts
from testkit.noticed import (
    FAILS,
    LIMITED,
    SECRET,
    await_event,
    await_senders,
    ended,
    launch,
    state_dir,
    url_of,
)
from testkit.stub import Stub, plan
from testkit.webhooks import LIMIT_S, Webhook

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.model.destinations import check_destination, kept_destination
from cpr_nb.model.errors import InputError, UnknownOption


def test_the_users_own_settings_ask_for_one_and_a_launch_may_decline(
    hook: Webhook, stub_cpr: Cpr
) -> None:
    settings = Path(os.environ["HOME"], ".config", "cpr", "config.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text(f'on_done = "{url_of(hook)}"\n')
    session = ended(launch())
    assert [request.json["session"]["session_id"] for request in hook.requests] == [session.id]
    found = stub_cpr("doctor").stdout
    assert "on_done = 'webhook'" in found and SECRET not in found
    ended(launch(on_done="off"))
    assert len(hook.requests) == 1


def test_the_grades_of_a_session_are_no_second_notice(hook: Webhook) -> None:
    settings = Path(os.environ["HOME"], ".config", "cpr", "config.toml")
    settings.parent.mkdir(parents=True)
    settings.write_text(f'on_done = "{url_of(hook)}"\n')
    session = ended(launch(grade="Is it good?"))
    ended(cpr.attach(session.head["grading_id"]))
    assert [request.json["key"] for request in hook.requests] == [f"{session.id}-done"]


def test_a_retry_sends_what_its_session_did(hook: Webhook) -> None:
    session = ended(launch(FAILS, on_failed=url_of(hook)))
    again = ended(session.retry())
    keys = [request.json["key"] for request in hook.requests]
    assert keys == [f"{session.id}-failed", f"{again.id}-failed"]


def test_a_launch_that_attaches_says_what_is_not_sent(
    hook: Webhook, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ended(launch())
    again = launch(reuse=True, on_done=url_of(hook), on_failed="off")
    assert again.id == first.id and not hook.requests
    # On stderr; on stdout once something has loaded IPython into this process.
    shown = capsys.readouterr()
    assert "it was launched without on_done, and sends none" in shown.out + shown.err


def test_a_retry_of_sessions_that_differ_in_their_notices_sends_none(hook: Webhook) -> None:
    ended(launch(FAILS, on_failed=url_of(hook)))
    ended(launch(FAILS))
    again = cpr.tasks_df(full=True).cpr.retry()
    ended(again)
    assert len(hook.requests) == 1


def test_a_session_that_is_planned_sends_its_own(hook: Webhook) -> None:
    first = launch(plan())
    later = cpr.launch([plan()], after=first, on_done=url_of(hook))
    ended(later)
    assert [request.json["key"] for request in hook.requests] == [f"{later.id}-done"]


def test_a_session_whose_input_fails_tells_so(hook: Webhook, stub: Stub) -> None:
    stub.fifos("x")
    first = launch(plan(here="x", gate="x"))
    stub.await_here("x")
    later = cpr.launch([plan()], after=first, on_failed=url_of(hook))
    first.cancel()
    (request,) = hook.await_requests(1)
    await_event(later, "on_failed", "sent")
    await_senders()
    assert "its input" in request.json["text"]
    assert request.json["key"] == f"{later.id}-failed"
    ended(first)


def test_a_foreign_session_sends_nothing_even_if_it_is_trusted(
    tmp_path: Path, hook: Webhook, stub: Stub
) -> None:
    out = tmp_path / "out"
    session = launch(LIMITED, on_done=f"touch {out}", on_failed=url_of(hook))
    session.wait_until(lambda: session.refresh().state == "waiting", LIMIT_S, "the wait")
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "the end")
    (state_dir() / "key").unlink()
    stub.mend()
    session.resume(trust=True)
    ended(session)
    await_senders()
    assert session.state == "completed"
    assert not out.exists() and not hook.requests


def test_a_forged_session_can_not_name_a_command(tmp_path: Path) -> None:
    session = ended(launch(FAILS, on_done="true"))
    file = session.path / "session.json"
    data = json.loads(file.read_text())
    data["options"]["on_done"] = f"touch {tmp_path}/harm"
    file.write_text(json.dumps(data))
    with pytest.raises(cpr.SessionNotUsable, match="not a kept destination"):
        cpr.trust(session.path, yes=True)
    with pytest.raises(cpr.CprError, match="not a kept destination"):
        session.retry()


def test_a_repository_and_a_prompts_file_can_not_ask_for_one(work: Path, stub_cpr: Cpr) -> None:
    (work / "pyproject.toml").write_text('[tool.cpr]\non_done = "touch harm"\n')
    with pytest.raises(InputError, match="is not allowed here"):
        launch()
    (work / "pyproject.toml").unlink()
    text = prompts({"prompt": plan(), "on_done": "touch harm"})
    refused = stub_cpr("run", stdin=text)
    assert refused.returncode == 2
    assert "'on_done' is an option of the session" in refused.stderr
    whole = json.dumps({"prompts": [plan()], "on_done": "touch harm"})
    refused = stub_cpr("run", stdin=whole)
    assert refused.returncode == 2
    assert "on_done: is not allowed in a prompts file" in refused.stderr
    varied = json.dumps({"prompts": [plan()], "vary": {"on_done": ["touch harm", "true"]}})
    assert stub_cpr("run", stdin=varied).returncode == 2
    assert not (work / "results").exists()


@pytest.mark.parametrize("name", ["on_done", "on_failed", "on_waiting"])
def test_a_url_is_no_argument(stub_cpr: Cpr, name: str) -> None:
    flag = "--" + name.replace("_", "-")
    refused = stub_cpr("run", flag, f"https://example.org/{SECRET}", stdin=prompts(plan()))
    assert refused.returncode == 2
    assert f"{flag} env:NAME" in refused.stderr and SECRET not in refused.stderr


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("env:NOT_THERE", "the variable NOT_THERE is not set"),
        ("env:HOME", "the value of the variable HOME must be a URL"),
        ("", "must be a command"),
        (["", SECRET], "must be a command"),
        ([SECRET, 3], "must be a command"),
        (3, "must be a command"),
        ({"url": SECRET}, "must be a command"),
        (f"{SECRET}\0", "has control characters"),
    ],
    ids=["unset", "no-url", "empty", "no-program", "no-text", "number", "mapping", "nul"],
)
def test_what_can_not_be_right_is_refused_before_anything_starts(value: Any, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        launch(on_done=value)
    assert SECRET not in str(caught.value)
    assert not Path("results").exists()


def test_a_task_has_no_notice_of_its_own() -> None:
    with pytest.raises((InputError, UnknownOption), match="an option of the session"):
        cpr.launch([{"prompt": plan(), "on_done": "true"}])


def test_a_dry_run_shows_and_keeps_no_secret(tmp_path: Path) -> None:
    (row,) = launch(on_done=f"https://example.org/{SECRET}", dry_run=True)  # type: ignore[misc]
    assert row["on_done"].startswith("webhook:") and SECRET not in repr(row)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("desktop", "desktop"),
        ("off", "off"),
        ("env:HOOK", "env:HOOK"),
        (f"https://example.org/{SECRET}", "webhook"),
        (f"HTTP://example.org/{SECRET}", "webhook"),
        (f"slack://{SECRET}", "apprise"),
        (f"curl -d @- https://example.org/{SECRET}", "a command"),
        (["say", SECRET], "a command"),
        (f"webhook:{'0' * 32}", f"webhook:{'0' * 32}"),
    ],
    ids=["desktop", "off", "env", "https", "HTTP", "slack", "command", "list", "kept"],
)
def test_a_destination_as_a_text_holds_no_secret(value: Any, shown: str) -> None:
    made = check_destination(value, "on_done")
    assert str(made) == shown == f"{made}" == json.loads(json.dumps(made))
    assert SECRET not in repr(made)
    assert check_destination(made, "on_done") is made


@pytest.mark.parametrize(
    "value",
    ["touch harm", "webhook:abc", f"shell:{'0' * 32}", f"webhook:{'0' * 32}/../x", 3, None, []],
    ids=["command", "short", "kind", "path", "number", "none", "list"],
)
def test_a_session_folder_names_only_what_is_kept(value: Any) -> None:
    assert kept_destination(value) is None
