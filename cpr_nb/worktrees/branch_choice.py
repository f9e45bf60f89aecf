"""Which branch a task gets, and which folder its worktree."""

from __future__ import annotations

import os

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.records import BranchRecord
from cpr_nb.worktrees.repo import Repository


def previous_branch(
    repo: Repository, job: HelperJob, recorded: str | None, notes: list[str]
) -> BranchRecord | None:
    """The branch that this task had before, or the task that it continues.

    Args:
        repo: The repository.
        job: The task.
        recorded: The branch in the task's own record, if there is one.
        notes: Gets a line for the user if the earlier task's branch is gone.
    """
    own = records.read_branch(repo.common_dir, recorded or _branch_name(repo, job))
    if own is not None and own.belongs_to(job.session_id, job.task_id):
        return own
    if job.parent is None:
        return None
    for branch in (own, *records.branch_records(repo.common_dir)):
        if branch is not None and branch.belongs_to(*job.parent):
            if repo.git.commit(f"refs/heads/{branch.branch}"):
                return branch
            notes.append(
                f"the branch {branch.branch} of the earlier task is gone: a new one is made"
            )
    return None


def new_branch(repo: Repository, job: HelperJob) -> BranchRecord:
    """The branch that is to be made for a task.

    Raises:
        WorktreeError: If it has no commit to begin at, or its name can't be used.
    """
    base = repo.git.commit(job.base or "HEAD")
    if base is None and not job.base:
        raise WorktreeError(f"{repo.top} has no commit yet: make one first (git commit)")
    if base is None:
        raise WorktreeError(f"base={job.base!r} is not a commit of {repo.top}")
    name = _branch_name(repo, job)
    if repo.git.run("check-ref-format", "--branch", name, check=False).status:
        raise WorktreeError(f"{name!r} can't be the name of a branch")
    if repo.git.run("show-ref", "--verify", "--quiet", f"refs/heads/{name}", check=False).status:
        return BranchRecord(name, base, (job.owner,))
    existing = records.read_branch(repo.common_dir, name)
    origin = f"was made for {existing.owners[-1].label}" if existing else "was not made by cpr"
    raise WorktreeError(
        f"there is already a branch {name}, and it {origin}: it stays as it is; merge or delete "
        "it, or give the task another id"
    )


def _branch_name(repo: Repository, job: HelperJob) -> str:
    current = job.current_branch or repo.branch
    if current is None:  # a detached HEAD
        current = repo.git.run("rev-parse", "--short", "HEAD").text
    return branch_name(current, job.task_id)


def branch_name(current_branch: str, task_id: str) -> str:
    """The name of a task's branch, or with ``*`` for the id a pattern of all their names."""
    return f"{current_branch}-task-{task_id}"


def free_path(repo: Repository, job: HelperJob, branch: str) -> str:
    """Where a worktree goes: a folder that does not exist yet, outside the repository.

    Raises:
        WorktreeError: If the parent folder is inside the repository, or can't be made.
    """
    parent = worktrees_folder(repo, job.worktree_dir)
    name = branch.replace("/", "-")
    path, number = f"{parent}/{name}", 1
    while os.path.lexists(path):
        number += 1
        path = f"{parent}/{name}-{number}"
    return path


def worktrees_folder(repo: Repository, worktree_dir: str) -> str:
    """The folder of the worktrees; made if it does not exist.

    Args:
        repo: The repository.
        worktree_dir: The user's choice; empty for beside the repository.

    Raises:
        WorktreeError: If it is inside the repository, or can't be made.
    """
    home = repo.home()
    parent = f"{home}{removing.FOLDER_SUFFIX}"
    if worktree_dir:
        parent = os.path.join(home, os.path.expanduser(worktree_dir))
    parent = os.path.realpath(parent)
    for folder in (home, repo.top, repo.common_dir):
        if f"{parent}/".startswith(f"{os.path.realpath(folder)}/"):
            raise WorktreeError(f"worktree_dir {parent} is inside {folder}: it must be outside")
    try:
        os.makedirs(parent, exist_ok=True)
    except OSError as error:
        raise WorktreeError(f"can't make {parent} for worktrees: {error.strerror}") from None
    return parent
