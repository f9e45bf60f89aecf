"""The records of branches and worktrees: the tasks they belong to, and how far each has come.

=================================== ==========================================================
``<common git dir>/cpr/branches/…`` a file for each branch that we made: its name, the commit
                                    where it began, the tasks that it was made for or continued by
``<git dir of a worktree>/cpr``     the mark: the worktree's task and port; removed with it
``task-<id>.worktree.json``         in the session's folder: how far this task's worktree has come
=================================== ==========================================================

These are files, not entries of git's configuration: the configuration has one lock file for
everybody, and a git that is killed leaves it behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from cpr_nb.model.states import UNREACHABLE
from cpr_nb.store.files import is_locked, read_json
from cpr_nb.store.git_files import branch_record
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import read_session
from cpr_nb.store.write import dump, write_new
from cpr_nb.worktrees.lock import own_folder

# How far a task's worktree has come.
MAKING = "making"  #: chosen, perhaps made; no agent was ever in it
FILLED = "filled"  #: its files are there, set-up may run; no agent was ever in it
READY = "ready"  #: an agent may have been in it
REMOVING = "removing"  #: everything is saved; the rest can go
HARVESTED = "harvested"  #: the end
#: In these stages everything in the worktree is ours, not the agent's.
BEFORE_AGENT = (MAKING, FILLED)


class Owner(NamedTuple):
    """A task that a branch was made for, or that continued on it."""

    session_id: str
    task_id: str
    session_folder: str

    def is_task(self, session_id: str, task_id: str) -> bool:
        """Whether it is this task; folders don't count, for they may be moved."""
        return (self.session_id, self.task_id) == (session_id, task_id)

    @property
    def label(self) -> str:
        """The task in a message for the user."""
        return f"task {self.task_id} of session {self.session_id}"


class BranchRecord(NamedTuple):
    """What is written down about a branch of ours.

    Args:
        branch: Its name.
        base_commit: Where it began.
        owners: Its tasks, the latest last.
    """

    branch: str
    base_commit: str
    owners: tuple[Owner, ...]

    def with_owner(self, owner: Owner) -> BranchRecord:
        """The same record with this task as the latest owner."""
        others = (o for o in self.owners if not o.is_task(owner.session_id, owner.task_id))
        return self._replace(owners=(*others, owner))

    def belongs_to(self, session_id: str, task_id: str) -> bool:
        """Whether the branch is one of this task's."""
        return any(owner.is_task(session_id, task_id) for owner in self.owners)


def _parse_branch(fields: dict[str, Any]) -> BranchRecord | None:
    try:
        owners = tuple(Owner(*map(str, owner)) for owner in fields["owners"])
        record = BranchRecord(str(fields["branch"]), str(fields["base_commit"]), owners)
    except (KeyError, TypeError):
        return None
    return record if owners else None


def read_branch(common_dir: str, branch: str) -> BranchRecord | None:
    """The record of a branch; None if it is not ours."""
    record = _parse_branch(read_json(branch_record(common_dir, branch)))
    return record if record is not None and record.branch == branch else None


def branch_records(common_dir: str) -> Iterator[BranchRecord]:
    """The records of all branches of ours, including those that someone has deleted since."""
    folder = f"{common_dir}/cpr/branches"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        record = _parse_branch(read_json(f"{folder}/{name}")) if name.endswith(".json") else None
        if record is not None:
            yield record


def write_branch(common_dir: str, record: BranchRecord) -> None:
    """Writes down that a branch is ours, before it is made: so no branch of ours is unknown."""
    path = branch_record(common_dir, record.branch)
    os.makedirs(f"{own_folder(common_dir)}/branches", exist_ok=True)
    write_new(path, dump({**record._asdict(), "schema_version": 1}) + b"\n")


def forget_branch(common_dir: str, branch: str) -> None:
    """Removes the record of a branch that is gone."""
    _unlink(branch_record(common_dir, branch))


# -- the mark in a worktree's git directory -------------------------------------------------


def read_mark(admin_dir: str) -> dict[str, Any]:
    """The mark of a worktree: its task and its port; empty if it is not ours."""
    return read_json(f"{admin_dir}/cpr")


def write_mark(admin_dir: str, owner: Owner, port: int) -> None:
    """Marks a worktree as that of a task."""
    write_new(f"{admin_dir}/cpr", dump({**owner._asdict(), "port": port}) + b"\n")


# -- the record in the session's folder -----------------------------------------------------


class WorktreeRecord:
    """How far a task's worktree has come, kept in the session's folder.

    Args:
        paths: The session's paths.
        task_id: The task.
        fields: The fields of the file.
    """

    def __init__(self, paths: SessionPaths, task_id: str, fields: dict[str, Any]) -> None:
        self._path = paths.worktree(task_id)
        self.fields = fields

    @classmethod
    def read(cls, session_folder: str, task_id: str) -> WorktreeRecord:
        """Reads the record; its stage is empty if there is none."""
        paths = SessionPaths(session_folder)
        return cls(paths, task_id, read_json(paths.worktree(task_id)))

    @property
    def stage(self) -> str:
        """How far it has come; empty if nothing was begun."""
        return str(self.fields.get("stage", ""))

    def __getitem__(self, name: str) -> Any:
        return self.fields.get(name)

    def write(self, **changed: Any) -> None:
        """Changes fields: all of them or none."""
        self.fields.update(changed)
        write_new(self._path, dump({"schema_version": 1, **self.fields}) + b"\n")

    def forget(self) -> None:
        """Removes the record: nothing was begun after all."""
        self.fields = {}
        _unlink(self._path)


def worktree_records(session_folder: str) -> Iterator[tuple[str, WorktreeRecord]]:
    """The id and record of every task of a session that has, or had, a worktree."""
    start, end = "task-", ".worktree.json"
    try:
        names = sorted(os.listdir(session_folder))
    except OSError:
        return
    for name in names:
        if name.startswith(start) and name.endswith(end):
            task_id = name[len(start) : -len(end)]
            yield task_id, WorktreeRecord.read(session_folder, task_id)


def is_live(session_folder: str) -> bool:
    """Whether a runner works on a session now, or may do so on another machine."""
    is_held = is_locked(SessionPaths(session_folder))
    return bool(is_held) or read_session(session_folder, tasks=False).state == UNREACHABLE


def in_use(owner: Owner) -> bool:
    """Whether a task may still be working: its runner lives, and it has not been harvested."""
    if not is_live(owner.session_folder):
        return False
    return WorktreeRecord.read(owner.session_folder, owner.task_id).stage != HARVESTED


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
