"""The branch and commit from which the worktrees of a launch begin."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from cpr_nb.model.errors import InputError, WorktreeError
from cpr_nb.model.spec import TaskSpec
from cpr_nb.store.settings_files import upwards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The options that a task may set only with ``worktree=True``.
NEED_A_WORKTREE = ("base", "setup", "setup_timeout_s", "keep_worktrees", "worktree_dir")


def find_checkouts(
    options: Mapping[str, Any], tasks: Iterable[TaskSpec]
) -> dict[str, dict[str, str]]:
    """Finds the branch and the commit from which each task's branch will begin.

    They are those of the launch. A commit that the user makes, or a branch that they switch to,
    while the tasks run changes nothing.

    Args:
        options: The session's options, checked.
        tasks: The tasks.

    Returns:
        Task id → ``current_branch`` and ``base``, for each task that has a worktree.

    Raises:
        InputError: If a worktree is impossible, or an option needs one.
    """
    by_task: dict[str, dict[str, str]] = {}
    by_location: dict[tuple[str, str], dict[str, str]] = {}
    for task in tasks:
        merged = {**options, **task.options}
        if not merged.get("worktree"):
            _refuse_worktree_options(merged, task.where)
            continue
        location = (merged["cwd"], merged.get("base", ""))
        if location not in by_location:
            by_location[location] = _resolve_base(*location, task.where)
        by_task[task.task_id] = by_location[location]
    return by_task


def _refuse_worktree_options(options: Mapping[str, Any], where: str) -> None:
    for name in NEED_A_WORKTREE:
        if name in options:
            raise InputError(f"{name} needs --worktree (worktree=True)", where)


def _resolve_base(cwd: str, base: str, where: str) -> dict[str, str]:
    try:
        from cpr_nb.worktrees.repo import open_repository
    except ImportError as error:  # GitPython says so when there is no git
        raise InputError(f"worktrees need git: {str(error).splitlines()[0]}", where) from None
    try:
        repo = open_repository(cwd)
        commit = repo.git.commit(base or "HEAD")
        branch = repo.branch
    except WorktreeError as error:
        raise InputError(str(error), f"{where}: worktree") from None
    if commit is None and base:
        raise InputError(f"{base!r} is not a commit of {repo.top}", f"{where}: base")
    if commit is None:
        raise InputError(
            f"{repo.top} has no commit yet: commit something first", f"{where}: worktree"
        )
    return {"current_branch": branch or commit[:12], "base": commit}


def in_repository(cwd: str) -> bool:
    """Whether a folder is in a git checkout: a launch without worktrees then recommends them."""
    return any(os.path.exists(os.path.join(folder, ".git")) for folder in upwards(cwd))
