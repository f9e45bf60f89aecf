"""Transcripts of the real CLI: the tokens are those that the API has counted, each once."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
READ = {"tool": "Read", "input": {"file_path": "{cwd}/a.txt"}}
MODEL = "claude-sonnet-4-5-20250929"
# What the scripted API says of each request.
INPUT, OUTPUT = 100, 20


class Conversation:
    """Runs of the CLI in one folder, whose transcripts it keeps."""

    def __init__(self, claude: str, folder: Path, env: dict[str, str]) -> None:
        self._claude, self._folder, self._env = claude, folder, env
        (folder / "a.txt").write_text("a\n")
        self.cost_usd = 0.0

    def run(self, prompt: str, *flags: str) -> list[dict[str, Any]]:
        command = [self._claude, "-p", "--output-format", "stream-json", "--verbose"]
        command += ["--model", MODEL, "--allowed-tools", "Read,Agent", *flags]
        done = subprocess.run(
            command,
            input=prompt.encode(),
            cwd=self._folder,
            env=self._env,
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_request_counts_once(
    claude: str, api: ScriptedApi, offline_env: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    talk = Conversation(claude, folder, offline_env)
    helper = {"description": "help", "prompt": script(READ, {"text": "Helped."})}
    agent = {"tool": "Agent", "input": {**helper, "subagent_type": "general-purpose"}}
    agent["input"]["run_in_background"] = False
    first = talk.run(script({**READ, "text": "Reading."}, agent, {"text": "First."}))
    ours = first[0]["session_id"]
    place = [event for event in first if event["type"] == "assistant"][-1]["uuid"]
    talk.run(script({"text": "Resumed."}), "--resume", ours)
    forked = talk.run(script(READ, {"text": "Forked."}), "--resume", ours, "--fork-session")
    last = talk.run(script({"text": "Rewound."}), "--resume", ours, "--resume-session-at", place)

    projects = Path(offline_env["CLAUDE_CONFIG_DIR"]) / "projects"
    seen = cpr.transcripts(projects)
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
    assert df.loc[ours, columns].tolist() == [7, 3, 1, 1, 0, 3]
    assert df.loc[forked[0]["session_id"], columns].tolist() == [2, 1, 0, 0, 4, 3]
    # The CLI's own estimate of a conversation is that of its last run: it goes on counting.
    assert df.cost_usd[ours] == pytest.approx(last[-1]["total_cost_usd"])
    abandoned = messages[~messages.is_current_branch]
    assert len(abandoned) == 1
    calls = seen.tool_calls_df()
    assert sorted(calls.tool) == ["Agent", "Read", "Read", "Read"]
    assert calls.parent_tool_use_id.notna().sum() == 1
    assert (calls.permission == "allowed").all()
    texts = seen.events_df().query("subtype == 'text' and role == 'assistant'").text
    assert sorted(texts) == ["First.", "Forked.", "Helped.", "Reading.", "Resumed.", "Rewound."]
