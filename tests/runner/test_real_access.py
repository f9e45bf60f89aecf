"""No login, no access: what waits, what fails at once, and what runs once it is mended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script
from testkit.logins import with_helper

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
ENDS = tuple[str | None, str | None]


def task(name: str, **fail: Any) -> dict[str, str]:
    """A task that leaves its name in a file, so that nothing can run twice without a trace."""
    call = {"tool": "Bash", "input": {"command": f"echo {name} >> ran.txt"}}
    steps = [{"fail": fail}] if fail else [call, {"text": name}]
    return {"id": name, "prompt": script(*steps)}


def ends(session: cpr.Session) -> list[ENDS]:
    session.refresh()
    return [(one.outcome, one.reason) for one in session]


def ran(real_cpr: Cpr) -> list[str]:
    path = real_cpr.cwd / "ran.txt"
    return sorted(path.read_text().split()) if path.exists() else []


def test_a_key_of_the_environment_that_is_not_valid_stops_the_session_at_once(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    api.lose_login()
    tasks = [task(name) for name in "abcd"]
    session = real_cpr.launch(prompts(*tasks), "-j1", "--permissions", "all").wait(LIMIT_S)
    assert ends(session) == [("failed", "auth"), *[("skipped", "auth")] * 3]
    assert session.state == "completed"
    assert len([r for r in api.requests if r.gate]) <= 5, "the CLI alone would ask eleven times"
    for one in session:
        assert "ANTHROPIC_API_KEY: set another" in one.error
    short = session.id[:8]
    assert f"resume {short} --skipped" in real_cpr("watch", short).stdout

    api.restore_login()
    real_cpr.good("resume", short, "--skipped")
    session.wait(LIMIT_S)
    assert ends(session) == [("failed", "auth"), *[("succeeded", "completed")] * 3]
    assert ran(real_cpr) == ["b", "c", "d"]
    assert session.head["n_skipped"] == 0 and session.head["n_succeeded"] == 3


def test_a_task_that_is_not_allowed_fails_alone_and_at_once(real_cpr: Cpr) -> None:
    forbidden = {"status": 403, "type": "permission_error", "message": "not this model"}
    tasks = [task("a"), task("b"), task("c", **forbidden), task("d")]
    session = real_cpr.launch(prompts(*tasks), "-j1", "--permissions", "all").wait(LIMIT_S)
    good: ENDS = ("succeeded", "completed")
    assert ends(session) == [good, good, ("failed", "forbidden"), good]
    assert "not this model; a new login does not help" in session[2].error
    assert session[2].attempts == 1


def test_an_account_without_access_stops_the_session(real_cpr: Cpr, api: ScriptedApi) -> None:
    real_cpr.env["CLAUDE_CODE_OAUTH_TOKEN"] = real_cpr.env.pop("ANTHROPIC_API_KEY")
    message = "OAuth authentication is currently not allowed for this organization."
    closed = {"status": 403, "type": "permission_error", "message": message}
    tasks = [task(name, **closed) for name in "abc"]
    session = real_cpr.launch(prompts(*tasks), "-j1").wait(LIMIT_S)
    assert ends(session) == [("failed", "auth"), *[("skipped", "auth")] * 2]
    assert "use an API key or another account" in session[0].error
    assert len(api.requests) == 1


def test_a_session_that_has_waited_long_enough_ends_and_can_be_resumed(
    real_cpr: Cpr, api: ScriptedApi, in_env: Callable[[dict[str, str]], None]
) -> None:
    env = {**with_helper(real_cpr.env), "CLAUDE_CODE_MAX_RETRIES": "1"}
    real_cpr.env = env
    first = real_cpr.launch(prompts(task("a")), "--permissions", "all").wait(LIMIT_S)
    assert ends(first) == [("succeeded", "completed")], "the helper's key is accepted"
    api.lose_login()
    session = real_cpr.launch(
        prompts(*[task(name) for name in "bcd"]),
        *("-j2", "--permissions", "all", "--login-wait-s", "2"),
    )
    session.wait_until(
        lambda: bool(session.head.get("waiting_until")), LIMIT_S, "until when it waits"
    )
    session.wait(LIMIT_S)
    assert session.state == "completed"
    assert ends(session) == [("skipped", "auth")] * 3
    assert "log in" in session[2].error

    api.restore_login()
    in_env(env)
    session.resume(skipped=True).wait(LIMIT_S)
    assert ends(session) == [("succeeded", "completed")] * 3
    assert ran(real_cpr) == ["a", "b", "c", "d"]
    with pytest.raises(cpr.SessionNotUsable, match="it has none"):
        session.resume(skipped=True)
