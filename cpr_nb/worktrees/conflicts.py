"""Predicts which branches would conflict, without touching anything."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import git as gitpython

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.listing import target_of
from cpr_nb.worktrees.own_repository import OwnRepository
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches

OLDEST_GIT_WITH_MERGE_TREE = (2, 38)
_MOST_THREADS = 8


class Conflict(NamedTuple):
    """Two branches that can't be merged without a person.

    Args:
        left: A task's branch.
        right: Another task's branch, or the target.
        files: The files in conflict.
    """

    left: str
    right: str
    files: tuple[str, ...]


class Forecast(NamedTuple):
    """The conflicts that merging would meet.

    Args:
        into: The target.
        branches: The tasks' branches that were compared.
        against_target: Conflicts with the target.
        between: Conflicts between two tasks' branches.
    """

    into: str
    branches: tuple[str, ...]
    against_target: tuple[Conflict, ...]
    between: tuple[Conflict, ...]

    def n_conflicts(self, branch: str) -> int:
        """How many other branches a branch conflicts with."""
        every = (*self.against_target, *self.between)
        return sum(branch in (conflict.left, conflict.right) for conflict in every)


def conflicts(
    session_folders: Iterable[str],
    tasks: Collection[str] | None = None,
    *,
    into: str | None = None,
) -> Forecast:
    """Which branches of tasks would conflict: with the target, and with each other.

    Nothing changes: not a file, not a reference, not an object of the repository.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks; default all.
        into: The target; default the main checkout's current branch.

    Raises:
        WorktreeError: If git is older than 2.38, or the branches are of several repositories.
    """
    branches = task_branches(session_folders, tasks)
    common_dir = one_repository(branches).common_dir
    return forecast(common_dir, [one for one in branches if one.tip], into)


def one_repository(branches: Sequence[TaskBranch]) -> OwnRepository:
    """The repository of all these branches, as far as it is certain.

    Raises:
        WorktreeError: If there is none, or more than one.
    """
    repositories = {one.repository.common_dir: one.repository for one in branches if one.repository}
    if branches and not repositories:
        raise WorktreeError(f"git was not run here: {branches[0].doubt}")
    if not repositories:
        raise WorktreeError("there is no branch of a task here")
    if len(repositories) > 1:
        folders = ", ".join(sorted(repositories))
        raise WorktreeError(f"the tasks worked in several repositories: {folders}")
    (repository,) = repositories.values()
    return repository


def forecast(common_dir: str, branches: Sequence[TaskBranch], into: str | None) -> Forecast:
    """Compares every branch with the target and with every other one."""
    check_version()
    name, target = target_of(shared_git(common_dir), into)
    tips = {branch.worktree.branch: str(branch.tip) for branch in branches}
    pairs = [(branch, name) for branch in tips]
    pairs += list(itertools.combinations(tips, 2))
    with scratch_objects(common_dir) as git:

        def compare(pair: tuple[str, str]) -> Conflict | None:
            left, right = pair
            files = conflicting_files(git, tips[left], tips.get(right, target))
            return None if files is None else Conflict(left, right, files)

        n_threads = min(_MOST_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(n_threads) as pool:
            pairwise = [conflict for conflict in pool.map(compare, pairs) if conflict]
    with_target = tuple(conflict for conflict in pairwise if conflict.right == name)
    between = tuple(conflict for conflict in pairwise if conflict.right != name)
    return Forecast(name, tuple(tips), with_target, between)


def check_version() -> None:
    """Refuses a git that is too old to compare branches without touching anything.

    Raises:
        WorktreeError: If it is older than 2.38.
    """
    version = gitpython.Git().version_info
    if version[:2] < OLDEST_GIT_WITH_MERGE_TREE:
        present, needed = (
            ".".join(map(str, numbers)) for numbers in (version, OLDEST_GIT_WITH_MERGE_TREE)
        )
        raise WorktreeError(f"this needs git {needed} or newer (git merge-tree), not {present}")


@contextlib.contextmanager
def scratch_objects(common_dir: str) -> Iterator[Git]:
    """Git on a repository; the objects that it writes go to a folder that is removed."""
    quoted = f"{common_dir}/objects".replace("\\", "\\\\").replace('"', '\\"')
    with tempfile.TemporaryDirectory(prefix="cpr-objects-") as folder:
        env = {"GIT_OBJECT_DIRECTORY": folder, "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{quoted}"'}
        yield shared_git(common_dir).having(env=env)


def conflicting_files(git: Git, left: str, right: str) -> tuple[str, ...] | None:
    """The files in which two commits conflict; None if they don't."""
    words = ("merge-tree", "--write-tree", "--name-only", "--no-messages", "-z")
    output = git.run(*words, "--allow-unrelated-histories", left, right, ok=(0, 1))
    return tuple(output.names[1:]) if output.status else None
