"""Finds the branches of tasks that are there already, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cpr_nb.worktrees import records
from cpr_nb.worktrees.branch_choice import branch_name
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.records import BranchRecord
from cpr_nb.worktrees.repo import open_repository


class WantedBranch(NamedTuple):
    """A task that is to get a branch.

    Args:
        task_id: The task.
        parent: Session id and task id of the task that it reruns; None if there is none.
    """

    task_id: str
    parent: tuple[str, str] | None


class TakenBranch(NamedTuple):
    """A branch that a task can't get.

    Args:
        task_id: The task.
        branch: The branch.
        session_id: The session that it was made for; empty if it is none of ours.
    """

    task_id: str
    branch: str
    session_id: str


def taken_branches(
    cwd: str, current_branch: str, wanted: Iterable[WantedBranch]
) -> Iterator[TakenBranch]:
    """Finds those tasks whose new branch could not be made; git is called once if there is none.

    Args:
        cwd: The folder of the tasks.
        current_branch: What the branches' names begin with.
        wanted: The tasks.

    Raises:
        WorktreeError: If git can't tell.
    """
    words = ("for-each-ref", "--format=%(refname:lstrip=2)")
    output = Git(cwd).run(*words, f"refs/heads/{branch_name(current_branch, '*')}")
    existing = set(output.text.split("\n"))
    names = {one: branch_name(current_branch, one.task_id) for one in wanted}
    taken = {one: name for one, name in names.items() if name in existing}
    if not taken:
        return
    repo = open_repository(cwd)
    every = list(records.branch_records(repo.common_dir))
    for one, name in taken.items():
        owned = [record for record in every if one.parent and record.belongs_to(*one.parent)]
        if not any(repo.git.commit(f"refs/heads/{record.branch}") for record in owned):
            record = next((record for record in every if record.branch == name), None)
            yield TakenBranch(one.task_id, name, _session(record))


def _session(record: BranchRecord | None) -> str:
    return record.owners[-1].session_id if record else ""
