"""The branches and worktrees of tasks, and what has become of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.repo import registered_worktrees
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches


class WorktreeRow(NamedTuple):
    """A task's branch and worktree, as shown to a person.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: Its branch.
        path: Its worktree; None if it is gone.
        size_bytes: The size of the worktree's files; None if it was not looked at.
        dirty: Whether it has uncommitted changes; None if it is gone, or was not looked at.
        ahead: The number of commits of the branch that the target lacks; None if it is gone.
        behind: The number of commits of the target that the branch lacks.
        merged: Whether the target contains all of it; None if the branch is gone.
        into: The target: a branch, or a commit; None if it was not looked at.
        not_seen: Why the branch or the worktree was not looked at, and what is written down is
            shown: ``foreign``, or what does not fit its repository.
    """

    session_id: str
    task_id: str
    branch: str
    path: str | None
    size_bytes: int | None
    dirty: bool | None
    ahead: int | None
    behind: int | None
    merged: bool | None
    into: str | None
    not_seen: str | None


class BranchesLeft(NamedTuple):
    """What is left to do with the branches of a session.

    Args:
        unmerged: Those that exist, and that the target does not contain.
        doubt: Why git was not run for some of them; empty if it was run for all.
    """

    unmerged: frozenset[str]
    doubt: str


def branches_left(session_folder: str) -> BranchesLeft:
    """What is left to do with the branches of a session; git is called once, not per branch.

    Args:
        session_folder: The session.

    Raises:
        WorktreeError: If the main checkout has no commit.
    """
    branches = task_branches([session_folder])
    unmerged: set[str] = set()
    for common_dir in {branch.worktree.common_dir for branch in branches if branch.tip}:
        git = shared_git(common_dir)
        _, target = target_of(git, None)
        words = ("for-each-ref", "--format=%(refname:lstrip=2)", f"--no-merged={target}")
        names = set(git.run(*words, "refs/heads").text.splitlines())
        ours = (branch.worktree for branch in branches if branch.tip)
        unmerged |= {one.branch for one in ours if one.common_dir == common_dir} & names
    doubt = next((branch.doubt for branch in branches if branch.doubt), "")
    return BranchesLeft(frozenset(unmerged), doubt)


def worktrees(session_folders: Iterable[str], *, into: str | None = None) -> list[WorktreeRow]:
    """The branches and worktrees of sessions.

    Args:
        session_folders: The sessions.
        into: The branch to compare with; default the main checkout's current branch.

    Returns:
        One row per branch.

    Raises:
        WorktreeError: If the branch does not exist.

    Example:
        >>> worktrees([])
        []
    """
    rows, targets = [], dict[str, tuple[str, str]]()
    for branch in task_branches(session_folders):
        common_dir = branch.worktree.common_dir
        if branch.doubt:
            rows.append(_unseen_row(branch))
            continue
        if common_dir not in targets:
            targets[common_dir] = target_of(shared_git(common_dir), into)
        rows.append(_row(branch, *targets[common_dir]))
    return rows


def _unseen_row(branch: TaskBranch) -> WorktreeRow:
    """What is written down about a branch for which git is not run."""
    ids, worktree = (branch.session_id, branch.task_id), branch.worktree
    path = worktree.path or None
    unknown = (None, None, None, None, None)
    return WorktreeRow(*ids, worktree.branch, path, *unknown, None, branch.doubt)


def _row(branch: TaskBranch, into: str, target: str) -> WorktreeRow:
    worktree = branch.worktree
    ahead = behind = merged = None
    has_folder = branch.worktree_doubt is not None and worktree.has_folder
    size_bytes = None if branch.worktree_doubt else 0
    if has_folder and not branch.worktree_doubt:
        size_bytes = sum(_sizes_bytes(worktree.path))
    if branch.tip is not None:
        words = ("rev-list", "--left-right", "--count", f"{branch.tip}...{target}")
        git = shared_git(worktree.common_dir)
        ahead, behind = map(int, git.run(*words).text.split())
        merged = ahead == 0
    return WorktreeRow(
        branch.session_id,
        branch.task_id,
        worktree.branch,
        worktree.path if has_folder else None,
        size_bytes,
        branch.is_dirty,
        ahead,
        behind,
        merged,
        into,
        branch.worktree_doubt or None,
    )


def target_of(git: Git, into: str | None) -> tuple[str, str]:
    """The branch that work is merged into, and its commit.

    Args:
        git: git in the repository.
        into: The branch; default the main checkout's current branch.

    Returns:
        Its name (with a detached HEAD its commit), and its commit.

    Raises:
        WorktreeError: If it does not exist.
    """
    head = git.symbolic_head()
    name = into or (head.removeprefix("refs/heads/") if head else None)
    tip = git.commit(f"refs/heads/{name}" if name else "HEAD")
    if tip is None:
        raise WorktreeError(f"there is no branch {name}" if name else "there is no commit")
    return name or tip, tip


def _sizes_bytes(folder: str) -> Iterator[int]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _sizes_bytes(entry.path)
        else:
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except OSError:
                pass


def checkout_of(git: Git, branch: str) -> str | None:
    """The folder in which a branch is checked out, or None."""
    for registered in registered_worktrees(git):
        if registered.branch == branch and os.path.isdir(registered.path):
            return registered.path
    return None
