"""One session with all that a format has to say: a subagent, failures, tools, odd texts."""

from __future__ import annotations

from typing import Any

from testkit.command import LIMIT_S, script

import cpr_nb as cpr

#: A text that XML, terminals and logs have trouble with.
ODD_TEXT = "plain ünï 🚀 <b> & ]]> \x1b[31mred\x1b[0m \x00\ufffe"
SECRET = "the-secret-word"


def bash(command: str) -> dict[str, Any]:
    """A step that runs a command."""
    return {"tool": "Bash", "input": {"command": command, "description": "d"}}


def run_rich_session() -> cpr.Session:
    """Runs it with the real CLI and the scripted API of the current environment."""
    inner = script(bash(f"echo {SECRET}"), {"text": "inner says 7"})
    agent = {"description": "look", "subagent_type": "general-purpose", "prompt": inner}
    tasks = [
        {"id": "sub", "prompt": script({"tool": "Agent", "input": agent}, {"text": "It said 7."})},
        {"id": "tools", "prompt": script(bash("echo one"), bash("false"), {"text": SECRET})},
        {"id": "odd", "prompt": script({"text": ODD_TEXT})},
        {"id": "checked", "prompt": script({"text": "x"}), "check": "test -e never"},
        {"id": "broken", "prompt": script({"fail": {"status": 400, "times": 9}, "text": "x"})},
    ]
    options: dict[str, Any] = {"allow": ["Bash", "Agent"], "name": "rich", "max_parallel": 2}
    return cpr.launch(tasks, **options).wait(LIMIT_S)
