"""Removes the branches of candidates that were not chosen, where a patch holds all they changed."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from cpr_nb.worktrees import records
from cpr_nb.worktrees.cleaning import clean
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches


def remove_losers(losers: Mapping[str, Collection[str]]) -> list[str]:
    """Removes the branches of tasks whose work a patch in their session's folder holds.

    A branch stays if it holds more than its patch: commits that came later, work that could not be
    saved, a worktree that is still there, or another task's work.

    Args:
        losers: Session folder → the ids of the tasks.

    Returns:
        The branches that are gone.

    Example:
        >>> remove_losers({})
        []
    """
    removed = []
    for folder, task_ids in losers.items():
        branches = task_branches([folder])
        for branch in branches:
            if branch.task_id in task_ids and _is_in_patch(branch):
                report = clean([folder], [branch.task_id])
                removed += [entry.branch for entry in report.removed if entry.path is None]
    return removed


def _is_in_patch(branch: TaskBranch) -> bool:
    """Whether the patch of a task holds all that its branch holds."""
    report = branch.record["harvest"] or {}
    leftovers = ("worktree", "rescued_branch", "kept_because", "notes", "elsewhere")
    patch = report.get("patch")
    return (
        not branch.doubt
        and branch.tip is not None
        and branch.record.stage == records.HARVESTED
        and branch.tip == report.get("tip_commit")
        and branch.owners[-1].is_task(branch.session_id, branch.task_id)
        and not any(report.get(name) for name in leftovers)
        and isinstance(patch, str)
        and os.path.isfile(patch)
    )
