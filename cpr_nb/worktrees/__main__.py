"""``python -m cpr_nb.worktrees prepare|pack|harvest``: one JSON object in, one out.

The exit code is 0 when the answer is complete, even if it says that something failed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from cpr_nb.model.errors import WorktreeError

COMMANDS = ("prepare", "pack", "harvest")
USAGE = "usage: python -m cpr_nb.worktrees prepare|pack|harvest <job.json >answer.json"


def answer(command: str, data: bytes) -> dict[str, Any]:
    """Runs the job; every failure becomes an answer.

    Args:
        command: ``prepare``, ``pack`` or ``harvest``.
        data: The job as JSON.
    """
    try:
        fields = _run(command, data)
    except WorktreeError as error:
        return {"ok": False, "reason": error.reason, "error": str(error)}
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        message = f"{error.strerror or error}{where}"
        return {"ok": False, "reason": WorktreeError.reason, "error": message}
    return {"ok": True, "reason": None, "error": None, **fields}


def _run(command: str, data: bytes) -> dict[str, Any]:
    try:
        from cpr_nb.worktrees import git_settings
        from cpr_nb.worktrees.harvest import harvest
        from cpr_nb.worktrees.job import parse_job
        from cpr_nb.worktrees.packing import pack
        from cpr_nb.worktrees.prepare import prepare
    except ImportError as error:  # GitPython raises it where git is missing
        raise WorktreeError(f"git can't be used: {str(error).splitlines()[0]}") from None
    try:
        payload = json.loads(data)
    except ValueError as error:
        raise WorktreeError(f"the job is not JSON: {error}") from None
    git_settings.clean_own_environment()
    job = parse_job(payload if isinstance(payload, dict) else {})
    return {"prepare": prepare, "pack": pack, "harvest": harvest}[command](job)


def main(argv: list[str]) -> int:
    """Reads the job from stdin and writes the answer to stdout."""
    if len(argv) != 1 or argv[0] not in COMMANDS:
        print(USAGE, file=sys.stderr)
        return 2
    line = json.dumps(answer(argv[0], sys.stdin.buffer.read()))
    sys.stdout.flush()
    os.write(1, line.encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
