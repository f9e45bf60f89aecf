"""Continues in the worktree that an earlier task left; the repository's lock is held."""

from __future__ import annotations

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.confirming import confirm_content
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.own_repository import OwnRepository
from cpr_nb.worktrees.ports import own_port
from cpr_nb.worktrees.records import BranchRecord, Owner, WorktreeRecord
from cpr_nb.worktrees.repo import RegisteredWorktree, Repository, registered_worktrees
from cpr_nb.worktrees.saving import save
from cpr_nb.worktrees.scratch import scratch
from cpr_nb.worktrees.worktree import Worktree, find_admin_dir


def adopt(
    repo: Repository,
    own: OwnRepository,
    job: HelperJob,
    record: WorktreeRecord,
    branch: BranchRecord,
) -> bool:
    """Takes over the worktree in which a branch is already checked out, if there is one.

    Args:
        repo: The repository.
        own: The same, confirmed.
        job: The task.
        record: Its record; it is changed.
        branch: Its branch.

    Returns:
        Whether there was one that is whole.

    Raises:
        WorktreeError: If someone else is in it.
    """
    for registered in registered_worktrees(repo.shared):
        worktree = _worktree_at(repo, registered, branch)
        mark = records.read_mark(worktree.admin_dir)
        ids = str(mark.get("session_id")), str(mark.get("task_id"))
        owners = [owner for owner in branch.owners if owner.is_task(*ids)]
        is_on_branch = registered.branch == branch.branch
        if not (owners or is_on_branch):
            continue
        if not owners:
            raise WorktreeError(
                f"{branch.branch} is checked out in {registered.path}: free it there"
            )
        _check_idle(owners[-1], job, worktree)
        claim = Claim(worktree, owners[-1])
        if _save_earlier(job, record, claim, own, is_on_branch=is_on_branch):
            records.write_branch(repo.common_dir, branch.with_owner(job.owner))
            port = own_port(repo.common_dir, worktree.admin_dir, branch.branch)
            records.write_mark(worktree.admin_dir, job.owner, port)
            record.write(
                stage=records.FILLED,
                worktree=worktree.path,
                admin_dir=worktree.admin_dir,
                port=port,
                is_adopted=True,
            )
            return True
    return False


def _worktree_at(
    repo: Repository, registered: RegisteredWorktree, branch: BranchRecord
) -> Worktree:
    admin_dir = "" if registered.is_main else find_admin_dir(repo.common_dir, registered.path)
    return Worktree(repo.common_dir, registered.path, admin_dir, branch.branch, branch.base_commit)


def _check_idle(owner: Owner, job: HelperJob, worktree: Worktree) -> None:
    """Refuses a worktree in which another task still works."""
    if not owner.is_task(job.session_id, job.task_id) and records.in_use(owner):
        where = f"{worktree.branch} in {worktree.path}"
        raise WorktreeError(f"{owner.label} is still at work on {where}")


def _save_earlier(
    job: HelperJob,
    record: WorktreeRecord,
    claim: Claim,
    own: OwnRepository,
    *,
    is_on_branch: bool,
) -> bool:
    """Saves what an earlier task has left in a worktree.

    Returns:
        Whether it is whole, so that a task can continue in it; if not, it has been removed.
    """
    worktree, owner = claim
    confirm_content(claim, own)
    earlier = WorktreeRecord.read(owner.session_folder, owner.task_id)
    if earlier["worktree"] != worktree.path:
        earlier.fields = {}
    from_setup, since_ns = earlier["from_setup"] or {}, since_first_setup_ns(earlier)
    with scratch(worktree.common_dir, job.label) as folder:
        saved = save(worktree, folder, owner.session_id, owner.task_id, from_setup, since_ns)
        record.fields["first_setup_ns"] = since_ns
        record.fields["start_commit"] = saved.tip
        record.fields["notes"] = [*record["notes"], *saved.notes]
        if is_on_branch and worktree.has_folder and worktree.has_admin:
            removing.mark_committed(worktree, saved.index_path)
            return True
        obstacle = "; ".join(saved.unsaved) or removing.make_ready(
            worktree, saved.index_path, saved.commit, from_setup, since_ns
        )
    if obstacle:
        raise WorktreeError(f"{worktree.path} must stay: {obstacle}")
    removing.relink(claim, own)
    removing.discard(claim, own)
    return False
