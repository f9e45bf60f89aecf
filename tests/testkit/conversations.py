"""Conversations with the real CLI as a person has them: not run by cpr."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from testkit.command import LIMIT_S, Cpr


def tool_results(lines: str) -> list[Any]:
    """The results of the tools in a stream, in order: JSON where it is, else text."""
    results = []
    for line in lines.splitlines():
        event = json.loads(line)
        content = event.get("message", {}).get("content") if event["type"] == "user" else None
        for block in content if isinstance(content, list) else ():
            if block.get("type") == "tool_result":
                text = block["content"]
                text = text if isinstance(text, str) else "".join(part["text"] for part in text)
                results.append(json.loads(text) if text.startswith("{") else text)
    return results


def ask_claude(real_cpr: Cpr, prompt: str, *arguments: str) -> list[Any]:
    """A conversation as a person has one, not run by cpr; returns the results of its tools."""
    argv = [real_cpr.env["CPR_CLAUDE"], "-p", "--output-format", "stream-json", "--verbose"]
    done = subprocess.run(
        [*argv, *arguments],
        input=prompt.encode(),
        capture_output=True,
        cwd=real_cpr.cwd,
        env=real_cpr.env,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tool_results(done.stdout.decode())
