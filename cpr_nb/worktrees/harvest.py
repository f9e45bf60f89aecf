"""After a task has ended: saves its work, reports it, and removes its worktree."""

from __future__ import annotations

import os
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.record import KEPT_BY_OPTION
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.bringing import bring_in
from cpr_nb.worktrees.broken_head import mend_head
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.confirming import confirm_content
from cpr_nb.worktrees.diffstat import diff_stat, links_without_modules, write_patch
from cpr_nb.worktrees.discovery import find_repository
from cpr_nb.worktrees.elsewhere import find_elsewhere
from cpr_nb.worktrees.empty_branch import drop_empty
from cpr_nb.worktrees.git_command import shared_git
from cpr_nb.worktrees.inspection import ignored_files
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.own_repository import OwnRepository, confirm_repository
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.saving import Saved, save
from cpr_nb.worktrees.scratch import drop_scratch, scratch
from cpr_nb.worktrees.worktree import Worktree, find_marked, worktree_of

#: How many ignored files a record names.
MOST_IGNORED = 100
_ONLY_A_LINK = (
    "is saved as the id of a commit only: it is a repository of its own, and not in .gitmodules"
)
#: The answer for a task that never had a worktree: nothing was counted.
NOTHING: dict[str, Any] = {
    "branch": None,
    "worktree": None,
    "base_commit": None,
    "tip_commit": None,
    "n_files_changed": None,
    "lines_added": None,
    "lines_deleted": None,
    "n_commits": None,
    "ignored_files": [],
    "n_ignored_files": None,
    "patch": None,
    "committed": False,
    "rescued_branch": None,
    "kept_because": None,
    "notes": [],
    "elsewhere": [],
}


def harvest(job: HelperJob) -> dict[str, Any]:
    """Saves what a task has done, and removes its worktree unless that would lose something.

    It may be called again at any time, even after it was killed: it resumes where it was, and
    gives the same answer.

    Args:
        job: The task.

    Returns:
        The fields of `NOTHING`, filled in as far as known.

    Raises:
        WorktreeError: If something can't be saved; the worktree is unchanged.
    """
    record = WorktreeRecord.read(job.session_folder, job.task_id)
    if not record.stage:
        _refuse_unrecorded(job)
        return dict(NOTHING)
    worktree = worktree_of(record)
    if not os.path.isdir(worktree.common_dir):
        raise WorktreeError(f"the repository {worktree.common_dir} is gone")
    repository = confirm_repository(worktree.common_dir, job.cwd, job.session_folder)
    worktree = worktree._replace(common_dir=repository.common_dir)
    bring_in(job, record)
    if record.stage == records.READY or (record.stage == records.FILLED and record["is_adopted"]):
        _save(job, record, worktree, repository)
    elif record.stage in records.BEFORE_AGENT:
        _give_up(job, record, worktree, repository)
    if record.stage == records.REMOVING:
        drop_scratch(worktree.common_dir, job.label)
        _remove(job, record, worktree, repository)
    return dict(record["harvest"])


def _refuse_unrecorded(job: HelperJob) -> None:
    """Says where a task's work is if somebody has removed the record of its worktree.

    Raises:
        WorktreeError: If the task has a worktree all the same.
    """
    try:
        path = find_marked(find_repository(job.cwd), job.session_id, job.task_id)
    except WorktreeError:
        return  # there is no repository
    if path:
        record = SessionPaths(job.session_folder).worktree(job.task_id)
        raise WorktreeError(f"{record} was removed: save what you need of {path} yourself")


def _save(
    job: HelperJob, record: WorktreeRecord, worktree: Worktree, repository: OwnRepository
) -> None:
    """Commits, measures, writes the patch; then decides whether the worktree may go."""
    if worktree.belongs_to_another(job.session_id, job.task_id):
        _write_report(job, record, worktree, None, ["another task continues in this worktree"])
        record.write(stage=records.HARVESTED)
        return
    confirm_content(Claim(worktree, job.owner), repository)
    mended = mend_head(worktree)
    from_setup, since_ns = record["from_setup"] or {}, since_first_setup_ns(record)
    with scratch(worktree.common_dir, job.label) as folder:
        saved = save(worktree, folder, job.session_id, job.task_id, from_setup, since_ns)
        notes = [*([mended] if mended else []), *saved.notes]
        if not worktree.has_folder:
            notes.append("its folder was gone: what was not committed or staged is lost")
        _write_report(job, record, worktree, saved, notes)
        if job.keep_worktrees or saved.unsaved:
            removing.mark_committed(worktree, saved.index_path)
            record.write(stage=records.HARVESTED)
            return
        obstacle = removing.make_ready(
            worktree, saved.index_path, saved.commit, from_setup, since_ns
        )
        if obstacle:
            report = {**record["harvest"], "kept_because": obstacle}
            record.write(stage=records.HARVESTED, harvest=report)
            return
    record.write(stage=records.REMOVING)


