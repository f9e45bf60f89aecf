"""A notice that an agent waits for an answer, with the real CLI."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testkit.command import LIMIT_S, script
from testkit.noticed import await_event, ended, url_of
from testkit.webhooks import Webhook

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli


@pytest.fixture(autouse=True)
def environment(offline_env: dict[str, str], in_env: Callable[[dict[str, str]], None]) -> None:
    in_env({**offline_env})


def test_an_open_question_is_worth_a_notice(hook: Webhook) -> None:
    command = {"command": "python3 -c 1", "description": "Run it"}
    text = script({"tool": "Bash", "input": command}, {"text": "done"})
    session = cpr.launch([text], ask=True, on_waiting=url_of(hook))
    (request,) = hook.await_requests(1)
    await_event(session, "on_waiting-question", "sent")
    answer = f"cpr answer {session.id[:8]}"
    assert request.json["text"].startswith(f"an agent waits for an answer: {answer}")
    assert request.json["waiting_for"] == "question"
    assert request.json["session"]["n_questions"] == 1
    session.wait_until(lambda: bool(session.refresh().questions), LIMIT_S, "the question")
    session[0].answer("once")
    assert ended(session)[0].outcome == "succeeded"
    assert len(hook.requests) == 1
