"""Commits that only a worktree's own git directory names: they would go with it."""

from __future__ import annotations

import os
import re

from cpr_nb.store.git_files import content_of, id_or_empty
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.worktree import Worktree

# What an operation in progress has put aside; ``git stash`` does not list it.
_AUTOSTASHES = ("MERGE_AUTOSTASH", "rebase-merge/autostash", "rebase-apply/autostash")
# A line of the log of HEAD that left a commit on which it was detached.
_LEFT = re.compile(rb"([0-9a-f]+) [0-9a-f]+ [^\t]*\tcheckout: moving from \1 to ", re.MULTILINE)
_OWN_REFS = ("refs/worktree", "refs/bisect")


def commits_left_behind(worktree: Worktree, shared: Git) -> list[str]:
    """The commits that HEAD was detached on and left, those of refs of its own, and autostashes.

    What an agent has amended, or reset a branch from, is not among them: it undid that itself.

    Args:
        worktree: The worktree.
        shared: git in its repository.
    """
    if not worktree.has_admin:
        return []
    admin = worktree.admin_dir
    ids = [os.fsdecode(match) for match in _LEFT.findall(content_of(f"{admin}/logs/HEAD"))]
    if any(os.path.isdir(f"{admin}/{ref}") for ref in _OWN_REFS):
        words = ("for-each-ref", "--format=%(objectname)", *_OWN_REFS)
        ids += worktree.git().run(*words).text.splitlines()
    ids += [id_or_empty(os.fsdecode(content_of(f"{admin}/{name}"))) for name in _AUTOSTASHES]
    return [name for name in dict.fromkeys(ids) if name and shared.commit(name) == name]


def refs_that_hold(shared: Git, commit: str) -> dict[str, str]:
    """The refs of a repository that hold a commit, and the commits that they are on."""
    words = ("for-each-ref", "--format=%(objectname) %(refname)", f"--contains={commit}")
    lines = shared.run(*words).text.splitlines()
    return {name: tip for tip, _, name in (line.partition(" ") for line in lines)}
