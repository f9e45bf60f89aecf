"""Mends the HEAD of a worktree that no git can read: without it, nothing there could be saved."""

from __future__ import annotations

import os
import re

from cpr_nb.store.files import open_regular
from cpr_nb.store.write import write_new
from cpr_nb.worktrees.git_command import shared_git
from cpr_nb.worktrees.worktree import Worktree

_HEAD = re.compile(rb"(ref:\s*refs/[^\0\n]+|[0-9a-f]{40}|[0-9a-f]{64})\s*")
_LOGGED = re.compile(rb"^[0-9a-f]{40,64} ([0-9a-f]{40,64}) ", re.MULTILINE)
_MOST_BYTES = 4096


def mend_head(worktree: Worktree) -> str:
    """Puts a HEAD that holds garbage where it was: on the last commit of its log, or the branch.

    Args:
        worktree: The worktree; its repository has confirmed it.

    Returns:
        A note for the user; empty if there was nothing to mend.

    Raises:
        OSError: If it can't be written.
    """
    path = f"{worktree.admin_dir}/HEAD"
    if not worktree.has_admin or os.path.islink(path):
        return ""
    with open_regular(path) as file:
        if _HEAD.fullmatch(file.read(_MOST_BYTES)):
            return ""
    git, branch = shared_git(worktree.common_dir), f"refs/heads/{worktree.branch}"
    commit = _last_logged(f"{worktree.admin_dir}/logs/HEAD")
    is_detached = bool(commit) and git.commit(commit) not in (None, git.commit(branch))
    write_new(path, f"{commit if is_detached else f'ref: {branch}'}\n".encode())
    return "its HEAD was unreadable: made again from its log"


def _last_logged(path: str) -> str:
    """The commit that a log of HEAD names last; empty if there is none."""
    try:
        with open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST_BYTES))
            lines = _LOGGED.findall(file.read())
    except OSError:
        return ""
    return lines[-1].decode() if lines else ""
