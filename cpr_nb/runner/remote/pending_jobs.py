"""At a session's end: cancels the jobs of Slurm that were to become its nodes and still wait."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: What Slurm's programs need of our environment. The values of a session's own variables are none
#: of theirs.
_NEEDED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL")


def cancel_pending_jobs(session: dict[str, Any]) -> None:
    """Cancels them, and waits for nothing: a job that begins later finds no session, and leaves.

    Args:
        session: What session.json says of the session as a whole.
    """
    if session.get("executor") != "slurm":
        return
    environ = {
        name: value
        for name, value in os.environ.items()
        if (name in _NEEDED or name.startswith("SLURM_"))
    }
    # By the name that they were submitted with: no file of the session says what to cancel.
    argv = ["scancel", "--quiet", "--state=PENDING", f"--name=cpr-{session['session_id']}"]
    nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    try:
        os.posix_spawnp(argv[0], argv, environ, file_actions=nowhere, setsid=True)
    except OSError:
        pass  # there is no Slurm here any more
