"""What a helper process is asked to do: one JSON object, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.records import Owner


class Parent(NamedTuple):
    """The task that a retry or a follow-up goes on with.

    Args:
        session_id: Its session.
        task_id: Its id.
    """

    session_id: str
    task_id: str


class Order(NamedTuple):
    """One task whose worktree is to be prepared or harvested.

    Args:
        session_folder: The session's folder, absolute.
        session_id: The session.
        task_id: The task.
        cwd: The folder that the task was asked to work in: a checkout, or below one.
        base: Where the branch begins, as git names it; empty for HEAD.
        current_branch: What the branch's name begins with; empty for the current branch.
        worktree_dir: Where worktrees go; empty for beside the repository.
        setup: The set-up's shell command; empty for none.
        keep_worktrees: Whether the worktree stays after the harvest.
        parent: The task that this one goes on with.
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
    parent: Parent | None = None

    @property
    def owner(self) -> Owner:
        """The task as the owner of a branch."""
        return Owner(self.session_id, self.task_id, self.session_folder)

    @property
    def label(self) -> str:
        """What names the task in names of temporary files."""
        return f"{self.session_id}-{self.task_id}"


_NEEDED = ("session_folder", "session_id", "task_id")


def read_order(given: Mapping[str, Any]) -> Order:
    """Makes an order of a JSON object; what it does not know is left aside.

    Raises:
        WorktreeError: If something is missing or of another kind.

    Example:
        >>> read_order({"session_folder": "/s", "session_id": "1", "task_id": "a"}).base
        ''
    """
    options = given.get("options") or {}
    parent = given.get("parent") or None
    if not isinstance(options, Mapping) or not (parent is None or isinstance(parent, Mapping)):
        raise WorktreeError("'options' and 'parent' must be objects")
    fields = {**options, **{name: given.get(name) for name in (*_NEEDED, "cwd")}}
    texts = [name for name in Order._fields if name not in ("keep_worktrees", "parent")]
    values = {name: _text(fields, name) for name in texts}
    if parent is not None:
        values["parent"] = Parent(*(_text(parent, name, True) for name in Parent._fields))
    return Order(**values, keep_worktrees=bool(fields.get("keep_worktrees")))


def _text(fields: Mapping[str, Any], name: str, needed: bool = False) -> Any:
    value = fields.get(name) or ""
    if not isinstance(value, str) or "\0" in value:
        raise WorktreeError(f"{name!r} must be a text, not {value!r}")
    if not value and (needed or name in _NEEDED):
        raise WorktreeError(f"{name!r} is missing")
    return value
