"""The job of a helper process: one JSON object, checked."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.records import Owner


class Parent(NamedTuple):
    """The task that a retry or a follow-up continues.

    Args:
        session_id: Its session.
        task_id: Its id.
    """

    session_id: str
    task_id: str


class HelperJob(NamedTuple):
    """Prepare or harvest the worktree of one task.

    Args:
        session_folder: The session's folder, absolute.
        session_id: The session.
        task_id: The task.
        cwd: The folder for the task: a checkout, or a folder below one.
        base: Where the branch begins, as git names it; empty for HEAD.
        current_branch: What the branch's name begins with; empty for the current branch.
        worktree_dir: Where worktrees go; empty for beside the repository.
        setup: The set-up's shell command; empty for none.
        keep_worktrees: Whether the worktree stays after the harvest.
        permissions: What the agent may do; only ``sandbox`` matters here.
        state_dir: The user's state directory; empty if there is none.
        parent: The task that this one continues.
        known: If a parcel is packed: the mirrors of its node, and the commits that each one has.
        transcripts: Transcripts that go with the parcel.
        has_worktree: Whether the task's worktree goes with it.
    """

    session_folder: str
    session_id: str
    task_id: str
    cwd: str = ""
    base: str = ""
    current_branch: str = ""
    worktree_dir: str = ""
    setup: str = ""
    keep_worktrees: bool = False
    permissions: str = ""
    state_dir: str = ""
    parent: Parent | None = None
    known: Mapping[str, Any] = MappingProxyType({})
    transcripts: tuple[str, ...] = ()
    has_worktree: bool = False

    @property
    def owner(self) -> Owner:
        """The task as the owner of a branch."""
        return Owner(self.session_id, self.task_id, self.session_folder)

    @property
    def label(self) -> str:
        """The task in names of temporary files."""
        return f"{self.session_id}-{self.task_id}"


_NOT_TEXTS = ("keep_worktrees", "parent", "known", "transcripts", "has_worktree")
_NEEDED = ("session_folder", "session_id", "task_id")


def parse_job(payload: Mapping[str, Any]) -> HelperJob:
    """Makes a job of a JSON object; unknown keys are ignored.

    Raises:
        WorktreeError: If something is missing or has the wrong type.

    Example:
        >>> parse_job({"session_folder": "/s", "session_id": "1", "task_id": "a"}).base
        ''
    """
    options, parent = _object(payload, "options"), _object(payload, "parent")
    fields = {**options, **{name: payload.get(name) for name in (*_NEEDED, "cwd")}}
    texts = [name for name in HelperJob._fields if name not in _NOT_TEXTS]
    values = {name: _text(fields, name, needed=name in _NEEDED) for name in texts}
    if parent:
        ids = (_text(parent, name, needed=True) for name in Parent._fields)
        values["parent"] = Parent(*ids)
    values["known"] = _object(payload, "known")
    values["transcripts"] = tuple(map(str, payload.get("transcripts") or ()))
    values["has_worktree"] = payload.get("has_worktree") is True
    return HelperJob(**values, keep_worktrees=bool(fields.get("keep_worktrees")))


def _object(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name) or {}
    if not isinstance(value, Mapping):
        raise WorktreeError(f"{name!r} must be an object")
    return value


def _text(fields: Mapping[str, Any], name: str, *, needed: bool) -> Any:
    value = fields.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise WorktreeError(f"{name!r} must be a text, not {value!r}")
    if needed and not value:
        raise WorktreeError(f"{name!r} is missing")
    return value
