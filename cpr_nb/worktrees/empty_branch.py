"""Removes the branch of a task that has changed nothing: then its id can be used again."""

from __future__ import annotations

from cpr_nb.worktrees import records
from cpr_nb.worktrees.git_command import Git, GitFailed, shared_git
from cpr_nb.worktrees.records import Owner
from cpr_nb.worktrees.repo import registered_worktrees
from cpr_nb.worktrees.worktree import Worktree


def drop_empty(worktree: Worktree, owner: Owner) -> bool:
    """Removes a task's branch if nothing was ever committed on it.

    The caller holds the repository's lock, and the task's worktree is gone.

    Args:
        worktree: The worktree that the branch belonged to.
        owner: The task.

    Returns:
        Whether the branch is gone.
    """
    git, ref = shared_git(worktree.common_dir), f"refs/heads/{worktree.branch}"
    tip, record = git.commit(ref), records.read_branch(worktree.common_dir, worktree.branch)
    if record is None or not record.owners[-1].is_task(owner.session_id, owner.task_id):
        return tip is None
    if tip is not None:
        if tip != record.base_commit or _was_moved(git, ref, tip) or _is_in_use(git, worktree):
            return False
        try:
            git.run("update-ref", "-d", ref, tip)
        except GitFailed:  # somebody has moved it just now
            return False
    records.forget_branch(worktree.common_dir, worktree.branch)
    return True


def _was_moved(git: Git, ref: str, tip: str) -> bool:
    """Whether it held other commits once: only its reflog still names them."""
    commits = git.run("reflog", "show", "--format=%H", ref, check=False).text.split()
    return bool(set(commits) - {tip})


def _is_in_use(git: Git, worktree: Worktree) -> bool:
    return any(one.branch == worktree.branch for one in registered_worktrees(git))
