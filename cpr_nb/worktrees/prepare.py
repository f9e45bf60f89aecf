"""Makes a task's branch and worktree: the branch under the lock, the files beside other tasks."""

from __future__ import annotations

import os
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.adopting import adopt
from cpr_nb.worktrees.branch_choice import free_path, new_branch, previous_branch
from cpr_nb.worktrees.bringing import bring_in
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.confirming import confirm_worktree
from cpr_nb.worktrees.git_command import Git, GitFailed
from cpr_nb.worktrees.harvest import harvest
from cpr_nb.worktrees.include import copy_included
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.own_repository import OwnRepository, confirm_repository
from cpr_nb.worktrees.ports import own_port
from cpr_nb.worktrees.records import BranchRecord, WorktreeRecord
from cpr_nb.worktrees.refs import drop_stale_lock
from cpr_nb.worktrees.repo import Repository, open_repository, places
from cpr_nb.worktrees.setup import run_setup
from cpr_nb.worktrees.worktree import Worktree, worktree_of


def prepare(job: HelperJob) -> dict[str, Any]:
    """Makes a task's worktree and sets it up.

    It may be called again at any time, even after it was killed: what exists already stays as it
    is, and what is half made is made again.

    Args:
        job: The task.

    Returns:
        ``cwd`` (the folder for the agent), ``branch``, ``worktree``, ``base_commit``,
        ``start_commit``, ``port``, ``env``, ``common_dir``, ``is_continued``, ``notes``.

    Raises:
        SetupFailed: If set-up failed.
        WorktreeError: If there can be no worktree; the task must not start.
    """
    repo = open_repository(job.cwd)
    record = WorktreeRecord.read(job.session_folder, job.task_id)
    if record["common_dir"] not in (None, repo.common_dir):
        raise WorktreeError(f"the worktree was made in another repository: {record['common_dir']}")
    own = confirm_repository(repo.common_dir, job.cwd, job.session_folder)
    bring_in(job, record)
    if record.stage in (records.READY, records.REMOVING) and not _is_intact(job, record, own):
        _harvest_rest(job)
        record = WorktreeRecord.read(job.session_folder, job.task_id)
    if record.stage not in (records.FILLED, records.READY) or not _is_intact(job, record, own):
        with repository_lock(repo.common_dir):
            _make(repo, job, record, own)
    if record.stage == records.MAKING:
        _fill(repo, job, record)
    worktree = worktree_of(record)
    folder = f"{worktree.path}/{repo.prefix}".rstrip("/")
    if record.stage == records.FILLED:
        os.makedirs(folder, exist_ok=True)  # the base may lack a folder of the repository
        run_setup(job, record, folder)
    _check_top(worktree)
    _check_own(job, worktree, own)
    return _answer(record, worktree, folder)


def _answer(record: WorktreeRecord, worktree: Worktree, folder: str) -> dict[str, Any]:
    names = ("branch", "worktree", "base_commit", "start_commit", "port", "common_dir")
    return {
        "cwd": folder,
        **{name: record[name] for name in names},
        "env": {"CPR_BRANCH": worktree.branch, "CPR_PORT": str(record["port"])},
        "is_continued": bool(record["is_continued"]),
        "notes": record["notes"] or [],
    }


def _harvest_rest(job: HelperJob) -> None:
    """Saves what is left of a worktree that is no longer whole."""
    report = harvest(job._replace(keep_worktrees=False))
    if report["worktree"]:
        raise WorktreeError(
            f"{report['worktree']} is incomplete, and stays: {report['kept_because']}"
        )


def _is_intact(job: HelperJob, record: WorktreeRecord, own: OwnRepository) -> bool:
    """Whether the worktree exists and is still that of this task."""
    worktree = worktree_of(record)
    if not (worktree.has_folder and worktree.has_admin):
        return False
    if worktree.belongs_to_another(job.session_id, job.task_id):
        mark = f"{worktree.admin_dir}/cpr"
        raise WorktreeError(f"another task continues in {worktree.path}: see {mark}")
    try:
        _check_own(job, worktree, own)
        _check_top(worktree)
    except WorktreeError:
        return False
    return True


def _check_own(job: HelperJob, worktree: Worktree, own: OwnRepository) -> None:
    """A task starts where its work can be saved and removed later, or not at all."""
    confirm_worktree(Claim(worktree, job.owner), own)


