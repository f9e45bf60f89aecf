"""Removes worktrees and branches that are no longer needed; keeps whatever would be lost."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.states import ENDED_STATES
from cpr_nb.store.read import read_session
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.git_command import shared_git
from cpr_nb.worktrees.listing import checkout_of, target_of
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.own_repository import OwnRepository
from cpr_nb.worktrees.saving import is_rescued_branch
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches
from cpr_nb.worktrees.unsaved import unsaved_work

#: Why the worktrees of a foreign session stay.
NOT_SEEN_FOREIGN = "not looked at: foreign"


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
    """What cleaning has removed, or would remove.

    Args:
        removed: What is gone.
        kept: What stays, and why.
        is_dry_run: Whether nothing was removed.
        n_foreign: How many foreign sessions were left alone, if they are not in ``kept``.
    """

    removed: tuple[Cleaned, ...]
    kept: tuple[Cleaned, ...]
    is_dry_run: bool
    n_foreign: int = 0

    def without_foreign(self) -> CleanReport:
        """The same report, which only counts the foreign sessions: nobody has named them."""
        foreign = {one.session_id for one in self.kept if one.why == NOT_SEEN_FOREIGN}
        kept = tuple(one for one in self.kept if one.why != NOT_SEEN_FOREIGN)
        return self._replace(kept=kept, n_foreign=len(foreign))


def clean(
    session_folders: Iterable[str],
    tasks: Collection[str] | None = None,
    *,
    into: str | None = None,
    dry_run: bool = False,
) -> CleanReport:
    """Removes worktrees and merged branches of ended sessions.

    Branches that are not merged and worktrees with uncommitted changes stay, and the report says
    why, unless their task is named. A session that runs, or can be resumed, is never touched.

    Args:
        session_folders: The sessions.
        tasks: Clean only these tasks, even if that loses something; default all, without loss.
        into: The branch that the others must be merged into; default the main checkout's.
        dry_run: Remove nothing.

    Returns:
        What was removed, and what stays.

    Example:
        >>> clean([]).removed
        ()
    """
    entries: list[Cleaned] = []
    for branch in task_branches(session_folders, tasks):
        repository = branch.repository
        if repository is None:
            entries.append(_not_seen(branch))
            continue
        with repository_lock(repository.common_dir):
            cleaning = _Cleaning(branch, repository, into, named=tasks is not None, dry_run=dry_run)
            entries += cleaning.run()
        if cleaning.has_removed_worktree:
            removing.delete_aside(branch.worktree, repository)
    removed = tuple(entry for entry in entries if not entry.why)
    return CleanReport(removed, tuple(entry for entry in entries if entry.why), dry_run)


def _not_seen(branch: TaskBranch) -> Cleaned:
    """What stays because its repository is not certain."""
    why = NOT_SEEN_FOREIGN if branch.is_foreign else f"not looked at: {branch.doubt}"
    ids = branch.session_id, branch.task_id
    return Cleaned(*ids, branch.worktree.branch, branch.worktree.path or None, why)


class _Cleaning:
    """Cleans one branch and its worktree; the repository's lock is held."""

    def __init__(
        self,
        branch: TaskBranch,
        repository: OwnRepository,
        into: str | None,
        *,
        named: bool,
        dry_run: bool,
    ) -> None:
        self._branch, self._named, self._dry_run = branch, named, dry_run
        self._repository = repository
        self._git = shared_git(repository.common_dir)
        self.has_removed_worktree = False
        self._target = target_of(self._git, into)
        self._worktree = branch.worktree

    def run(self) -> Iterator[Cleaned]:
        has_worktree = self._branch.worktree_doubt is not None
        usage = self._usage()
        if usage:
            if has_worktree or self._branch.tip:
                yield self._entry(self._worktree.path if has_worktree else None, usage)
            return
        if self._branch.unsaved and not self._named:
            yield self._entry(self._worktree.path if has_worktree else None, self._branch.unsaved)
            return
        if has_worktree:
            obstacle = self._clean_worktree()
            yield self._entry(self._worktree.path, obstacle)
            if obstacle:
                return
        for name, tip in self._branches():
            yield self._clean_branch(name, tip)

    def _usage(self) -> str:
        """Why nothing may be touched: the session runs, or can be resumed."""
        for owner in self._branch.owners:
            if records.is_live(owner.session_folder):
                return f"session {owner.session_id} is running"
        state = read_session(self._branch.owner.session_folder, tasks=False).state
        if state not in ENDED_STATES:
            return f"its session is {state}: resume or cancel it first"
        return ""

    # -- the worktree -----------------------------------------------------------------------

    def _clean_worktree(self) -> str:
        """Removes the worktree, or returns why it stays."""
        loss = self._branch.worktree_doubt or ("" if self._named else self._would_lose())
        if loss or self._dry_run:
            return loss
        try:
            removing.unregister(Claim(self._worktree, self._branch.owner), self._repository)
        except WorktreeError as error:
            return str(error)
        self.has_removed_worktree = True
        return ""

    def _would_lose(self) -> str:
        """What would be lost with the worktree."""
        if not self._worktree.has_folder:
            return ""
        git = self._worktree.git()
        if self._branch.is_dirty:
            record = self._branch.record
            from_setup, since_ns = record["from_setup"] or {}, since_first_setup_ns(record)
            lines = unsaved_work(self._worktree, git, from_setup, since_ns)
            return "; ".join(lines) or "it holds changes that are not committed"
        head = git.commit("HEAD")
        words = ("for-each-ref", "--count=1", f"--contains={head}", "refs/heads")
        return "" if head is None or git.run(*words).out else f"its commit {head} is on no branch"

    # -- the branches -----------------------------------------------------------------------

    def _branches(self) -> Iterator[tuple[str, str]]:
        """The task's own branch and its rescued one, as far as they exist: name and commit."""
        report = self._branch.record["harvest"] or {}
        own, rescued = self._worktree.branch, report.get("rescued_branch")
        names = [own] if self._branch.tip else []
        names += [str(rescued)] if is_rescued_branch(rescued, own) else []
        for name in names:
            tip = self._git.commit(f"refs/heads/{name}")
            if tip is not None:
                yield name, tip

    def _clean_branch(self, name: str, tip: str) -> Cleaned:
        obstacle = self._branch_obstacle(name, tip)
        if not (obstacle or self._dry_run):
            self._git.run("branch", "--quiet", "-D", "--", name)
            records.forget_branch(self._worktree.common_dir, name)
        return self._entry(None, obstacle, name)

    def _branch_obstacle(self, name: str, tip: str) -> str:
        """Why a branch stays; empty if it can be removed."""
        into, target = self._target
        if name == into:
            return "it is the target itself"
        if not self._named and not self._git.is_ancestor(tip, target):
            n_commits = self._git.run("rev-list", "--count", f"{target}..{tip}").text
            return f"it is not merged (commits that are not in {into}: {n_commits})"
        folder = checkout_of(self._git, name)
        is_own = self._branch.worktree_doubt == "" and folder == self._worktree.path
        if folder and not is_own:  # a dry run has not removed its own worktree
            return f"it is checked out in {folder}"
        return ""

    def _entry(self, path: str | None, why: str, name: str = "") -> Cleaned:
        branch = self._branch
        return Cleaned(branch.session_id, branch.task_id, name or branch.worktree.branch, path, why)
