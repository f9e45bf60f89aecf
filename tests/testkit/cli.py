"""The real CLI itself, without the runner."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from testkit.client import LIMIT_S


class Run:
    """One run of the CLI, whose process ends with the test."""

    def __init__(
        self,
        cli: str,
        folder: Path,
        api: ScriptedApi,
        prompt: bytes,
        *flags: str,
        subscription: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        work = folder / "work ö {x} 'y"
        work.mkdir(parents=True)
        self.cwd = work
        (folder / "prompt").write_bytes(prompt)
        command = [cli, "-p", "--output-format", "stream-json", "--verbose", *flags]
        with (folder / "prompt").open("rb") as stdin:
            self.process = subprocess.Popen(
                command,
                cwd=work,
                env={
                    **cli_environment(api.url, folder / "home", subscription=subscription),
                    **(env or {}),
                },
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )

    def finish(self) -> list[dict[str, Any]]:
        out, err = self.process.communicate(timeout=LIMIT_S)
        lines = [json.loads(line) for line in out.splitlines()]
        assert lines, err
        return lines

    def result(self) -> dict[str, Any]:
        result = self.finish()[-1]
        assert result["type"] == "result"
        return result


class Cli:
    """Starts runs, each in a folder of its own."""

    def __init__(self, path: str, folder: Path) -> None:
        self.path, self.folder, self.runs = path, folder, list[Run]()

    def __call__(
        self,
        api: ScriptedApi,
        prompt: str | bytes,
        *flags: str,
        subscription: bool = False,
        env: dict[str, str] | None = None,
    ) -> Run:
        data = prompt.encode() if isinstance(prompt, str) else prompt
        folder = self.folder / f"run{len(self.runs)}"
        run = Run(self.path, folder, api, data, *flags, subscription=subscription, env=env)
        self.runs.append(run)
        return run
