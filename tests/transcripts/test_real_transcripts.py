"""Transcripts of the real CLI: the tokens are those that the API has counted, each once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from testkit.conversation import play

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

from .compare_ccusage import RECORDED, VERDICT, our_sums

# What the scripted API says of each request.
INPUT, OUTPUT = 100, 20


@pytest.mark.real_cli
def test_each_request_counts_once(
    claude: str, api: ScriptedApi, offline_env: dict[str, str], tmp_path: Path
) -> None:
    played = play(claude, offline_env, tmp_path / "work")
    seen = cpr.transcripts(Path(offline_env["CLAUDE_CONFIG_DIR"]) / "projects")
    answered = [request for request in api.requests if request.status == 200]
    messages = seen.messages_df()
    assert len(messages) == len(answered) == 9
    assert messages.input_tokens.sum() == INPUT * 9
    assert messages.output_tokens.sum() == OUTPUT * 9
    read = sum(request.cache_read_tokens or 0 for request in answered)
    written = sum(request.cache_write_tokens or 0 for request in answered)
    assert (messages.cache_read_tokens.sum(), messages.cache_write_tokens.sum()) == (read, written)

    df = seen.df(full=True).set_index("conversation_id")
    columns = ["n_messages", "n_tool_calls", "n_agents", "n_abandoned", "n_copied", "n_prompts"]
    assert df.loc[played.session_id, columns].tolist() == [7, 3, 1, 1, 0, 3]
    assert df.loc[played.fork_id, columns].tolist() == [2, 1, 0, 0, 4, 3]
    # The CLI's own estimate of a conversation goes on counting when it is resumed.
    assert df.cost_usd[played.session_id] == pytest.approx(played.cost_usd)
    assert (~messages.is_current_branch).sum() == 1
    calls = seen.tool_calls_df()
    assert sorted(calls.tool) == ["Agent", "Read", "Read", "Read"]
    assert calls.parent_tool_use_id.notna().sum() == 1
    assert (calls.permission == "allowed").all()
    texts = seen.events_df().query("subtype == 'text' and role == 'assistant'").text
    assert sorted(texts) == ["First.", "Forked.", "Helped.", "Reading.", "Resumed.", "Rewound."]


def test_sums_are_those_of_ccusage() -> None:
    """Its verdict on the recorded files was made by `compare_ccusage.py --record`."""
    assert our_sums(RECORDED) == json.loads(VERDICT.read_text())


def test_a_line_whose_parent_is_missing_follows_the_one_before_it() -> None:
    """The recorded files lack attachments, which are the parents of answers."""
    flags = cpr.transcripts(RECORDED / "projects").messages_df().is_current_branch
    # The result of the call that started the subagent is not there, either.
    assert (flags.sum(), (~flags).sum(), flags.isna().sum()) == (6, 1, 2)
