"""Which branches and worktrees the tasks of sessions have, and what has become of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import notes
from cpr_nb.worktrees.harvest import place_of
from cpr_nb.worktrees.looking import Place
from cpr_nb.worktrees.notes import TaskNote
from cpr_nb.worktrees.repo import Git, registered_worktrees, shared_git


class TaskBranch(NamedTuple):
    """A task's branch, as its session's folder knows it."""

    session_folder: str
    session_id: str
    task_id: str
    note: TaskNote
    place: Place
    #: Where the branch is; None if it is gone.
    tip: str | None

    @property
    def owners(self) -> tuple[notes.Owner, ...]:
        """Every task that ever worked on the branch."""
        note = notes.read_branch(self.place.common_dir, self.place.branch)
        own = notes.Owner(self.session_id, self.task_id, self.session_folder)
        return note.owners if note else (own,)

    @property
    def is_at_work(self) -> bool:
        """Whether a task may be working on it just now."""
        return any(notes.in_use(owner) for owner in self.owners)


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

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks that are wanted; default all.

    Raises:
        WorktreeError: If a task that is wanted never had a branch.
    """
    found: dict[tuple[str, str], TaskBranch] = {}
    for folder in map(os.path.abspath, session_folders):
        session_id = os.path.basename(folder).removeprefix("session-")
        for task_id, note in notes.task_notes(folder):
            place = place_of(note)
            wanted = tasks is None or task_id in tasks
            if wanted and place.branch and os.path.isdir(place.common_dir):
                tip = shared_git(place.common_dir).commit(f"refs/heads/{place.branch}")
                branch = TaskBranch(folder, session_id, task_id, note, place, tip)
                key = place.common_dir, place.branch
                if key not in found or branch.owners[-1].is_task(session_id, task_id):
                    found[key] = branch
    missing = sorted(set(tasks or ()) - {branch.task_id for branch in found.values()})
    if missing:
        raise WorktreeError(f"no worktree was ever made for {', '.join(missing)}")
    return list(found.values())


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
    if branch.tip is not None:
        words = ("rev-list", "--left-right", "--count", f"{branch.tip}...{target}")
        ahead, behind = map(int, git.run(*words).text.split())
        merged = ahead == 0
    return WorktreeRow(
        branch.session_id,
        branch.task_id,
        place.branch,
        place.path if place.has_folder else None,
        sum(_sizes_bytes(place.path)) if place.has_folder else 0,
        is_dirty(place) if place.has_folder else None,
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


def is_dirty(place: Place) -> bool:
    """Whether a worktree holds changes that are in no commit; what git can't read, does."""
    said = place.git().run("status", "--porcelain", "-z", check=False)
    return bool(said.status or said.out) or not place.has_admin


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
