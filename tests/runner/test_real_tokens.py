"""The tokens of an attempt that was stopped, of its subagents, too; the API's log has them all."""

from __future__ import annotations

from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
HELD = {"wait": "never", "text": "too late"}
READ = {"tool": "Read", "input": {"file_path": "{cwd}/a.txt"}}


def agent(*steps: dict[str, Any]) -> dict[str, Any]:
    call = {"description": "help", "prompt": script(*steps), "subagent_type": "general-purpose"}
    return {"tool": "Agent", "input": {**call, "run_in_background": False}}


@pytest.mark.parametrize(
    "steps",
    [[agent(READ, READ, READ, {"text": "Read."}), HELD], [agent(*[READ] * 4, HELD), HELD]],
    ids=["after its subagent", "with its subagent"],
)
def test_a_stopped_attempt_counts_its_subagents(
    real_cpr: Cpr, api: ScriptedApi, steps: list[dict[str, Any]]
) -> None:
    (real_cpr.cwd / "a.txt").write_text("a\n")
    session = real_cpr.launch(prompts({"prompt": script(*steps)}), "--allow", "Agent")
    api.wait_for(lambda request: request.seq == 6, LIMIT_S)  # it is held; five were answered
    session.cancel()
    (task,) = session.wait(LIMIT_S)
    assert task.outcome == "cancelled"
    assert (task.fields["input_tokens"], task.fields["output_tokens"]) == (500, 100)
    assert session.usage_df().output_tokens.sum() == 100


def test_a_killed_attempt_counts_an_answer_that_its_transcript_may_lack(
    real_cpr: Cpr, api: ScriptedApi
) -> None:
    """The stream has it some milliseconds earlier; the agent is killed as soon as it can be."""
    kill = {"tool": "Bash", "input": {"command": "kill -9 $PPID"}}
    element = {"prompt": script(kill, {"text": "gone on"}), "permissions": "all", "attempts": 9}
    (task,) = real_cpr.launch(prompts(element)).wait(LIMIT_S)
    assert task.attempts >= 2 and task.text == "gone on"  # without the call, it is killed again
    assert task.fields["input_tokens"] == 100 * len(api.requests)
