"""Makes a task's branch and worktree: the branch under the lock, the files beside others."""

from __future__ import annotations

import os
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees import records, removing
from cpr_nb.worktrees.harvest import harvest, is_taken_over, place_of, trailer
from cpr_nb.worktrees.include import copy_included
from cpr_nb.worktrees.inspection import Place, find_admin_dir
from cpr_nb.worktrees.job import Order
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.ports import choose_port
from cpr_nb.worktrees.records import BranchNote, TaskNote
from cpr_nb.worktrees.repo import (
    Git,
    GitFailed,
    Repository,
    open_repository,
    registered_worktrees,
)
from cpr_nb.worktrees.saving import drop_stale_lock, save, scratch
from cpr_nb.worktrees.setup import run_setup


def prepare(order: Order) -> dict[str, Any]:
    """Makes a task's worktree and sets it up.

    It may be called again at any time, also after it was killed: what is there already stays as
    it is, and what is half made is made again.

    Args:
        order: The task.

    Returns:
        ``cwd`` (the folder for the agent), ``branch``, ``worktree``, ``base_commit``,
        ``start_commit``, ``port``, ``env``, ``common_dir``, ``is_continued``, ``notes``.

    Raises:
        SetupFailed: If set-up failed.
        WorktreeError: If there can be no worktree; the task must not start.
    """
    repo = open_repository(order.cwd)
    note = TaskNote.read(order.session_folder, order.task_id)
    if note["common_dir"] not in (None, repo.common_dir):
        raise WorktreeError(f"the worktree was made in another repository: {note['common_dir']}")
    if note.stage in (records.READY, records.REMOVING) and not _is_intact(order, note):
        _harvest_rest(order)
        note = TaskNote.read(order.session_folder, order.task_id)
    if note.stage not in (records.FILLED, records.READY) or not _is_intact(order, note):
        with repository_lock(repo.common_dir):
            _make(repo, order, note)
    if note.stage == records.MAKING:
        _fill(repo, note)
    place = place_of(note)
    folder = f"{place.path}/{repo.prefix}".rstrip("/")
    if note.stage == records.FILLED:
        os.makedirs(folder, exist_ok=True)  # below the repository, but not in the base
        run_setup(order, note, folder)
    _check_top(place)
    names = ("branch", "worktree", "base_commit", "start_commit", "port", "common_dir")
    answer = {name: note[name] for name in names}
    env = {"CPR_BRANCH": place.branch, "CPR_PORT": str(note["port"])}
    more = {"is_continued": bool(note["is_continued"]), "notes": note["notes"] or []}
    return {"cwd": folder, **answer, "env": env, **more}


def _harvest_rest(order: Order) -> None:
    """Saves what is left of a worktree that is not whole any more."""
    told = harvest(order._replace(keep_worktrees=False))
    if told["worktree"]:
        raise WorktreeError(f"{told['worktree']} is not whole, and stays: {told['kept_because']}")


def _is_intact(order: Order, note: TaskNote) -> bool:
    """Whether the worktree is there, and still that of this task."""
    place = place_of(note)
    if not (place.has_folder and place.has_admin):
        return False
    if is_taken_over(note, order, place):
        raise WorktreeError(f"another task goes on in {place.path}: see {place.admin_dir}/cpr")
    try:
        _check_top(place)
    except WorktreeError:
        return False
    return True


def _check_top(place: Place) -> None:
    """A task starts in its own worktree, or not at all."""
    words = ("rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir")
    told = Git(place.path).run(*words, check=False).text.split("\n")
    wanted = [os.path.realpath(place.path), os.path.realpath(place.admin_dir)]
    if [os.path.realpath(path) for path in told] != wanted:
        raise WorktreeError(f"{place.path} is not a worktree of its own: git says {told[0] or '-'}")


# -- the branch and the worktree; the lock is held ------------------------------------------


