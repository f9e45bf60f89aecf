"""Removes worktrees of which everything is saved.

A folder is moved aside first, then git is told to forget it, then its files are deleted. So the
lock that all runners share is held for a moment only, however large the folder is, and who is
killed leaves either a whole worktree or one that is aside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from typing import Any

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.inspection import Place, find_admin_dir, is_dirty
from cpr_nb.worktrees.records import read_worktree
from cpr_nb.worktrees.repo import GitFailed, shared_git

#: Behind the repository's name: the folder of worktrees where the user has not named another.
FOLDER_SUFFIX = "-worktrees"
# What a git directory holds of an operation that is in progress.
_IN_PROGRESS = (
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "SQUASH_MSG",
)


def settle(place: Place, index: str) -> None:
    """Makes a worktree that stays show what was committed of it as committed.

    Args:
        place: The worktree.
        index: An index that is like the commit.
    """
    if not (place.has_admin and place.has_folder):
        return
    if place.git().symbolic_head() == f"refs/heads/{place.branch}":
        _install_index(place, index)
        for name in _IN_PROGRESS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{place.admin_dir}/{name}")


def _install_index(place: Place, index: str) -> None:
    os.replace(shutil.copy2(index, f"{place.admin_dir}/index.cpr"), f"{place.admin_dir}/index")


def make_ready(place: Place, index: str, commit: str, from_setup: Mapping[str, str]) -> str | None:
    """Makes a worktree look saved to git, and lets git itself look for anything to lose in it.

    Args:
        place: The worktree.
        index: An index that is like the commit.
        commit: The commit that holds what the worktree holds.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.

    Returns:
        None, or why it must stay.
    """
    if not place.has_admin:
        return "git does not know it any more" if place.has_folder else None
    if not place.has_folder:
        return None
    _install_index(place, index)
    git = place.git()
    if git.commit("HEAD") != commit:
        git.run("update-ref", "--no-deref", "-m", "cpr", "HEAD", commit)
    if is_dirty(place, from_setup):
        return "it holds changes that are not committed"
    return None


def unregister(place: Place, session_id: str = "", task_id: str = "") -> None:
    """Moves a worktree aside and makes git forget it; the caller holds the repository's lock.

    Nothing happens if the folder is by now the worktree of another task, or no worktree.

    Args:
        place: The worktree.
        session_id: Whose it must be.
        task_id: Likewise.

    Raises:
        WorktreeError: If git refuses, as it does if somebody has locked the worktree; it is where
            it was.
    """
    # A killed one may not have written it down yet.
    admin = place.admin_dir or find_admin_dir(place.common_dir, place.path)
    if not admin or not os.path.isdir(admin):
        _remove_half_made(place)
        return
    theirs = read_worktree(admin)
    if theirs and (theirs.get("session_id"), theirs.get("task_id")) != (session_id, task_id):
        return
    _unlock_half_made(admin)
    there = place.has_folder
    if there:
        _remove_tree(aside(place))
        os.rename(place.path, aside(place))
    if not all(os.path.isfile(f"{admin}/{name}") for name in ("HEAD", "gitdir", "commondir")):
        _remove_tree(admin)  # half made
        return
    try:
        shared_git(place.common_dir).run("worktree", "remove", place.path)
    except GitFailed as error:
        if there:
            os.rename(aside(place), place.path)
        raise WorktreeError(f"{place.path} can't be removed: {error}") from None


def aside(place: Place) -> str:
    """Where a folder is moved before its files are deleted."""
    return f"{os.path.dirname(place.path)}/.{os.path.basename(place.path)}.removing"


def delete_aside(place: Place) -> None:
    """Deletes what was moved aside; nobody needs to wait for that."""
    _remove_tree(aside(place))
    folder = os.path.dirname(place.path)
    if folder.endswith(FOLDER_SUFFIX):  # a folder that the user has named stays
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def discard(place: Place, session_id: str = "", task_id: str = "") -> None:
    """Both at once, for what is small or rare; the caller holds the repository's lock."""
    unregister(place, session_id, task_id)
    delete_aside(place)


def _unlock_half_made(admin: str) -> None:
    """Git locks a worktree while it makes it, and leaves the lock if it is killed."""
    with contextlib.suppress(OSError):
        with open(f"{admin}/locked", encoding="utf-8", errors="replace") as file:
            initializing = file.read().strip() == "initializing"
        if initializing:
            os.unlink(f"{admin}/locked")


def _remove_half_made(place: Place) -> None:
    """The folder of a worktree that git never came to know: it is empty, or has only a link."""
    with contextlib.suppress(OSError):
        if os.listdir(place.path) == [".git"] and os.path.isfile(f"{place.path}/.git"):
            os.unlink(f"{place.path}/.git")
        os.rmdir(place.path)


def _remove_tree(path: str) -> None:
    if os.path.lexists(path):
        shutil.rmtree(path, onerror=_make_writable)


def _make_writable(function: Callable[[str], Any], path: str, _error: object) -> None:
    """A folder that may not be written, such as Go's module cache, is made to give way."""
    with contextlib.suppress(OSError):
        for name in (os.path.dirname(path), path):
            if not stat.S_ISLNK(os.lstat(name).st_mode):
                os.chmod(name, 0o700)
        function(path)
