"""Merges branches of tasks, one at a time; a checkout moves only when a merge is complete."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.conflicts import forecast, one_repository
from cpr_nb.worktrees.harvest import trailer
from cpr_nb.worktrees.inspection import Place, operation, unmerged_files
from cpr_nb.worktrees.listing import TaskBranch, checkout_of, target_of, task_branches
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.repo import Git, GitFailed, shared_git

ORDERS = ("fewest-conflicts", "task")


class Merged(NamedTuple):
    """A branch that was merged: its task, and the commit that holds both sides."""

    session_id: str
    task_id: str
    branch: str
    commit: str


class Skipped(NamedTuple):
    """A branch that there was nothing to do for, and why."""

    session_id: str
    task_id: str
    branch: str
    why: str


class Stopped(NamedTuple):
    """Where merging stopped.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: The branch that could not be merged; nothing of it was.
        files: The files in conflict; empty if it was something else.
        why: One line for a person.
        command: What to do by hand; after it, merging goes on with the rest.
    """

    session_id: str
    task_id: str
    branch: str
    files: tuple[str, ...]
    why: str
    command: str


class MergeReport(NamedTuple):
    """What merging has done, or would do.

    Args:
        into: The branch that was merged into.
        before: Where it was.
        after: Where it is now; in a dry run, where it was.
        merged: What was merged, in order.
        skipped: What was left aside.
        stopped: Where it stopped; None if everything was merged.
        left: The branches that come after it.
        is_dry_run: Whether nothing was moved.
    """

    into: str
    before: str
    after: str
    merged: tuple[Merged, ...]
    skipped: tuple[Skipped, ...]
    stopped: Stopped | None
    left: tuple[str, ...]
    is_dry_run: bool


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
) -> MergeReport:
    """Merges branches of tasks into a branch, until one conflicts.

    Each is merged in a temporary worktree. Only when that is complete, the target and the
    checkout that it is in go forward to the result.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks that are wanted; default all. With the order ``task`` they
            are merged in the order given here.
        into: The target; default the main checkout's current branch.
        order: ``fewest-conflicts`` or ``task``.
        dry_run: Do everything but move the target.

    Returns:
        What was done.

    Raises:
        WorktreeError: If the target can't be merged into: its checkout has changes, say.
    """
    if order not in ORDERS:
        raise WorktreeError(f"order must be one of {', '.join(ORDERS)}, not {order!r}")
    found = task_branches(session_folders, tasks)
    if tasks is not None:
        wanted = list(tasks)
        found.sort(key=lambda branch: wanted.index(branch.task_id))
    common_dir = one_repository(found)
    git = shared_git(common_dir)
    name, tip = target_of(git, into)
    if name == tip:
        raise WorktreeError("the main checkout is on no branch: say into which one to merge")
    target = Target(name, tip, checkout_of(git, name))
    try:
        with repository_lock(common_dir, "merge.lock", wait=False):
            check_clean(target)
            skipped, todo = _choose(git, found, target)
            if order == "fewest-conflicts" and len(todo) > 1:
                told = forecast(common_dir, todo, name)
                todo.sort(key=lambda branch: told.n_conflicts(branch.place.branch))
            return _Merging(common_dir, target, todo, skipped, dry_run).run()
    except BlockingIOError:
        raise WorktreeError("another merge is under way in this repository") from None


def check_clean(target: Target) -> None:
    """Refuses a checkout in which somebody is in the middle of something.

    Raises:
        WorktreeError: If it has changes, or an operation in progress.
    """
    if target.checkout is None:
        return
    git = Git(target.checkout)
    git_dir = git.run("rev-parse", "--absolute-git-dir").text
    busy = operation(Place("", target.checkout, git_dir, target.branch, ""))
    words = ("status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty")
    changed = git.run(*words).names
    if busy or changed:
        what = f"a {busy} is in progress" if busy else f"{len(changed)} changes are not committed"
        raise WorktreeError(
            f"{target.checkout}, where {target.branch} is checked out, is not clean: {what}; "
            "commit or stash first (git stash)"
        )


def _choose(
    git: Git, found: Sequence[TaskBranch], target: Target
) -> tuple[list[Skipped], list[TaskBranch]]:
    """What there is nothing to do for, and what there is."""
    skipped, todo = [], []
    for branch in found:
        why = None
        if branch.tip is None:
            why = "the branch is gone"
        elif branch.is_at_work or branch.note.stage == records.READY:
            why = "its task has not ended: wait for its session, or resume it"
        elif branch.place.branch == target.branch:
            why = "it is the target itself"
        elif git.is_ancestor(branch.tip, target.tip):
            same = branch.tip == branch.place.base_commit
            why = "it changes nothing" if same else "it is merged already"
        if why is None:
            todo.append(branch)
        else:
            skipped.append(Skipped(branch.session_id, branch.task_id, branch.place.branch, why))
    return skipped, todo


class _Merging:
    """One go at it."""

    def __init__(
        self,
        common_dir: str,
        target: Target,
        todo: Sequence[TaskBranch],
        skipped: Sequence[Skipped],
        dry_run: bool,
    ) -> None:
        self._common_dir, self._target, self._todo = common_dir, target, todo
        self._skipped, self._dry_run = tuple(skipped), dry_run
        self._tip = target.tip
        self._merged: list[Merged] = []

    def run(self) -> MergeReport:
        stopped, left = None, list(self._todo)
        if left:
            with self._worktree(os.path.dirname(left[0].place.path)) as git:
                while left and stopped is None:
                    stopped = self._one(git, left.pop(0))
        return MergeReport(
            self._target.branch,
            self._target.tip,
            self._target.tip if self._dry_run else self._tip,
            tuple(self._merged),
            self._skipped,
            stopped,
            tuple(branch.place.branch for branch in left),
            self._dry_run,
        )

    @contextlib.contextmanager
    def _worktree(self, parent: str) -> Iterator[Git]:
        """A checkout of the target that nobody else uses."""
        place = Place(self._common_dir, f"{parent}/.merging", "", "", "")
        os.makedirs(parent, exist_ok=True)
        git = shared_git(self._common_dir)
        try:
            with repository_lock(self._common_dir):
                removing.discard(place)  # of one that was killed
                os.makedirs(parent, exist_ok=True)
                words = ("worktree", "add", "--no-checkout", "--detach")
                git.run(*words, place.path, self._tip)
            inside = Git(place.path, env=git.identity())
            inside.run("reset", "--hard", "--quiet", "--no-recurse-submodules")
            yield inside
        finally:
            with repository_lock(self._common_dir):
                removing.discard(place)

    def _one(self, git: Git, branch: TaskBranch) -> Stopped | None:
        """Merges one branch and moves the target; tells why if it can't."""
        name = branch.place.branch
        message = f"Merge {name}\n\n{trailer(branch.session_id, branch.task_id)}\n"
        words = ("merge", "--no-ff", "--no-stat", "--no-log", "--quiet", "--cleanup=verbatim")
        said = git.run(*words, "-m", message, str(branch.tip), check=False)
        if said.status:
            files = tuple(unmerged_files(git))
            git.run("reset", "--hard", "--quiet", self._tip)
            why = (
                f"conflicts in {len(files)} file{'s' * (len(files) != 1)}"
                if files
                else said.err.strip()
            )
            return self._stop(branch, why, files)
        commit = git.run("rev-parse", "HEAD").text
        if not self._dry_run:
            try:
                self._move(commit, name)
            except (WorktreeError, GitFailed) as error:
                return self._stop(branch, str(error), ())
        self._tip = commit
        self._merged.append(Merged(branch.session_id, branch.task_id, name, commit))
        return None

    def _move(self, commit: str, name: str) -> None:
        """Lets the target and its checkout go forward, or changes nothing."""
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
        name, target = branch.place.branch, self._target
        if target.checkout:
            command = f"git -C {shlex.quote(target.checkout)} merge {shlex.quote(name)}"
        else:
            command = f"git switch {shlex.quote(target.branch)} && git merge {shlex.quote(name)}"
        return Stopped(branch.session_id, branch.task_id, name, files, why, command)
