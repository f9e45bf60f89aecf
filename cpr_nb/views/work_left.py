"""What of the work in worktrees is not saved yet, or stays in its folder, in the same words."""

from __future__ import annotations

import os

from cpr_nb.model.json_values import integer
from cpr_nb.model.record import is_kept, is_unsaved
from cpr_nb.model.text import one_line
from cpr_nb.store.read import read_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.store.read import Snapshot

#: What follows the outcome of a task whose work could not be saved.
NOT_SAVED = "work not yet saved"
_NOTE_CHARS = 2000  # a path may be long, and what helps comes last


def task_note(task: dict[str, Any], short_id: str, program: str = "cpr") -> str:
    """Returns what a person should know beside a task's outcome, on one line.

    Args:
        task: Its fields in status.json.
        short_id: The first characters of its session's id.
        program: How the command is called here.

    Example:
        >>> task_note({"harvest_error": "the repository is gone"}, "3f2a")
        'work not yet saved: the repository is gone; cpr resume 3f2a saves it'
    """
    parts = [task.get("note"), _unsaved(task, short_id, program), _kept(task, short_id, program)]
    return "; ".join(one_line(str(part), _NOTE_CHARS) for part in parts if part)


def _unsaved(task: dict[str, Any], short_id: str, program: str) -> str:
    """Why its work is not saved, where it is, and what saves it."""
    if not is_unsaved(task):
        return ""
    where = f" (it is in {task['worktree']})" if task.get("worktree") else ""
    why = one_line(str(task["harvest_error"]))
    return f"{NOT_SAVED}{where}: {why}; {program} resume {short_id} saves it"


def _kept(task: dict[str, Any], short_id: str, program: str) -> str:
    """Why its worktree stays, and what removes it; empty once it is gone."""
    if not stays(task):
        return ""
    clean = f"{program} clean {short_id} --task {integer(task.get('task_num'))}"
    why = one_line(str(task["kept_because"]))
    return f"its worktree {task['worktree']} stays: {why}; {clean} removes it"


def stays(task: dict[str, Any]) -> bool:
    """Whether its worktree is still there because of what it holds."""
    return is_kept(task) and bool(task.get("worktree")) and os.path.isdir(str(task["worktree"]))


def saving_warnings(snapshot: Snapshot, program: str = "cpr") -> Iterator[str]:
    """Yields that work of a session is not saved, or that worktrees stay; one line each.

    Args:
        snapshot: The session.
        program: How the command is called here.
    """
    if n_unsaved := snapshot.count("n_unsaved"):
        whose = "1 task" if n_unsaved == 1 else f"{n_unsaved} tasks"
        when = " once it has ended" if snapshot.is_live else ""
        yield (
            f"the work of {whose} is not yet saved: "
            f"{program} resume {snapshot.short_id} saves it{when}"
        )
    if snapshot.count("n_kept"):
        n_kept = n_worktrees_left(snapshot)
        if n_kept:
            stay = "1 worktree stays" if n_kept == 1 else f"{n_kept} worktrees stay"
            yield f"{stay}, with what git can't save: {program} status {snapshot.short_id} names it"


def n_worktrees_left(snapshot: Snapshot) -> int:
    """Counts the worktrees that stay because of what they hold, and that are still there."""
    tasks = snapshot.tasks
    if tasks is None:  # only its head was read
        tasks = read_session(snapshot.paths.root).tasks
    return sum(stays(task) for task in tasks or ())
