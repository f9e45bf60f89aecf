"""What the helpers of worktrees run, and the job that each gets on its stdin."""

from __future__ import annotations

from cpr_nb.runner.helper_copy import HelperCopy
from cpr_nb.runner.own_folder import path_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.runner.session_spec import SessionSpec

#: The options that the helpers of a worktree need.
WORKTREE_OPTIONS = ("worktree_dir", "setup", "keep_worktrees", "permissions")


class Helpers:
    """What the helpers of a session's worktrees need.

    Args:
        session: What session.json says of the session as a whole.
        root: The path by which others find its folder, unless it is moved.
        state_dir: The user's state directory; empty if there is none.
        library_dirs: The folders in which Python has installed libraries.
    """

    __slots__ = ("_copy", "_root", "_session", "_state_dir")

    def __init__(
        self, session: dict[str, Any], root: str, state_dir: str, library_dirs: Sequence[str]
    ) -> None:
        self._session, self._root, self._state_dir = session, root, state_dir
        self._copy = HelperCopy(state_dir, library_dirs)

    def hold(self, spec: SessionSpec) -> None:
        """Holds the copy of what they are started from, if any task has a worktree."""
        if any(plan.worktree for plan in spec.plans):
            self._copy.hold()

    def argv(self, kind: str) -> list[str]:
        """The arguments of a helper: ``prepare``, ``pack`` or ``harvest``."""
        return self._copy.argv(kind)

    def job(self, task_spec: dict[str, Any]) -> dict[str, Any]:
        """What a helper has to know of a task.

        Args:
            task_spec: The task's object in session.json.
        """
        options = {**self._session["options"], **task_spec.get("options", {})}
        return {
            "session_folder": path_now(self._root),
            "session_id": self._session["session_id"],
            "task_id": task_spec["id"],
            "cwd": options.get("cwd", self._session["cwd"]),
            "options": {
                "state_dir": self._state_dir,
                **{name: options[name] for name in WORKTREE_OPTIONS if name in options},
                **task_spec.get("checkout", {}),
            },
            "parent": task_spec.get("parent"),
        }
