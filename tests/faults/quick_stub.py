"""A stand-in for the CLI that takes two milliseconds: a shell script of nothing but builtins."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

_SCRIPT = """#!/bin/sh
[ "$1" = --version ] && echo '9.9.9 (stub)' && exit
F='FOLDER' I=$CPR_TASK_ID
[ -e "$F/broken" ] && echo "error: half of me is missing ($$)" >&2 && exit 1
echo x >> "$F/calls/$I"
echo '{"type":"system","subtype":"init","session_id":"s","model":"stub"}'
[ -e "$F/do-$I" ] && . "$F/do-$I"
echo '{"type":"result","subtype":"success","is_error":false,"num_turns":1,"session_id":"s",' \\
    '"total_cost_usd":0.25,"usage":{"input_tokens":10,"output_tokens":5},' \\
    '"result":"'"the answer of $I"'"}'
"""


class QuickStub:
    """The stub's program in a folder of its own.

    Args:
        folder: Where it goes; created.

    Attributes:
        path: The program.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "calls").mkdir(parents=True)
        self.path = folder / "claude"
        self.path.write_text(_SCRIPT.replace("FOLDER", str(folder)))
        self.path.chmod(0o755)

    def has(self, task_id: str, command: str) -> None:
        """Makes the stub of one task run a shell command before it answers."""
        (self.folder / f"do-{task_id}").write_text(command + "\n")

    def breaks(self) -> Path:
        """The file with which every run ends before it begins."""
        return self.folder / "broken"

    def mend(self) -> None:
        """The stub is what it was."""
        self.breaks().unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "away").rename(self.path)

    def calls(self) -> Counter[str]:
        """How often each task did what it does."""
        files = (self.folder / "calls").iterdir()
        return Counter({file.name: len(file.read_text().splitlines()) for file in files})


def answers(names: list[str]) -> dict[str, str]:
    """What the tasks answer."""
    return {name: f"the answer of {name}" for name in names}
