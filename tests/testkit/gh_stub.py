"""A stand-in for ``gh``, the GitHub CLI: it keeps pull requests in a file and records its calls."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_SCRIPT = """#!PYTHON -IS
import json, os, sys

FOLDER = REPLACED
with open(FOLDER + "/pull-requests.json") as file:
    known = json.load(file)
words = sys.argv[1:]
value = lambda flag: words[words.index(flag) + 1] if flag in words else None
body = sys.stdin.read() if value("--body-file") == "-" else ""
with open(FOLDER + "/calls.jsonl", "a") as file:
    call = {"argv": words, "stdin": body, "cwd": os.getcwd(), "env": dict(os.environ)}
    file.write(json.dumps(call) + "\\n")
if os.path.exists(FOLDER + "/fails-" + words[1]):
    with open(FOLDER + "/fails-" + words[1]) as file:
        sys.exit(file.read())
if words[:2] == ["pr", "list"]:
    shown = [one for one in known if one["headRefName"] == value("--head")]
    names = value("--json").split(",")
    print(json.dumps([{name: one[name] for name in names} for one in shown]))
elif words[:2] == ["pr", "create"]:
    number = len(known) + 1
    head = value("--head")
    url = f"https://github.com/ada/shop/pull/{number}"
    with os.popen("git -C " + FOLDER + "/origin.git rev-parse refs/heads/" + head) as git:
        commit = git.read().strip()
    known.append({"number": number, "url": url, "state": "OPEN", "headRefName": head,
                  "headRefOid": commit, "isCrossRepository": False})
    with open(FOLDER + "/pull-requests.json", "w") as file:
        json.dump(known, file)
    print("Creating pull request", file=sys.stderr)
    print(url)
else:
    sys.exit("unknown command " + " ".join(words))
"""


class GhStub:
    """The stand-in, in a folder that can be put on PATH.

    Args:
        folder: A new folder. ``origin.git`` in it is the repository whose pull requests it has.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        script = _SCRIPT.replace("PYTHON", sys.executable).replace("REPLACED", repr(str(folder)))
        (folder / "gh").write_text(script)
        (folder / "gh").chmod(0o755)
        self.pull_requests = []

    @property
    def pull_requests(self) -> list[dict[str, Any]]:
        """The pull requests that exist."""
        rows: list[dict[str, Any]] = json.loads((self.folder / "pull-requests.json").read_text())
        return rows

    @pull_requests.setter
    def pull_requests(self, rows: list[dict[str, Any]]) -> None:
        (self.folder / "pull-requests.json").write_text(json.dumps(rows))

    def fail(self, command: str, message: str | None) -> None:
        """Lets a command (``list``, ``create``) fail with a message; None: no longer."""
        file = self.folder / f"fails-{command}"
        if message is None:
            file.unlink()
        else:
            file.write_text(message)

    def calls(self, command: str) -> list[dict[str, Any]]:
        """The calls of one command, in order."""
        file = self.folder / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if call["argv"][1] == command]