def _make(repo: Repository, order: Order, note: TaskNote) -> None:
    """Chooses the branch, makes the worktree without files, writes both down."""
    told: list[str] = []
    if note.stage in records.BEFORE_AGENT and note["worktree"] and not note["is_adopted"]:
        removing.discard(place_of(note), order.session_id, order.task_id)
    known = _known_branch(repo, order, note, told)
    tip = repo.git.commit(f"refs/heads/{known.branch}") if known else None
    branch = known or _new_branch(repo, order)
    start = tip or branch.base_commit
    note.fields = {
        "common_dir": repo.common_dir,
        "branch": branch.branch,
        "base_commit": branch.base_commit,
        "start_commit": start,
        "is_continued": bool(tip) and start != branch.base_commit,
        "is_new_branch": tip is None or note["is_new_branch"],
        "notes": told,
    }
    if tip and _adopt(repo, order, note, branch):
        return
    path = _free_path(repo, order, branch.branch)
    note.write(stage=records.MAKING, worktree=path, admin_dir="")
    records.write_branch(repo.common_dir, branch.with_owner(order.owner))
    drop_stale_lock(f"{repo.common_dir}/refs/heads/{branch.branch}.lock")
    new = ("--no-track", "-b", branch.branch, path, start)
    try:
        words = ("worktree", "add", "--no-checkout")
        repo.shared.run(*words, *(new if tip is None else (path, branch.branch)))
    except GitFailed as error:
        _undo(repo, order, note, known)
        raise WorktreeError(f"can't make the worktree {path}: {error}") from None
    admin_dir = Git(path).run("rev-parse", "--absolute-git-dir").text
    _own(repo, order, note, admin_dir)
    note.write()


def _own(repo: Repository, order: Order, note: TaskNote, admin_dir: str) -> None:
    port = int(records.read_worktree(admin_dir).get("port", 0))
    port = port or choose_port(repo.common_dir, str(note["branch"]))
    records.write_worktree(admin_dir, order.owner, port)
    note.fields |= {"admin_dir": admin_dir, "port": port}


def _undo(repo: Repository, order: Order, note: TaskNote, known: BranchNote | None) -> None:
    """Leaves nothing of a worktree that could not be made."""
    branch = str(note["branch"])
    removing.discard(place_of(note), order.session_id, order.task_id)
    tip = repo.git.commit(f"refs/heads/{branch}")
    if known is None and tip is not None and tip == note["base_commit"]:
        repo.shared.run("update-ref", "-d", f"refs/heads/{branch}", tip)
        tip = None
    if known is None and tip is None:
        records.forget_branch(repo.common_dir, branch)
    note.forget()


def _known_branch(
    repo: Repository, order: Order, note: TaskNote, told: list[str]
) -> BranchNote | None:
    """The branch that this task, or the one it goes on with, was given before."""
    own = records.read_branch(repo.common_dir, note["branch"] or _branch_name(repo, order))
    if own is not None and own.belongs_to(order.session_id, order.task_id):
        return own
    if order.parent is None:
        return None
    for found in (own, *records.branches(repo.common_dir)):
        if found is not None and found.belongs_to(*order.parent):
            if repo.git.commit(f"refs/heads/{found.branch}"):
                return found
            told.append(f"the branch {found.branch} of the earlier task is gone: begins anew")
    return None


def _branch_name(repo: Repository, order: Order) -> str:
    current = order.current_branch or repo.branch
    if current is None:  # a detached HEAD
        current = repo.git.run("rev-parse", "--short", "HEAD").text
    return f"{current}-task-{order.task_id}"


def _new_branch(repo: Repository, order: Order) -> BranchNote:
    base = repo.git.commit(order.base or "HEAD")
    if base is None and not order.base:
        raise WorktreeError(f"{repo.top} has no commit yet: make one first (git commit)")
    if base is None:
        raise WorktreeError(f"base={order.base!r} is no commit of {repo.top}")
    name = _branch_name(repo, order)
    if repo.git.run("check-ref-format", "--branch", name, check=False).status:
        raise WorktreeError(f"{name!r} can't be the name of a branch")
    if repo.git.run("show-ref", "--verify", "--quiet", f"refs/heads/{name}", check=False).status:
        return BranchNote(name, base, (order.owner,))
    theirs = records.read_branch(repo.common_dir, name)
    made = f"was made for {_whose(theirs.owners[-1])}" if theirs else "was not made by cpr"
    raise WorktreeError(
        f"there is a branch {name} already, and it {made}: it stays as it is; merge or delete it, "
        "or give the task another id"
    )


# -- a worktree that an earlier task has left -----------------------------------------------


