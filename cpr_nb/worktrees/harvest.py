"""What is done when a task has ended: its work is saved, told, and its worktree removed."""

from __future__ import annotations

import os
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.diffstat import figures, write_patch
from cpr_nb.worktrees.inspection import Place, ignored_files
from cpr_nb.worktrees.job import Order
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.records import TaskNote
from cpr_nb.worktrees.repo import shared_git
from cpr_nb.worktrees.saving import Saved, drop_scratch, save, scratch

#: How many ignored files a record names.
MOST_IGNORED = 100
#: The answer where there is nothing to tell.
NOTHING: dict[str, Any] = {
    "branch": None,
    "worktree": None,
    "base_commit": None,
    "tip_commit": None,
    "n_files_changed": 0,
    "lines_added": 0,
    "lines_deleted": 0,
    "n_commits": 0,
    "ignored_files": [],
    "n_ignored_files": 0,
    "patch": None,
    "committed": False,
    "rescued_branch": None,
    "kept_because": None,
    "notes": [],
}


def harvest(order: Order) -> dict[str, Any]:
    """Saves what a task has done, and removes its worktree unless that would lose something.

    It may be called again at any time, also after it was killed: it goes on where it was, and
    tells the same.

    Args:
        order: The task.

    Returns:
        The fields of `NOTHING`, with what is known.

    Raises:
        WorktreeError: If something can't be saved; the worktree is as it was.
    """
    note = TaskNote.read(order.session_folder, order.task_id)
    if not note.stage:
        return dict(NOTHING)
    place = place_of(note)
    if not os.path.isdir(place.common_dir):
        raise WorktreeError(f"the repository {place.common_dir} is gone")
    if note.stage == records.READY or (note.stage == records.FILLED and note["is_adopted"]):
        _save(order, note, place)
    elif note.stage in records.BEFORE_AGENT:
        _give_up(order, note, place)
    if note.stage == records.REMOVING:
        drop_scratch(place.common_dir, order.label)
        _remove(order, note, place)
    return dict(note["harvest"])


def place_of(note: TaskNote) -> Place:
    """The worktree that is written down for a task."""
    names = ("common_dir", "worktree", "admin_dir", "branch", "base_commit")
    return Place(*(str(note[name] or "") for name in names))


def is_taken_over(note: TaskNote, order: Order, place: Place) -> bool:
    """Whether another task has gone on in this worktree."""
    theirs = records.read_worktree(place.admin_dir)
    same = (theirs.get("session_id"), theirs.get("task_id")) == (order.session_id, order.task_id)
    return bool(theirs) and not same


def trailer(session_id: str, task_id: str) -> str:
    """The last lines of a commit's message."""
    return f"Cpr-Session: {session_id}\nCpr-Task: {task_id}"


def _save(order: Order, note: TaskNote, place: Place) -> None:
    """Commits, measures, writes the patch; then says whether the worktree may go."""
    if is_taken_over(note, order, place):
        _tell(order, note, place, None, ["another task goes on with this worktree"])
        note.write(stage=records.HARVESTED)
        return
    with scratch(place.common_dir, order.label) as folder:
        saved = save(
            place,
            folder,
            title=f"Left-over changes of task {order.task_id}",
            trailer=trailer(order.session_id, order.task_id),
            from_setup=note["from_setup"] or {},
        )
        known = list(saved.notes)
        if not place.has_folder:
            known.append("its folder was gone: what was not committed or staged is lost")
        _tell(order, note, place, saved, known)
        if order.keep_worktrees or saved.unsaved:
            removing.settle(place, saved.index_path)
            note.write(stage=records.HARVESTED)
            return
        from_setup = note["from_setup"] or {}
        why = removing.make_ready(place, saved.index_path, saved.commit, from_setup)
        if why:
            note.write(stage=records.HARVESTED, harvest={**note["harvest"], "kept_because": why})
            return
    note.write(stage=records.REMOVING)


def _tell(
    order: Order, note: TaskNote, place: Place, saved: Saved | None, known: list[str]
) -> None:
    """Writes down what a harvest answers."""
    git = shared_git(place.common_dir)
    tip = saved.tip if saved else git.commit(f"refs/heads/{place.branch}") or place.base_commit
    told = {**NOTHING, "branch": place.branch, "base_commit": place.base_commit, "tip_commit": tip}
    told |= figures(git, place.base_commit, tip)._asdict()
    path = SessionPaths(order.session_folder).patch(order.task_id)
    told["patch"] = path if write_patch(git, place.base_commit, tip, path) else None
    told["worktree"] = place.path if place.has_folder else None
    if saved is not None:
        if place.has_folder:
            seen = place.git(saved.index_path)
            names, n_files = ignored_files(seen, int(note["since_ns"] or 0))
            told |= {"ignored_files": names[:MOST_IGNORED], "n_ignored_files": n_files}
        told |= {"committed": saved.committed, "rescued_branch": saved.rescued_branch}
        if saved.unsaved:
            told["kept_because"] = "; ".join(saved.unsaved)
        elif order.keep_worktrees and place.has_folder:
            told["kept_because"] = "keep_worktrees"
    # What an earlier try has found, and this one can't see any more, still holds.
    before = note["harvest"] or {}
    told["committed"] = told["committed"] or bool(before.get("committed"))
    told["notes"] = list(dict.fromkeys([*before.get("notes", []), *(note["notes"] or []), *known]))
    note.write(harvest=told)


def _remove(order: Order, note: TaskNote, place: Place) -> None:
    """Removes a worktree of which everything is saved."""
    told = dict(note["harvest"])
    try:
        with repository_lock(place.common_dir):
            removing.unregister(place, order.session_id, order.task_id)
        told["worktree"] = None
    except WorktreeError as error:
        told["kept_because"] = str(error)
    removing.delete_aside(place)
    note.write(stage=records.HARVESTED, harvest=told)


def _give_up(order: Order, note: TaskNote, place: Place) -> None:
    """Removes a worktree in which no agent ever was, and a branch that is as it was made."""
    git = shared_git(place.common_dir)
    with repository_lock(place.common_dir):
        if place.path:
            removing.unregister(place, order.session_id, order.task_id)
        tip = git.commit(f"refs/heads/{place.branch}")
        known = records.read_branch(place.common_dir, place.branch)
        is_ours = known is not None and known.belongs_to(order.session_id, order.task_id)
        if tip == place.base_commit and note["is_new_branch"] and is_ours:
            git.run("update-ref", "-d", f"refs/heads/{place.branch}", tip)
            records.forget_branch(place.common_dir, place.branch)
            tip = None
    if place.path:
        removing.delete_aside(place)
    told = {**NOTHING, "branch": place.branch if tip else None, "base_commit": place.base_commit}
    note.write(stage=records.HARVESTED, harvest={**told, "tip_commit": tip, "notes": note["notes"]})
