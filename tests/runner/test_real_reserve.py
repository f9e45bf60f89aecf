"""A part of a subscription's usage window is left alone, as the real CLI tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi
from cpr_nb.store.times import parse_iso

pytestmark = pytest.mark.real_cli
_PREFIX = "anthropic-ratelimit-unified-"


def told(used: float, until_s: int) -> dict[str, str]:
    """What the API says beside an answer of how much of the five hours is used."""
    fields = {"status": "allowed", "reset": until_s, "representative-claim": "five_hour"}
    fields |= {"5h-status": "allowed", "5h-reset": until_s, "5h-utilization": used}
    return {f"{_PREFIX}{name}": str(value) for name, value in fields.items()}


def task(name: str, used: float, until_s: int) -> dict[str, Any]:
    step = {"text": "Done.", "headers": told(used, until_s)}
    return {"id": name, "prompt": script(step, say=f"Task {name}.")}


def first_requests(api: ScriptedApi) -> list[str]:
    """The tasks in the order in which the API heard of them."""
    texts = [request.last_user_text for request in api.requests]
    names = [name for text in texts for name in "abcd" if f"Task {name}." in text]
    return list(dict.fromkeys(names))


def test_nothing_starts_once_the_share_is_used_until_the_window_is_renewed(
    in_env: Callable[[dict[str, str]], None],
    offline_env: dict[str, str],
    api: ScriptedApi,
    work: Path,
) -> None:
    env = {**offline_env, "CLAUDE_CODE_OAUTH_TOKEN": offline_env["ANTHROPIC_API_KEY"]}
    del env["ANTHROPIC_API_KEY"]
    in_env(env)
    until_s = int(time.time()) + 3600
    used = {"a": 0.5, "b": 0.75, "c": 0.1, "d": 0.2}
    tasks = [task(name, share, until_s) for name, share in used.items()]
    session = cpr.launch(tasks, reserve=0.3, max_parallel=1)
    session.wait_until(lambda: session.refresh().state == "waiting", LIMIT_S, "the wait")
    head = session.snapshot.head
    assert head["waiting_for"] == "reserve"
    assert parse_iso(head["waiting_until"]) == until_s
    session.wait_until(session[1].done, LIMIT_S, "the task that showed it")
    assert first_requests(api) == ["a", "b"]
    session.resume()  # as the renewal does: one task tries, and there is room
    assert session.wait(LIMIT_S).state == "completed"
    assert first_requests(api) == ["a", "b", "c", "d"]
