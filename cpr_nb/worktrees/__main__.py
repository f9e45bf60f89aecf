"""``python -m cpr_nb.worktrees prepare`` and ``… harvest``: one JSON object in, one out.

The exit code is 0 when the answer is complete, also when it says that something failed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from cpr_nb.model.errors import WorktreeError

USAGE = "usage: python -m cpr_nb.worktrees prepare|harvest <order.json >answer.json"


def answer(command: str, asked: bytes) -> dict[str, Any]:
    """Does what is asked; every failure is an answer."""
    try:
        told = _done(command, asked)
    except WorktreeError as error:
        return {"ok": False, "reason": error.reason, "error": str(error)}
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        said = f"{error.strerror or error}{where}"
        return {"ok": False, "reason": WorktreeError.reason, "error": said}
    return {"ok": True, "reason": None, "error": None, **told}


def _done(command: str, asked: bytes) -> dict[str, Any]:
    try:
        from cpr_nb.worktrees import prepare, repo
        from cpr_nb.worktrees.harvest import harvest
        from cpr_nb.worktrees.job import read_order
    except ImportError as error:  # GitPython says so when there is no git
        raise WorktreeError(f"git can't be used: {str(error).splitlines()[0]}") from None
    try:
        given = json.loads(asked)
    except ValueError as error:
        raise WorktreeError(f"the order is not JSON: {error}") from None
    repo.clean_own_environment()
    order = read_order(given if isinstance(given, dict) else {})
    return prepare.prepare(order) if command == "prepare" else harvest(order)


def main(argv: list[str]) -> int:
    """Reads the order from stdin and writes the answer to stdout."""
    if len(argv) != 1 or argv[0] not in ("prepare", "harvest"):
        print(USAGE, file=sys.stderr)
        return 2
    told = json.dumps(answer(argv[0], sys.stdin.buffer.read()))
    sys.stdout.flush()
    os.write(1, told.encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
