"""Removes worktrees once everything in them has been saved.

The folder is moved aside first, then git forgets the worktree, then the files are deleted. So the
lock that all runners share is held only for a moment, however large the folder is, and a process
that is killed leaves either a whole worktree or a folder that is aside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.git_command import GitFailed, shared_git
from cpr_nb.worktrees.inspection import is_dirty
from cpr_nb.worktrees.worktree import Worktree, find_admin_dir

#: Follows the repository's name in the name of the folder of worktrees, unless the user chose one.
FOLDER_SUFFIX = "-worktrees"
# Files in a git directory while an operation is in progress.
_IN_PROGRESS = (
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
)
# Files of a worktree's own git directory that is complete.
_ADMIN_FILES = ("HEAD", "gitdir", "commondir")


def mark_committed(worktree: Worktree, index: str) -> None:
    """Makes a worktree that stays show committed files as committed.

    Args:
        worktree: The worktree.
        index: An index that equals the commit.
    """
    if not (worktree.has_admin and worktree.has_folder):
        return
    if worktree.git().symbolic_head() == f"refs/heads/{worktree.branch}":
        _install_index(worktree, index)
        for name in _IN_PROGRESS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{worktree.admin_dir}/{name}")


def _install_index(worktree: Worktree, index: str) -> None:
    os.replace(
        shutil.copy2(index, f"{worktree.admin_dir}/index.cpr"), f"{worktree.admin_dir}/index"
    )


def make_ready(
    worktree: Worktree, index: str, commit: str, from_setup: Mapping[str, str], since_ns: int
) -> str | None:
    """Makes a worktree look saved to git, and lets git itself check that nothing would be lost.

    Args:
        worktree: The worktree.
        index: An index that equals the commit.
        commit: The commit that holds what the worktree holds.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When its first set-up was done.

    Returns:
        Why it must stay, or None.
    """
    if not worktree.has_admin:
        return "git no longer knows it" if worktree.has_folder else None
    if not worktree.has_folder:
        return None
    _install_index(worktree, index)
    git = worktree.git()
    if git.commit("HEAD") != commit:
        git.run("update-ref", "--no-deref", "-m", "cpr", "HEAD", commit)
    if is_dirty(worktree, from_setup, since_ns):
        return "it holds changes that are not committed"
    return None


def unregister(worktree: Worktree, session_id: str = "", task_id: str = "") -> None:
    """Moves a worktree aside and makes git forget it; the caller holds the repository's lock.

    Nothing happens if the folder is now the worktree of another task, or no worktree.

    Args:
        worktree: The worktree.
        session_id: The session of the task that it must belong to.
        task_id: That task.

    Raises:
        WorktreeError: If git refuses, as it does if someone has locked the worktree; it is put
            back where it was.
    """
    # A runner that was killed may not have written the directory down yet.
    admin = worktree.admin_dir or find_admin_dir(worktree.common_dir, worktree.path)
    if not admin or not os.path.isdir(admin):
        _remove_half_made(worktree)
        return
    if worktree._replace(admin_dir=admin).belongs_to_another(session_id, task_id):
        return
    _unlock_half_made(admin)
    had_folder = worktree.has_folder
    if had_folder:
        _remove_tree(aside_path(worktree))
        os.rename(worktree.path, aside_path(worktree))
    if not all(os.path.isfile(f"{admin}/{name}") for name in _ADMIN_FILES):
        _remove_tree(admin)  # half made
        return
    try:
        shared_git(worktree.common_dir).run("worktree", "remove", worktree.path)
    except GitFailed as error:
        if had_folder:
            os.rename(aside_path(worktree), worktree.path)
        raise WorktreeError(f"{worktree.path} can't be removed: {error}") from None


def aside_path(worktree: Worktree) -> str:
    """Where a folder is moved before its files are deleted."""
    return f"{os.path.dirname(worktree.path)}/.{os.path.basename(worktree.path)}.removing"


def delete_aside(worktree: Worktree) -> None:
    """Deletes the folder that was moved aside; nobody needs to wait for this."""
    _remove_tree(aside_path(worktree))
    folder = os.path.dirname(worktree.path)
    if folder.endswith(FOLDER_SUFFIX):  # a folder that the user chose stays
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def discard(worktree: Worktree, session_id: str = "", task_id: str = "") -> None:
    """Unregisters and deletes at once, for small or rare ones; the caller holds the lock."""
    unregister(worktree, session_id, task_id)
    delete_aside(worktree)


def _unlock_half_made(admin: str) -> None:
    """Removes the lock of a git that was killed while it made the worktree."""
    with contextlib.suppress(OSError):
        with open(f"{admin}/locked", encoding="utf-8", errors="replace") as file:
            initializing = file.read().strip() == "initializing"
        if initializing:
            os.unlink(f"{admin}/locked")


def _remove_half_made(worktree: Worktree) -> None:
    """Removes the folder of a worktree that git never knew: it is empty, or has only a link."""
    with contextlib.suppress(OSError):
        if os.listdir(worktree.path) == [".git"] and os.path.isfile(f"{worktree.path}/.git"):
            os.unlink(f"{worktree.path}/.git")
        os.rmdir(worktree.path)


def _remove_tree(path: str) -> None:
    if os.path.lexists(path):
        shutil.rmtree(path, onerror=_make_writable)


def _make_writable(function: Callable[[str], Any], path: str, _error: object) -> None:
    """Makes a read-only folder, such as Go's module cache, removable and tries again."""
    with contextlib.suppress(OSError):
        for name in (os.path.dirname(path), path):
            if not stat.S_ISLNK(os.lstat(name).st_mode):
                os.chmod(name, 0o700)
        function(path)
