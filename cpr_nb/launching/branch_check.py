"""Refuses a launch whose tasks would get branches that are there already: the same ids again."""

from __future__ import annotations

from collections.abc import Container, Iterator

from cpr_nb.model.errors import InputError, WorktreeError
from cpr_nb.model.text import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.worktrees.taken_branches import TakenBranch


def check_branches(plan: LaunchPlan, without: Container[str] = ()) -> None:
    """Refuses a new session if a task can't get its branch; a rerun goes on with its parent's.

    Args:
        plan: The launch, otherwise checked.
        without: The ids of tasks that would not run.

    Raises:
        InputError: If there are such branches: what they are, and what helps.
    """
    if not plan.checkouts:
        return
    try:
        taken = list(_taken(plan, without))
    except WorktreeError as error:
        raise InputError(str(error), "worktree") from None
    if taken:
        raise InputError(_words(taken), "worktree")


def _taken(plan: LaunchPlan, without: Container[str]) -> Iterator[TakenBranch]:
    from cpr_nb.worktrees.taken_branches import WantedBranch, taken_branches

    by_start: dict[tuple[str, str], list[WantedBranch]] = {}
    for task in plan.tasks:
        checkout = plan.checkouts.get(task.task_id)
        if checkout is not None and task.task_id not in without:
            parent = task.origin.get("parent")
            ids = (parent["session_id"], parent["task_id"]) if parent else None
            start = (task.options.get("cwd", plan.options["cwd"]), checkout["current_branch"])
            by_start.setdefault(start, []).append(WantedBranch(task.task_id, ids))
    for (cwd, current_branch), wanted in by_start.items():
        yield from taken_branches(cwd, current_branch, wanted)


def _words(taken: list[TakenBranch]) -> str:
    names = shorten([f"{one.branch} (task {one.task_id})" for one in taken], 3)
    sessions = list(dict.fromkeys(one.session_id[:8] for one in taken if one.session_id))
    one_or_all = "it" if len(taken) == 1 else "them"
    merge = (
        f"merge and clean (cpr merge {sessions[0]}, cpr clean {sessions[0]}), " if sessions else ""
    )
    made = f", made for session {shorten(sessions, 3)}" if sessions else ""
    return (
        f"there {'is' if len(taken) == 1 else 'are'} already {names}{made}: {merge}delete "
        f"{one_or_all} (git branch -D), or give the tasks other ids"
    )