def _write_report(
    job: HelperJob,
    record: WorktreeRecord,
    worktree: Worktree,
    saved: Saved | None,
    notes: list[str],
) -> None:
    """Writes down what a harvest answers.

    An earlier harvest may have been killed. What it found still holds where this one can no longer
    see it.
    """
    report = {**NOTHING, **_changes(job, worktree, saved)}
    if saved is not None:
        report |= _saved_fields(job, record, worktree, saved)
        since_ns = int(record["since_ns"] or 0)
        report["elsewhere"] = find_elsewhere(job, worktree, saved.tip, since_ns)
    git, span = shared_git(worktree.common_dir), (worktree.base_commit, report["tip_commit"])
    notes = [*notes, *(f"{name} {_ONLY_A_LINK}" for name in links_without_modules(git, *span))]
    earlier = record["harvest"] or {}
    report["committed"] = report["committed"] or bool(earlier.get("committed"))
    every_note = [*earlier.get("notes", []), *(record["notes"] or []), *notes]
    report["notes"] = list(dict.fromkeys(every_note))
    record.write(harvest=report)


def _changes(job: HelperJob, worktree: Worktree, saved: Saved | None) -> dict[str, Any]:
    """The branch, and what it changes; writes the patch."""
    git, base = shared_git(worktree.common_dir), worktree.base_commit
    tip = saved.tip if saved else git.commit(f"refs/heads/{worktree.branch}") or base
    path = SessionPaths(job.session_folder).patch(job.task_id)
    return {
        "branch": worktree.branch,
        "base_commit": base,
        "tip_commit": tip,
        **diff_stat(git, base, tip)._asdict(),
        "patch": path if write_patch(git, base, tip, path) else None,
        "worktree": worktree.path if worktree.has_folder else None,
    }


def _saved_fields(
    job: HelperJob, record: WorktreeRecord, worktree: Worktree, saved: Saved
) -> dict[str, Any]:
    """What became of the files of a worktree."""
    fields: dict[str, Any] = {}
    if worktree.has_folder:
        git = worktree.git(saved.index_path)
        names, n_files = ignored_files(git, int(record["since_ns"] or 0))
        fields |= {"ignored_files": names[:MOST_IGNORED], "n_ignored_files": n_files}
    fields |= {"committed": saved.committed, "rescued_branch": saved.rescued_branch}
    if saved.unsaved:
        fields["kept_because"] = "; ".join(saved.unsaved)
    elif job.keep_worktrees and worktree.has_folder:
        fields["kept_because"] = KEPT_BY_OPTION
    return fields


def _remove(
    job: HelperJob, record: WorktreeRecord, worktree: Worktree, repository: OwnRepository
) -> None:
    """Removes a worktree after everything in it was saved."""
    report, claim = dict(record["harvest"]), Claim(worktree, job.owner)
    try:
        with repository_lock(worktree.common_dir):
            removing.relink(claim, repository)
            removing.unregister(claim, repository)
            is_empty = report["tip_commit"] == worktree.base_commit
            if is_empty and not report["rescued_branch"] and drop_empty(worktree, job.owner):
                report["branch"] = None
        report["worktree"] = None
        removing.delete_aside(worktree, repository)
    except WorktreeError as error:
        report["kept_because"] = str(error)
    record.write(stage=records.HARVESTED, harvest=report)


def _give_up(
    job: HelperJob, record: WorktreeRecord, worktree: Worktree, repository: OwnRepository
) -> None:
    """Removes a worktree in which no agent ever was, and its branch if that is unchanged."""
    git, claim = shared_git(worktree.common_dir), Claim(worktree, job.owner)
    with repository_lock(worktree.common_dir):
        if worktree.path:
            removing.relink(claim, repository)
            removing.unregister(claim, repository)
        tip = git.commit(f"refs/heads/{worktree.branch}")
        branch = records.read_branch(worktree.common_dir, worktree.branch)
        is_ours = branch is not None and branch.belongs_to(job.session_id, job.task_id)
        if tip == worktree.base_commit and record["is_new_branch"] and is_ours:
            git.run("update-ref", "-d", f"refs/heads/{worktree.branch}", tip)
            records.forget_branch(worktree.common_dir, worktree.branch)
            tip = None
    if worktree.path:
        removing.delete_aside(worktree, repository)
    report = {
        **NOTHING,
        "branch": worktree.branch if tip else None,
        "base_commit": worktree.base_commit,
        "tip_commit": tip,
        "notes": record["notes"],
    }
    record.write(stage=records.HARVESTED, harvest=report)