def _check_top(worktree: Worktree) -> None:
    """A task starts in its own worktree, or not at all."""
    words, git = ("--show-toplevel", "--git-dir"), Git(worktree.path)
    output = git.run("rev-parse", "--path-format=absolute", *words, check=False)
    lines = output.path.split("\n")
    expected = [os.path.realpath(worktree.path), os.path.realpath(worktree.admin_dir)]
    if output.status or list(map(os.path.realpath, places(git, words, lines))) != expected:
        raise WorktreeError(
            f"{worktree.path} is not a worktree of its own: git says {lines[0] or '-'}"
        )


# -- the branch and the worktree; the lock is held ------------------------------------------


def _make(repo: Repository, job: HelperJob, record: WorktreeRecord, own: OwnRepository) -> None:
    """Chooses the branch, makes the worktree without files, writes both down."""
    if record.stage in records.BEFORE_AGENT and record["worktree"] and not record["is_adopted"]:
        claim = Claim(worktree_of(record), job.owner)
        removing.relink(claim, own)
        removing.discard(claim, own)
    notes: list[str] = []
    previous = previous_branch(repo, job, record["branch"], notes)
    branch = previous or new_branch(repo, job)
    tip = repo.git.commit(f"refs/heads/{branch.branch}") if previous else None
    record.fields = {
        "common_dir": repo.common_dir,
        **_branch_fields(branch, tip),
        "is_new_branch": tip is None or record["is_new_branch"],
        "notes": notes,
    }
    if tip and adopt(repo, own, job, record, branch):
        return
    _add_worktree(repo, own, job, record, branch, is_new=tip is None, is_first=previous is None)
    admin_dir = Git(str(record["worktree"])).run("rev-parse", "--absolute-git-dir").path
    port = own_port(repo.common_dir, admin_dir, branch.branch)
    records.write_mark(admin_dir, job.owner, port)
    record.write(admin_dir=admin_dir, port=port)


def _branch_fields(branch: BranchRecord, tip: str | None) -> dict[str, Any]:
    start = tip or branch.base_commit
    return {
        "branch": branch.branch,
        "base_commit": branch.base_commit,
        "start_commit": start,
        "is_continued": bool(tip) and start != branch.base_commit,
    }


def _add_worktree(
    repo: Repository,
    own: OwnRepository,
    job: HelperJob,
    record: WorktreeRecord,
    branch: BranchRecord,
    *,
    is_new: bool,
    is_first: bool,
) -> None:
    """Lets git make the worktree without files.

    Args:
        repo: The repository.
        own: The same, confirmed.
        job: The task.
        record: Its record.
        branch: Its branch.
        is_new: Whether git has to make the branch, too.
        is_first: Whether no task had the branch before.
    """
    path = free_path(repo, job, branch.branch)
    record.write(stage=records.MAKING, worktree=path, admin_dir="")
    records.write_branch(repo.common_dir, branch.with_owner(job.owner))
    drop_stale_lock(f"{repo.common_dir}/refs/heads/{branch.branch}.lock")
    words = ["worktree", "add", "--no-checkout"]
    if is_new:
        words += ["--no-track", "-b", branch.branch, path, str(record["start_commit"])]
    else:
        words += [path, branch.branch]
    try:
        repo.shared.run(*words)
    except GitFailed as error:
        _undo(repo, own, job, record, is_first=is_first)
        raise WorktreeError(f"can't make the worktree {path}: {error}") from None


def _undo(
    repo: Repository, own: OwnRepository, job: HelperJob, record: WorktreeRecord, *, is_first: bool
) -> None:
    """Removes everything of a worktree that could not be made."""
    branch = str(record["branch"])
    removing.discard(Claim(worktree_of(record), job.owner), own)
    tip = repo.git.commit(f"refs/heads/{branch}")
    if is_first and tip is not None and tip == record["base_commit"]:
        repo.shared.run("update-ref", "-d", f"refs/heads/{branch}", tip)
        tip = None
    if is_first and tip is None:
        records.forget_branch(repo.common_dir, branch)
    record.forget()


def _fill(repo: Repository, job: HelperJob, record: WorktreeRecord) -> None:
    """Checks out the files and copies those of ``.worktreeinclude``, beside other tasks."""
    worktree = worktree_of(record)
    worktree.git().run("reset", "--hard", "--quiet", "--no-recurse-submodules")
    notes = list(record["notes"] or [])
    if os.path.isfile(f"{worktree.path}/.gitmodules"):
        notes.append("submodules are empty: setup='git submodule update --init' fills them")
    n_copied = copy_included(repo, worktree.path, os.path.dirname(job.session_folder))
    if n_copied:
        notes.append(f"{n_copied} file{'s' * (n_copied > 1)} copied by .worktreeinclude")
    record.write(stage=records.FILLED, notes=notes)
