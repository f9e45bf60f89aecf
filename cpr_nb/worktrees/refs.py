"""Moving branches, and the locks that killed gits have left on them."""

from __future__ import annotations

import contextlib
import os
import time

from cpr_nb.worktrees.git_command import Git

# A lock on our branch that is older than this was left by a git that is dead.
_STALE_LOCK_S = 2.0


def set_ref(git: Git, ref: str, new: str, old: str | None) -> None:
    """Moves a branch from ``old`` to ``new``; with ``old`` None, creates it.

    Raises:
        GitFailed: If it has moved in the meantime, or can't be written.
    """
    git.run("update-ref", "-m", "cpr", ref, new, old or "")


def drop_stale_lock(path: str) -> None:
    """Removes a branch's lock that a killed git has left; waits for that of a living git."""
    while True:
        try:
            age_s = time.time() - os.stat(path).st_mtime
        except OSError:
            return
        if not 0 <= age_s < _STALE_LOCK_S:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        time.sleep(0.05)