def _adopt(repo: Repository, order: Order, note: TaskNote, branch: BranchNote) -> bool:
    """Goes on in the worktree that a branch is checked out in already, if there is one.

    Raises:
        WorktreeError: If somebody else is in it.
    """
    for found in registered_worktrees(repo.shared):
        admin = "" if found.is_main else find_admin_dir(repo.common_dir, found.path)
        place = Place(repo.common_dir, found.path, admin, branch.branch, branch.base_commit)
        theirs = records.read_worktree(place.admin_dir)
        owners = [o for o in branch.owners if o.is_task(*_ids(theirs))]
        if found.branch != branch.branch and not owners:
            continue
        if not owners:
            raise WorktreeError(f"{branch.branch} is checked out in {found.path}: free it there")
        owner = owners[-1]
        if not owner.is_task(order.session_id, order.task_id) and records.in_use(owner):
            where = f"{branch.branch} in {found.path}"
            raise WorktreeError(f"{_whose(owner)} is still at work on {where}")
        if _save_earlier(order, note, place, owner, found.branch == branch.branch):
            records.write_branch(repo.common_dir, branch.with_owner(order.owner))
            _own(repo, order, note, place.admin_dir)
            note.write(stage=records.FILLED, worktree=place.path, is_adopted=True)
            return True
    return False


def _whose(owner: records.Owner) -> str:
    return f"task {owner.task_id} of session {owner.session_id}"


def _ids(theirs: dict[str, Any]) -> tuple[str, str]:
    return str(theirs.get("session_id")), str(theirs.get("task_id"))


def _save_earlier(
    order: Order, note: TaskNote, place: Place, owner: records.Owner, is_on_branch: bool
) -> bool:
    """Saves what an earlier task has left in a worktree.

    Returns:
        Whether it is whole, so that one can go on in it; if not, it has been removed.
    """
    theirs = TaskNote.read(owner.session_folder, owner.task_id)
    from_setup = (theirs["from_setup"] if theirs["worktree"] == place.path else None) or {}
    title = f"Left-over changes of task {owner.task_id}"
    words = trailer(owner.session_id, owner.task_id)
    with scratch(place.common_dir, order.label) as folder:
        saved = save(place, folder, title=title, trailer=words, from_setup=from_setup)
        note.fields["start_commit"] = saved.tip
        note.fields["notes"] = [*note["notes"], *saved.notes]
        if is_on_branch and place.has_folder and place.has_admin:
            removing.settle(place, saved.index_path)
            return True
        if saved.unsaved:
            raise WorktreeError(f"{place.path} must stay: {'; '.join(saved.unsaved)}")
        why = removing.make_ready(place, saved.index_path, saved.commit, from_setup)
    if why:
        raise WorktreeError(f"{place.path} must stay: {why}")
    removing.discard(place, owner.session_id, owner.task_id)
    return False


# -- the folder -----------------------------------------------------------------------------


def _free_path(repo: Repository, order: Order, branch: str) -> str:
    """Where the worktree goes: a folder that is not there yet, outside the repository."""
    home = repo.home()
    parent = f"{home}{removing.FOLDER_SUFFIX}"
    if order.worktree_dir:
        parent = os.path.join(home, os.path.expanduser(order.worktree_dir))
    parent = os.path.realpath(parent)
    for inside in (home, repo.top, repo.common_dir):
        if f"{parent}/".startswith(f"{os.path.realpath(inside)}/"):
            raise WorktreeError(f"worktree_dir {parent} is inside of {inside}: it must be outside")
    try:
        os.makedirs(parent, exist_ok=True)
    except OSError as error:
        raise WorktreeError(f"can't make {parent} for worktrees: {error.strerror}") from None
    name = branch.replace("/", "-")
    path, number = f"{parent}/{name}", 1
    while os.path.lexists(path):
        number += 1
        path = f"{parent}/{name}-{number}"
    return path


def _fill(repo: Repository, note: TaskNote) -> None:
    """Checks out the files, and copies those of ``.worktreeinclude``; others may do so too."""
    place = place_of(note)
    place.git().run("reset", "--hard", "--quiet", "--no-recurse-submodules")
    told = list(note["notes"] or [])
    if os.path.isfile(f"{place.path}/.gitmodules"):
        told.append("submodules are empty: setup='git submodule update --init' fills them")
    n_copied = copy_included(repo, place.path)
    if n_copied:
        told.append(f"{n_copied} files copied by .worktreeinclude")
    note.write(stage=records.FILLED, notes=told)
