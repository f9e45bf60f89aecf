"""Which branches and worktrees the tasks of sessions have, and what has become of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.read import read_session
from cpr_nb.worktrees import records
from cpr_nb.worktrees.harvest import place_of
from cpr_nb.worktrees.inspection import Place, is_dirty
from cpr_nb.worktrees.records import TaskNote
from cpr_nb.worktrees.repo import Git, registered_worktrees, shared_git


class TaskBranch(NamedTuple):
    """A task's branch, as its session's folder knows it."""

    session_folder: str
    session_id: str
    task_id: str
    note: TaskNote
    place: Place
    #: Where the branch is; None if it is gone, or by now that of somebody else.
    tip: str | None
    #: Every task that ever worked on the branch, the latest last.
    owners: tuple[records.Owner, ...]

    @property
    def is_at_work(self) -> bool:
        """Whether a task may be working on it just now."""
        return any(records.in_use(owner) for owner in self.owners)

    @property
    def has_worktree(self) -> bool:
        """Whether it has a worktree, and the folder is not by now that of another task."""
        if not self.place.has_admin:
            harvested = self.note["harvest"] or {}
            return self.place.has_folder and harvested.get("worktree") == self.place.path
        theirs = records.read_worktree(self.place.admin_dir)
        ids = str(theirs.get("session_id")), str(theirs.get("task_id"))
        return any(owner.is_task(*ids) for owner in self.owners)

    @property
    def is_dirty(self) -> bool:
        """Whether its worktree holds changes that are in no commit."""
        return is_dirty(self.place, self.note["from_setup"] or {})


class WorktreeRow(NamedTuple):
    """What a person wants to know of a task's branch and worktree.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: Its branch.
        path: Its worktree; None if it is gone.
        size_bytes: What the files of the worktree hold.
        dirty: Whether it holds changes that are not committed; None if it is gone.
        ahead: How many commits of the branch the target does not have; None if it is gone.
        behind: How many commits of the target the branch does not have.
        merged: Whether the target has all of it; None if the branch is gone.
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
    """The branches of tasks, each once: of several tasks that worked on it, the latest.

    They come in the order of the sessions' tasks.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks that are wanted; default all.

    Raises:
        WorktreeError: If a task that is wanted never had a branch.
    """
    found: dict[tuple[str, ...], TaskBranch] = {}
    for folder in map(os.path.abspath, session_folders):
        known = [str(t.get("transaction_id")) for t in read_session(folder).tasks or ()]
        numbers = {task_id: number for number, task_id in enumerate(known)}
        here = [one for one in records.task_notes(folder) if tasks is None or one[0] in tasks]
        for task_id, note in sorted(here, key=lambda one: numbers.get(one[0], len(numbers))):
            place = place_of(note)
            if place.branch and os.path.isdir(place.common_dir):
                branch = _task_branch(folder, task_id, note, place)
                own = branch.owners[-1].is_task(branch.session_id, task_id)
                key = place.common_dir, place.branch, *(() if branch.tip else branch.owners[-1])
                if own or key not in found:
                    found[key] = branch
    missing = sorted(set(tasks or ()) - {branch.task_id for branch in found.values()})
    if missing:
        raise WorktreeError(f"no worktree was ever made for {', '.join(missing)}")
    return list(found.values())


def _task_branch(folder: str, task_id: str, note: TaskNote, place: Place) -> TaskBranch:
    own = records.Owner(os.path.basename(folder).removeprefix("session-"), task_id, folder)
    known = records.read_branch(place.common_dir, place.branch)
    tip: str | None = None
    owners: tuple[records.Owner, ...] = (own,)
    if known is not None and known.belongs_to(own.session_id, task_id):
        tip = shared_git(place.common_dir).commit(f"refs/heads/{place.branch}")
        owners = known.owners
    return TaskBranch(folder, own.session_id, task_id, note, place, tip, owners)


def worktrees(session_folders: Iterable[str], *, into: str | None = None) -> list[WorktreeRow]:
    """The branches and worktrees of sessions.

    Args:
        session_folders: The sessions.
        into: The branch that they are compared with; default the main checkout's current one.

    Returns:
        A row for each branch.

    Raises:
        WorktreeError: If there is no such branch.

    Example:
        >>> worktrees([])
        []
    """
    return [_row(branch, into) for branch in task_branches(session_folders)]


def _row(branch: TaskBranch, into: str | None) -> WorktreeRow:
    place = branch.place
    git = shared_git(place.common_dir)
    name, target = target_of(git, into)
    ahead = behind = merged = None
    has_folder = branch.has_worktree and place.has_folder
    if branch.tip is not None:
        words = ("rev-list", "--left-right", "--count", f"{branch.tip}...{target}")
        ahead, behind = map(int, git.run(*words).text.split())
        merged = ahead == 0
    return WorktreeRow(
        branch.session_id,
        branch.task_id,
        place.branch,
        place.path if has_folder else None,
        sum(_sizes_bytes(place.path)) if has_folder else 0,
        branch.is_dirty if has_folder else None,
        ahead,
        behind,
        merged,
        name,
    )


def target_of(git: Git, into: str | None) -> tuple[str, str]:
    """The branch that work goes to, and where it is.

    Args:
        git: git in the repository.
        into: The branch; default the main checkout's current one.

    Returns:
        Its name (with a detached HEAD its commit), and its commit.

    Raises:
        WorktreeError: If there is none.
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
    """The folder in which a branch is checked out, if there is one."""
    for found in registered_worktrees(git):
        if found.branch == branch and os.path.isdir(found.path):
            return found.path
    return None
