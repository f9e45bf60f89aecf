"""What each measurement works with: a folder, a scripted API, and the real CLI by itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from testkit.command import script
from testkit.measured_table import Cells as Cells
from testkit.processes import TOKEN
from testkit.recording import RecordingApi
from testkit.repository import GIT_ENVIRONMENT
from testkit.served import Line, Served

from cpr_nb.offline.scripted_api import cli_environment

Measurement = Callable[["Bench"], Cells]
ALL_TOOLS = "--dangerously-skip-permissions"
NO_TOOL = "no such tool"


class Bench:
    """A folder with a home and a repository, and the scripted API.

    Args:
        claude: The program of the CLI.
        folder: An empty folder for everything.
        api: The scripted API.
        token: What marks the processes.
    """

    def __init__(self, claude: str, folder: Path, api: RecordingApi, token: str) -> None:
        self.claude, self.api = claude, api
        self.home, self.work = folder / "home", folder / "work"
        for path in (self.home, self.work):
            path.mkdir()
        self.env = {**cli_environment(api.url, self.home), **GIT_ENVIRONMENT, TOKEN: token}

    def serve(self, *flags: str, settings: Mapping[str, Any] | None = None) -> Served:
        """Starts a process of the CLI and clears it once, as every shared process begins."""
        if settings is not None:
            self.write(self.home / ".claude" / "settings.json", json.dumps(settings))
        served = Served(self.claude, self.work, self.env, *flags)
        served.clear()
        return served

    def write(self, path: Path, text: str) -> None:
        """Writes a file, and the folders above it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def make_repository(self) -> None:
        """Makes the folder a repository with one commit."""
        self.write(self.work / "file", "x\n")
        for words in ("init -q", "add file", "commit -qm first"):
            subprocess.run(["git", *words.split()], cwd=self.work, env=self.env, check=True)

    def asked_since(self, number: int) -> str:
        """The requests that have come since this number of them, as one text."""
        return json.dumps(self.api.bodies[number:], ensure_ascii=False)


def bash(command: str, **more: Any) -> dict[str, Any]:
    """A step that calls the Bash tool."""
    return {"tool": "Bash", "input": {"command": command, "description": "run it", **more}}


def says(*steps: Mapping[str, Any]) -> str:
    """A prompt whose steps end with an answer."""
    return script(*map(dict, steps), {"text": "done"})


def outputs(lines: list[Line]) -> list[str]:
    """What the tools have said, in these lines."""
    contents = [line["message"]["content"] for line in lines if line["type"] == "user"]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    results = [block["content"] for block in blocks if block["type"] == "tool_result"]
    return [result if isinstance(result, str) else json.dumps(result) for result in results]


def init_of(lines: list[Line]) -> Line:
    """What the CLI says of its set-up, the last time in these lines."""
    return [line for line in lines if line.get("subtype") == "init"][-1]


def is_alive(pid_file: Path) -> bool:
    """Whether the process lives whose number is in this file."""
    try:
        os.kill(int(pid_file.read_text("ascii")), 0)
    except ProcessLookupError:
        return False
    return True
