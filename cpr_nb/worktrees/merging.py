"""Merges branches of tasks, one at a time; a checkout moves only when a merge is complete."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import shorten
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.branch_choice import worktrees_folder
from cpr_nb.worktrees.conflicts import forecast, one_repository
from cpr_nb.worktrees.diffstat import links_without_modules
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.inspection import operation_in_progress, unmerged_files
from cpr_nb.worktrees.listing import checkout_of, target_of
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.merge_report import Merged, MergeReport, Skipped, Stopped
from cpr_nb.worktrees.own_repository import OwnRepository
from cpr_nb.worktrees.pushing import PlannedPush
from cpr_nb.worktrees.repo import open_repository
from cpr_nb.worktrees.saving import trailer
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches
from cpr_nb.worktrees.worktree import Worktree

ORDERS = ("fewest-conflicts", "task")


class Target(NamedTuple):
    """The branch to merge into, and the folder in which it is checked out."""

    branch: str
    tip: str
    checkout: str | None


def merge(
    session_folders: Iterable[str],
    tasks: Collection[str] | None = None,
    *,
    into: str | None = None,
    order: str = "fewest-conflicts",
    dry_run: bool = False,
    with_nested: bool = False,
    push: bool = False,
) -> MergeReport:
    """Merges branches of tasks into a branch, until one conflicts.

    Each branch is merged in a temporary worktree. Only when its merge is complete, the target and
    the checkout of the target move forward to the result.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks; default all. With the order ``task`` they are merged in the
            order given here.
        into: The target; default the main checkout's current branch.
        order: ``fewest-conflicts`` or ``task``.
        dry_run: Do everything except moving the target.
        with_nested: Also merge branches that add a repository which ``.gitmodules`` does not name.
            Such a one arrives as an empty folder; others are skipped and reported.
        push: Push the target afterwards, unless merging stopped.

    Returns:
        What was done.

    Raises:
        WorktreeError: If the target can't be merged into, for instance because its checkout has
            changes, or with ``push`` not be pushed: nothing was merged then.
    """
    if order not in ORDERS:
        raise WorktreeError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    branches = task_branches(session_folders, tasks)
    if tasks is not None:
        task_ids = list(tasks)
        branches.sort(key=lambda branch: task_ids.index(branch.task_id))
    repository = one_repository(branches)
    common_dir = repository.common_dir
    target = _find_target(shared_git(common_dir), into)
    planned_push = PlannedPush(Git(repository.folder), target.branch) if push else None
    try:
        with repository_lock(common_dir, "merge.lock", wait=False):
            check_clean(target)
            git = shared_git(common_dir)
            skipped, todo = _select(git, branches, target)
            if not with_nested:
                refused, todo = _refuse_links(git, todo, target)
                skipped += refused
            if order == "fewest-conflicts" and len(todo) > 1:
                predicted = forecast(common_dir, todo, target.branch)
                todo.sort(key=lambda branch: predicted.n_conflicts(branch.worktree.branch))
            report = _Merging(repository, target, todo, skipped, dry_run).run()
            return planned_push.after(report) if planned_push else report
    except BlockingIOError:
        raise WorktreeError("another merge is under way in this repository") from None


def _find_target(git: Git, into: str | None) -> Target:
    name, tip = target_of(git, into)
    if name == tip:
        raise WorktreeError("the main checkout is on no branch: name the branch to merge into")
    return Target(name, tip, checkout_of(git, name))


def check_clean(target: Target) -> None:
    """Refuses a checkout in which someone is in the middle of something.

    Raises:
        WorktreeError: If it has changes, or an operation in progress.
    """
    if target.checkout is None:
        return
    git = Git(target.checkout)
    git_dir = git.run("rev-parse", "--absolute-git-dir").path
    operation = operation_in_progress(Worktree("", target.checkout, git_dir, target.branch, ""))
    changed = git.run("status", "--porcelain", "-z", "--untracked-files=no").names
    if operation or changed:
        n_changed = len(changed)
        reason = f"{n_changed} change{' is' if n_changed == 1 else 's are'} not committed"
        if operation:
            reason = f"a {operation} is in progress"
        raise WorktreeError(
            f"{target.checkout}, where {target.branch} is checked out, is not clean: {reason}; "
            "commit or stash first (git stash)"
        )


def _select(
    git: Git, branches: Sequence[TaskBranch], target: Target
) -> tuple[list[Skipped], list[TaskBranch]]:
    """The branches that don't need merging or can't be merged, and those to merge."""
    skipped, todo = [], []
    for branch in branches:
        why = why_skipped(git, branch, target)
        if why is None:
            todo.append(branch)
        else:
            name = branch.worktree.branch
            skipped.append(Skipped(branch.session_id, branch.task_id, name, why))
    return skipped, todo


def _refuse_links(
    git: Git, branches: Sequence[TaskBranch], target: Target
) -> tuple[list[Skipped], list[TaskBranch]]:
    """The branches that would bring empty folders in place of repositories, and the others."""
    refused, todo = [], []
    for branch in branches:
        tip, name = str(branch.tip), branch.worktree.branch
        base = git.run("merge-base", target.tip, tip, ok=(0, 1)).text.partition("\n")[0]
        links = links_without_modules(git, base or target.tip, tip)
        if links:
            why = (
                f"it adds {shorten(links)}, a repository that is not in .gitmodules: "
                f"{target.branch} would get an empty folder; --with-nested merges it all the same"
            )
            refused.append(Skipped(branch.session_id, branch.task_id, name, why, is_refused=True))
        else:
            todo.append(branch)
    return refused, todo


def why_skipped(git: Git, branch: TaskBranch, target: Target) -> str | None:
    """Why a branch does not need merging, or can't be merged; None if it is to be merged."""
    if branch.doubt:
        return f"not looked at: {branch.doubt}"
    if branch.tip is None:
        harvest = branch.record["harvest"] or {}
        is_empty = bool(harvest) and harvest.get("branch") is None  # it went with its worktree
        return "it changes nothing" if is_empty else "the branch is gone"
    if branch.unsaved:
        return branch.unsaved
    if branch.is_at_work or branch.record.stage == records.READY:
        return "its task has not ended: wait for its session, or resume it"
    if branch.worktree.branch == target.branch:
        return "it is the target itself"
    if git.is_ancestor(branch.tip, target.tip):
        is_empty = branch.tip == branch.worktree.base_commit
        return "it changes nothing" if is_empty else "it is already merged"
    return None


