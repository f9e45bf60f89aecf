"""Brings work that came home as a bundle into the task's own worktree.

After that the worktree is as if the agent had worked in it: it is harvested like any other.
"""

from __future__ import annotations

import contextlib
import os

from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records
from cpr_nb.worktrees.carrier import Carrier, drop_bundle, fetch_bundle
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.confirming import confirm_content
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.own_repository import confirm_repository
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.refs import set_ref
from cpr_nb.worktrees.restoring import restore
from cpr_nb.worktrees.saving import rescue
from cpr_nb.worktrees.scratch import scratch
from cpr_nb.worktrees.worktree import Worktree, worktree_of


def bring_in(job: HelperJob, record: WorktreeRecord) -> None:
    """Brings the task's work home, if any has come.

    It may be called again after it was killed. Nothing is there any more to be brought once it is
    done.

    Args:
        job: The task.
        record: Its record: an agent may have worked.

    Raises:
        WorktreeError: If it can't be brought in; the bundle stays.
    """
    path = SessionPaths(job.session_folder).bundle(job.task_id)
    if record.stage != records.READY or not os.path.exists(path):
        return
    worktree = worktree_of(record)
    repository = confirm_repository(worktree.common_dir, job.cwd, job.session_folder)
    confirm_content(Claim(worktree, job.owner), repository)
    shared = shared_git(repository.common_dir)
    with scratch(repository.common_dir, job.label) as folder:
        with repository_lock(repository.common_dir):
            carrier = fetch_bundle(shared, path)
            notes = _bring_refs(shared, worktree, carrier)
        restore(worktree, carrier, folder)
        with repository_lock(repository.common_dir):
            drop_bundle(shared, carrier)
    notes = [*(record["notes"] or []), *carrier.notes, *notes]
    record.write(notes=list(dict.fromkeys(notes)))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _bring_refs(shared: Git, worktree: Worktree, carrier: Carrier) -> list[str]:
    """Gives the other branches and tags of the task's to the repository.

    What is there already stays as it is: then the commit gets a branch of its own.

    Returns:
        What a person should know, one line each.
    """
    notes, apart = list[str](), list(carrier.loose)
    for name, commit in carrier.refs:
        ref = f"refs/{name}"
        is_plain = name.startswith(("heads/", "tags/"))
        if not is_plain or shared.run("check-ref-format", ref, check=False).status:
            apart.append(commit)
            continue
        existing = shared.commit(ref)
        if existing is None:
            set_ref(shared, ref, commit, None)
        elif existing != commit:
            apart.append(commit)
    for commit in apart:
        if not shared.run("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads").out:
            notes.append(f"commits of a node that no branch here holds are saved as "
                         f"{rescue(shared, worktree.branch, commit)}")  # fmt: skip
    return notes
