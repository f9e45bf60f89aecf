"""What we write down: whose a branch and a worktree are, and how far a task's has come.

=================================== ==========================================================
``<common git dir>/cpr/branches/…`` a file for each branch that we made: its name, the commit
                                    it began from, the tasks it was made for and continued by
``<git dir of a worktree>/cpr``     whose worktree it is, and its port; goes with the worktree
``task-<id>.worktree.json``         in the session's folder: how far this task's worktree is
=================================== ==========================================================

A file and not an entry of git's configuration: that has one lock file for everybody, which a git
that is killed leaves behind.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import is_locked, read_json
from cpr_nb.store.write import dump, write_new
from cpr_nb.worktrees.lock import own_folder

# How far a task's worktree has come.
MAKING = "making"  #: chosen, perhaps made; the agent never was there
FILLED = "filled"  #: its files are there, set-up may run; the agent never was there
READY = "ready"  #: the agent may have been there
REMOVING = "removing"  #: everything is saved; what is left of it can go
HARVESTED = "harvested"  #: the end
#: Whatever is in it is ours, not the agent's.
BEFORE_AGENT = (MAKING, FILLED)


class Owner(NamedTuple):
    """A task that a branch was made for, or that went on with it."""

    session_id: str
    task_id: str
    session_folder: str

    def is_task(self, session_id: str, task_id: str) -> bool:
        """Whether it is this task; folders may be moved, so they don't count."""
        return (self.session_id, self.task_id) == (session_id, task_id)


class BranchNote(NamedTuple):
    """A branch of ours.

    Args:
        branch: Its name.
        base_commit: Where it began.
        owners: Its tasks, the latest last.
    """

    branch: str
    base_commit: str
    owners: tuple[Owner, ...]

    def with_owner(self, owner: Owner) -> BranchNote:
        """The same, with this task as the latest."""
        others = (o for o in self.owners if not o.is_task(owner.session_id, owner.task_id))
        return self._replace(owners=(*others, owner))

    def belongs_to(self, session_id: str, task_id: str) -> bool:
        """Whether it is one of this task."""
        return any(owner.is_task(session_id, task_id) for owner in self.owners)


def _branch_path(common_dir: str, branch: str) -> str:
    name = hashlib.sha256(os.fsencode(branch)).hexdigest()[:32]
    return f"{common_dir}/cpr/branches/{name}.json"


def _as_note(fields: dict[str, Any]) -> BranchNote | None:
    try:
        owners = tuple(Owner(*map(str, owner)) for owner in fields["owners"])
        note = BranchNote(str(fields["branch"]), str(fields["base_commit"]), owners)
    except (KeyError, TypeError):
        return None
    return note if owners else None


def read_branch(common_dir: str, branch: str) -> BranchNote | None:
    """What we know of a branch; None if it is not ours."""
    note = _as_note(read_json(_branch_path(common_dir, branch)))
    return note if note is not None and note.branch == branch else None


def branches(common_dir: str) -> Iterator[BranchNote]:
    """Every branch of ours, also those that somebody has deleted since."""
    folder = f"{common_dir}/cpr/branches"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        note = _as_note(read_json(f"{folder}/{name}")) if name.endswith(".json") else None
        if note is not None:
            yield note


def write_branch(common_dir: str, note: BranchNote) -> None:
    """Writes down that a branch is ours; before it is made, so that none is left unknown."""
    path = _branch_path(common_dir, note.branch)
    os.makedirs(f"{own_folder(common_dir)}/branches", exist_ok=True)
    write_new(path, dump({**note._asdict(), "schema_version": 1}) + b"\n")


def forget_branch(common_dir: str, branch: str) -> None:
    """Forgets a branch that is gone."""
    _unlink(_branch_path(common_dir, branch))


# -- worktrees ------------------------------------------------------------------------------


def read_worktree(admin_dir: str) -> dict[str, Any]:
    """Whose a worktree is, from its git directory; empty if it is not ours."""
    return read_json(f"{admin_dir}/cpr")


def write_worktree(admin_dir: str, owner: Owner, port: int) -> None:
    """Writes down whose a worktree is."""
    write_new(f"{admin_dir}/cpr", dump({**owner._asdict(), "port": port}) + b"\n")


# -- a task's worktree ----------------------------------------------------------------------


class TaskNote:
    """How far a task's worktree has come; kept in the session's folder.

    Args:
        paths: The session's paths.
        task_id: The task.
        fields: What is known.
    """

    def __init__(self, paths: SessionPaths, task_id: str, fields: dict[str, Any]) -> None:
        self._path = paths.worktree(task_id)
        self.fields = fields

    @classmethod
    def read(cls, session_folder: str, task_id: str) -> TaskNote:
        """Reads it; its stage is empty if there is none."""
        paths = SessionPaths(session_folder)
        return cls(paths, task_id, read_json(paths.worktree(task_id)))

    @property
    def stage(self) -> str:
        """How far it has come; empty if nothing was begun."""
        return str(self.fields.get("stage", ""))

    def __getitem__(self, name: str) -> Any:
        return self.fields.get(name)

    def write(self, **changed: Any) -> None:
        """Changes fields, at once or not at all."""
        self.fields.update(changed)
        write_new(self._path, dump({"schema_version": 1, **self.fields}) + b"\n")

    def forget(self) -> None:
        """Removes it: nothing was begun after all."""
        self.fields = {}
        _unlink(self._path)


def task_notes(session_folder: str) -> Iterator[tuple[str, TaskNote]]:
    """Every task of a session that has, or had, a worktree: its id and what is known."""
    start, end = "task-", ".worktree.json"
    try:
        names = sorted(os.listdir(session_folder))
    except OSError:
        return
    for name in names:
        if name.startswith(start) and name.endswith(end):
            task_id = name[len(start) : -len(end)]
            yield task_id, TaskNote.read(session_folder, task_id)


def is_live(session_folder: str) -> bool:
    """Whether a runner works on a session just now."""
    return bool(is_locked(SessionPaths(session_folder)))


def in_use(owner: Owner) -> bool:
    """Whether a task may still be at work: its runner lives, and it has not been harvested."""
    if not is_live(owner.session_folder):
        return False
    return TaskNote.read(owner.session_folder, owner.task_id).stage != HARVESTED


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