class _Merging:
    """Merges branches one after another, until one can't be merged."""

    def __init__(
        self,
        repository: OwnRepository,
        target: Target,
        todo: Sequence[TaskBranch],
        skipped: Sequence[Skipped],
        dry_run: bool,
    ) -> None:
        self._repository, self._target, self._todo = repository, target, todo
        self._common_dir = repository.common_dir
        self._skipped, self._dry_run = tuple(skipped), dry_run
        self._tip = target.tip
        self._merged: list[Merged] = []

    def run(self) -> MergeReport:
        stopped, left = None, list(self._todo)
        if left:
            with self._temporary_checkout(left[0].worktree_dir) as git:
                while left and stopped is None:
                    stopped = self._merge_branch(git, left.pop(0))
        return MergeReport(
            self._target.branch,
            self._target.tip,
            self._target.tip if self._dry_run else self._tip,
            tuple(self._merged),
            self._skipped,
            stopped,
            tuple(branch.worktree.branch for branch in left),
            self._dry_run,
        )

    @contextlib.contextmanager
    def _temporary_checkout(self, worktree_dir: str) -> Iterator[Git]:
        """A checkout of the target that nobody else uses, where the worktrees of tasks go."""
        repository = self._repository
        parent = worktrees_folder(open_repository(repository.folder), worktree_dir)
        path = f"{parent}/.merging"
        git = shared_git(self._common_dir)
        try:
            with repository_lock(self._common_dir):
                removing.discard_temporary(path, repository)  # a merge that was killed has left it
                os.makedirs(parent, exist_ok=True)
                words = ("worktree", "add", "--no-checkout", "--detach")
                git.run(*words, path, self._tip)
            inside = Git(path, env=git.identity())
            inside.run("reset", "--hard", "--quiet", "--no-recurse-submodules")
            yield inside
        finally:
            with repository_lock(self._common_dir):
                removing.discard_temporary(path, repository)

    def _merge_branch(self, git: Git, branch: TaskBranch) -> Stopped | None:
        """Merges one branch and moves the target, or says why it can't."""
        name = branch.worktree.branch
        message = f"Merge {name}\n\n{trailer(branch.session_id, branch.task_id)}\n"
        words = ("merge", "--no-ff", "--no-stat", "--no-log", "--quiet", "--cleanup=verbatim")
        output = git.run(*words, "-m", message, str(branch.tip), check=False)
        if output.status:
            files = tuple(unmerged_files(git))
            git.run("reset", "--hard", "--quiet", self._tip)
            conflicts = f"conflicts in {len(files)} file{'s' * (len(files) != 1)}"
            return self._stop(branch, conflicts if files else output.err.strip(), files)
        commit = git.run("rev-parse", "HEAD").text
        if not self._dry_run:
            try:
                self._move_target(commit, name)
            except WorktreeError as error:
                return self._stop(branch, str(error), ())
        self._tip = commit
        self._merged.append(Merged(branch.session_id, branch.task_id, name, commit))
        return None

    def _move_target(self, commit: str, name: str) -> None:
        """Moves the target and its checkout forward, or changes nothing."""
        folder, branch = self._target.checkout, self._target.branch
        if folder is None:
            ref = f"refs/heads/{branch}"
            git = shared_git(self._common_dir)
            git.run("update-ref", "-m", f"cpr merge {name}", ref, commit, self._tip)
            return
        git = Git(folder)
        if git.symbolic_head() != f"refs/heads/{branch}" or git.commit("HEAD") != self._tip:
            raise WorktreeError(f"{folder} is no longer where it was when merging began")
        check_clean(self._target)
        words = ("--ff-only", "--no-squash", "--no-stat", "--quiet", "--no-autostash")
        git.run("merge", *words, commit)

    def _stop(self, branch: TaskBranch, why: str, files: tuple[str, ...]) -> Stopped:
        name, target = branch.worktree.branch, self._target
        if target.checkout:
            command = f"git -C {shlex.quote(target.checkout)} merge {shlex.quote(name)}"
        else:
            command = f"git switch {shlex.quote(target.branch)} && git merge {shlex.quote(name)}"
        return Stopped(branch.session_id, branch.task_id, name, files, why, command)
