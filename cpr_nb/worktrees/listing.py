"""The branches and worktrees of tasks, and what has become of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.read import read_session
from cpr_nb.worktrees import records
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.inspection import is_dirty
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.repo import registered_worktrees
from cpr_nb.worktrees.worktree import Worktree, worktree_of


class TaskBranch(NamedTuple):
    """A task's branch, as recorded in its session's folder."""

    session_folder: str
    session_id: str
    task_id: str
    record: WorktreeRecord
    worktree: Worktree
    #: The branch's commit; None if the branch is gone, or now belongs to someone else.
    tip: str | None
    #: Every task that ever worked on the branch, the latest last.
    owners: tuple[records.Owner, ...]

    @property
    def is_at_work(self) -> bool:
        """Whether a task may be working on it now."""
        return any(records.in_use(owner) for owner in self.owners)

    @property
    def has_worktree(self) -> bool:
        """Whether it has a worktree whose folder does not belong to another task now."""
        if not self.worktree.has_admin:
            report = self.record["harvest"] or {}
            return self.worktree.has_folder and report.get("worktree") == self.worktree.path
        mark = records.read_mark(self.worktree.admin_dir)
        ids = str(mark.get("session_id")), str(mark.get("task_id"))
        return any(owner.is_task(*ids) for owner in self.owners)

    @property
    def is_dirty(self) -> bool:
        """Whether its worktree holds changes that are in no commit."""
        since_ns = since_first_setup_ns(self.record)
        return is_dirty(self.worktree, self.record["from_setup"] or {}, since_ns)


class WorktreeRow(NamedTuple):
    """A task's branch and worktree, as shown to a person.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: Its branch.
        path: Its worktree; None if it is gone.
        size_bytes: The size of the worktree's files.
        dirty: Whether it has uncommitted changes; None if it is gone.
        ahead: The number of commits of the branch that the target lacks; None if it is gone.
        behind: The number of commits of the target that the branch lacks.
        merged: Whether the target contains all of it; None if the branch is gone.
        into: The target: a branch, or a commit.
    """

    session_id: str
    task_id: str
    branch: str
    path: str | None
    size_bytes: int
    dirty: bool | None
    ahead: int | None
    behind: int | None
    merged: bool | None
    into: str


def task_branches(
    session_folders: Iterable[str], tasks: Collection[str] | None = None
) -> list[TaskBranch]:
    """The branches of tasks, each once: for its latest task, if several worked on it.

    They come in the order of the sessions' tasks.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks; default all.

    Raises:
        WorktreeError: If one of ``tasks`` never had a branch.
    """
    branches: dict[tuple[str, ...], TaskBranch] = {}
    for folder in map(os.path.abspath, session_folders):
        for branch in _branches_of_session(folder, tasks):
            latest = branch.owners[-1]
            key = (
                branch.worktree.common_dir,
                branch.worktree.branch,
                *(() if branch.tip else latest),
            )
            if latest.is_task(branch.session_id, branch.task_id) or key not in branches:
                branches[key] = branch
    missing = sorted(set(tasks or ()) - {branch.task_id for branch in branches.values()})
    if missing:
        raise WorktreeError(f"no worktree was ever made for {', '.join(missing)}")
    return list(branches.values())


def _branches_of_session(folder: str, tasks: Collection[str] | None) -> Iterator[TaskBranch]:
    """The branches of one session's tasks, in the order of the tasks."""
    ids = [str(task.get("transaction_id")) for task in read_session(folder).tasks or ()]
    numbers = {task_id: number for number, task_id in enumerate(ids)}
    named = [pair for pair in records.worktree_records(folder) if tasks is None or pair[0] in tasks]
    for task_id, record in sorted(named, key=lambda pair: numbers.get(pair[0], len(numbers))):
        worktree = worktree_of(record)
        if worktree.branch and os.path.isdir(worktree.common_dir):
            yield _task_branch(folder, task_id, record, worktree)


def _task_branch(
    folder: str, task_id: str, record: WorktreeRecord, worktree: Worktree
) -> TaskBranch:
    own = records.Owner(os.path.basename(folder).removeprefix("session-"), task_id, folder)
    branch = records.read_branch(worktree.common_dir, worktree.branch)
    tip: str | None = None
    owners: tuple[records.Owner, ...] = (own,)
    if branch is not None and branch.belongs_to(own.session_id, task_id):
        tip = shared_git(worktree.common_dir).commit(f"refs/heads/{worktree.branch}")
        owners = branch.owners
    return TaskBranch(folder, own.session_id, task_id, record, worktree, tip, owners)


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
    return [_row(branch, into) for branch in task_branches(session_folders)]


def _row(branch: TaskBranch, into: str | None) -> WorktreeRow:
    worktree = branch.worktree
    git = shared_git(worktree.common_dir)
    name, target = target_of(git, into)
    ahead = behind = merged = None
    has_folder = branch.has_worktree and worktree.has_folder
    if branch.tip is not None:
        words = ("rev-list", "--left-right", "--count", f"{branch.tip}...{target}")
        ahead, behind = map(int, git.run(*words).text.split())
        merged = ahead == 0
    return WorktreeRow(
        branch.session_id,
        branch.task_id,
        worktree.branch,
        worktree.path if has_folder else None,
        sum(_sizes_bytes(worktree.path)) if has_folder else 0,
        branch.is_dirty if has_folder else None,
        ahead,
        behind,
        merged,
        name,
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
