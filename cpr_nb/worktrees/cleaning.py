"""Removes worktrees and branches that nobody needs any more; what would be lost stays."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.states import ENDED_STATES
from cpr_nb.store.read import read_session
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.inspection import gitlinks, unsaved_repository
from cpr_nb.worktrees.listing import TaskBranch, checkout_of, target_of, task_branches
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.repo import shared_git


class Cleaned(NamedTuple):
    """A worktree or a branch that was removed, or that stays.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: The branch, or that of the worktree.
        path: The worktree's folder; None if it is about the branch.
        why: Why it stays; empty if it was removed.
    """

    session_id: str
    task_id: str
    branch: str
    path: str | None
    why: str


class CleanReport(NamedTuple):
    """What cleaning has done, or would do.

    Args:
        removed: What is gone.
        kept: What stays, and why.
        is_dry_run: Whether nothing was removed.
    """

    removed: tuple[Cleaned, ...]
    kept: tuple[Cleaned, ...]
    is_dry_run: bool


def clean(
    session_folders: Iterable[str],
    tasks: Collection[str] | None = None,
    *,
    into: str | None = None,
    dry_run: bool = False,
) -> CleanReport:
    """Removes worktrees and merged branches of ended sessions.

    What is not merged, or holds changes that are in no commit, stays and is told, unless its task
    is named. A session that runs, or can be resumed, is never touched.

    Args:
        session_folders: The sessions.
        tasks: Only these, and these also if that loses something; default all, without loss.
        into: The branch that the others must be merged into; default the main checkout's.
        dry_run: Only tell.

    Returns:
        What was done.

    Example:
        >>> clean([]).removed
        ()
    """
    told: list[Cleaned] = []
    for branch in task_branches(session_folders, tasks):
        with repository_lock(branch.place.common_dir):
            told += _Cleaning(branch, into, named=tasks is not None, dry_run=dry_run).run()
        if not dry_run:
            removing.delete_aside(branch.place)
    removed = tuple(one for one in told if not one.why)
    return CleanReport(removed, tuple(one for one in told if one.why), dry_run)


class _Cleaning:
    """One branch and its worktree; the repository's lock is held."""

    def __init__(self, branch: TaskBranch, into: str | None, *, named: bool, dry_run: bool) -> None:
        self._branch, self._named, self._dry_run = branch, named, dry_run
        self._git = shared_git(branch.place.common_dir)
        self._target = target_of(self._git, into)
        self._place = branch.place

    def run(self) -> Iterator[Cleaned]:
        busy = self._in_use()
        has_worktree = self._branch.has_worktree
        if busy:
            if has_worktree or self._branch.tip:
                yield self._told(self._place.path if has_worktree else None, busy)
            return
        if has_worktree:
            why = "" if self._named else self._would_lose()
            why = why or self._remove()
            yield self._told(self._place.path, why)
            if why:
                return
        harvested = self._branch.note["harvest"] or {}
        own = self._place.branch if self._branch.tip else None
        for name in (own, harvested.get("rescued_branch")):
            tip = self._git.commit(f"refs/heads/{name}") if name else None
            if tip is not None:
                yield self._clean_branch(str(name), tip)

    def _remove(self) -> str:
        """Removes the worktree; tells why if that can't be."""
        if self._dry_run:
            return ""
        place = self._place
        if not place.has_admin:  # named: git has nothing to forget
            os.rename(place.path, removing.aside(place))
            return ""
        theirs = records.read_worktree(place.admin_dir)
        try:
            removing.unregister(place, str(theirs["session_id"]), str(theirs["task_id"]))
        except WorktreeError as error:
            return str(error)
        return ""

    def _in_use(self) -> str:
        """Why nothing of it may be touched."""
        for owner in self._branch.owners:
            if records.is_live(owner.session_folder):
                return f"session {owner.session_id} is running"
        state = read_session(self._branch.session_folder, tasks=False).state
        if state not in ENDED_STATES:
            return f"its session is {state}: resume or cancel it first"
        return ""

    def _would_lose(self) -> str:
        """What removing the worktree would lose."""
        if not self._place.has_folder:
            return ""
        if not self._place.has_admin:
            return "git does not know it any more"
        if self._branch.is_dirty:
            return "it holds changes that are not committed"
        git = self._place.git()
        for name in gitlinks(git):
            why = unsaved_repository(f"{self._place.path}/{name}")
            if why:
                return f"the repository {name} in it holds {why}"
        head = git.commit("HEAD")
        words = ("for-each-ref", "--count=1", f"--contains={head}", "refs/heads")
        return "" if head is None or git.run(*words).out else f"its commit {head} is on no branch"

    def _clean_branch(self, name: str, tip: str) -> Cleaned:
        into, target = self._target
        why = ""
        if name == into:
            why = "it is the target itself"
        elif not self._named and not self._git.is_ancestor(tip, target):
            n_commits = self._git.run("rev-list", "--count", f"{target}..{tip}").text
            why = f"it is not merged (commits that are not in {into}: {n_commits})"
        elif self._other_checkout(name):
            why = f"it is checked out in {self._other_checkout(name)}"
        if not (why or self._dry_run):
            self._git.run("branch", "--quiet", "-D", "--", name)
            records.forget_branch(self._place.common_dir, name)
        return self._told(None, why, name)

    def _other_checkout(self, name: str) -> str | None:
        folder = checkout_of(self._git, name)
        return None if folder == self._place.path else folder  # which a dry run has not removed

    def _told(self, path: str | None, why: str, name: str = "") -> Cleaned:
        branch = self._branch
        return Cleaned(branch.session_id, branch.task_id, name or branch.place.branch, path, why)
