"""A conversation of the real CLI with all that transcripts have: a subagent, a fork, a rewind."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.store.programs import find_claude
from testkit.command import LIMIT_S, script

_READ = {"tool": "Read", "input": {"file_path": "{cwd}/a.txt"}}
_MODEL = "claude-sonnet-4-5-20250929"


class Played(NamedTuple):
    """What was played.

    Args:
        session_id: Of the conversation.
        fork_id: Of its fork.
        cost_usd: What the CLI says of the conversation at its end.
    """

    session_id: str
    fork_id: str
    cost_usd: float


def play(claude: str, env: dict[str, str], folder: Path) -> Played:
    """Plays it: nine requests, of which two are a subagent's, and one is taken back."""
    folder.mkdir()
    (folder / "a.txt").write_text("a\n")

    def run(prompt: str, *flags: str) -> list[dict[str, Any]]:
        command = [claude, "-p", "--output-format", "stream-json", "--verbose"]
        command += ["--model", _MODEL, "--allowed-tools", "Read,Agent", *flags]
        done = subprocess.run(
            command,
            input=prompt.encode(),
            cwd=folder,
            env=env,
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    helper = {"description": "help", "prompt": script(_READ, {"text": "Helped."})}
    helper |= {"subagent_type": "general-purpose"}
    agent = {"tool": "Agent", "input": {**helper, "run_in_background": False}}
    first = run(script({**_READ, "text": "Reading."}, agent, {"text": "First."}))
    session_id = first[0]["session_id"]
    place = [event for event in first if event["type"] == "assistant"][-1]["uuid"]
    run(script({"text": "Resumed."}), "--resume", session_id)
    fork = run(script(_READ, {"text": "Forked."}), "--resume", session_id, "--fork-session")
    back = ("--resume", session_id, "--resume-session-at", place)
    last = run(script({"text": "Rewound."}), *back)
    return Played(session_id, fork[0]["session_id"], last[-1]["total_cost_usd"])


def play_conversation(folder: Path) -> Path:
    """Plays it in a folder of its own; returns the CLI's configuration folder."""
    home = folder / "home"
    home.mkdir()
    with ScriptedApi() as api:
        env = cli_environment(api.url, home)
        play(find_claude(None, os.environ), env, folder / "project")
    return Path(env["CLAUDE_CONFIG_DIR"])
