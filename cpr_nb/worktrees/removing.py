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
from cpr_nb.worktrees import records
from cpr_nb.worktrees.confirm_steps import Claim, check_mark, check_registered
from cpr_nb.worktrees.confirming import (
    confirm_aside,
    confirm_content,
    confirm_half_made,
    confirm_temporary,
    confirm_worktree,
)
from cpr_nb.worktrees.git_command import GitFailed, shared_git
from cpr_nb.worktrees.inspection import is_dirty
from cpr_nb.worktrees.own_repository import OwnRepository, is_beside
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
        install_index(worktree, index)
        for name in _IN_PROGRESS:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{worktree.admin_dir}/{name}")


def install_index(worktree: Worktree, index: str) -> None:
    """Puts an index in the place of a worktree's own: all of it or nothing."""
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
    install_index(worktree, index)
    git = worktree.git()
    if git.commit("HEAD") != commit:
        git.run("update-ref", "--no-deref", "-m", "cpr", "HEAD", commit)
    if is_dirty(worktree, from_setup, since_ns):
        return "it holds changes that are not committed"
    return None


def unregister(claim: Claim, repository: OwnRepository) -> None:
    """Moves a worktree aside and makes git forget it; the caller holds the repository's lock.

    Nothing happens if git has no such worktree, or if it is now that of another task.

    Args:
        claim: The worktree, and the task that it must belong to.
        repository: Its repository.

    Raises:
        Unconfirmed: If it is not certain that it is the task's.
        WorktreeError: If git refuses, as it does if someone has locked the worktree; it is put
            back where it was.
    """
    worktree = _with_admin_dir(claim.worktree, repository)
    if worktree is None or worktree.belongs_to_another(claim.owner.session_id, claim.owner.task_id):
        return
    claim = claim._replace(worktree=worktree)
    if records.read_mark(worktree.admin_dir):
        confirm_worktree(claim, repository)
    else:
        confirm_half_made(claim, repository)
    _unregister(worktree, repository)


def _with_admin_dir(worktree: Worktree, repository: OwnRepository) -> Worktree | None:
    """The worktree with its git directory; None if it has none."""
    # A runner that was killed may not have written the directory down yet.
    admin = worktree.admin_dir or find_admin_dir(repository.common_dir, worktree.path)
    return worktree._replace(admin_dir=admin) if admin and os.path.isdir(admin) else None


def _unregister(worktree: Worktree, repository: OwnRepository) -> None:
    """Does so with a worktree that is confirmed, as far as that is possible without git."""
    admin = worktree.admin_dir
    is_whole = all(os.path.isfile(f"{admin}/{name}") for name in _ADMIN_FILES)
    if is_whole:
        check_registered(worktree, repository)
    _unlock_half_made(admin)
    had_folder = worktree.has_folder
    if had_folder:
        _delete(aside_path(worktree), worktree, repository)
        os.rename(worktree.path, aside_path(worktree))
    if not is_whole:
        _remove_tree(admin)
        return
    try:
        shared_git(repository.common_dir).run("worktree", "remove", worktree.path)
    except GitFailed as error:
        if had_folder:
            os.rename(aside_path(worktree), worktree.path)
        raise WorktreeError(f"{worktree.path} can't be removed: {error}") from None


def relink(claim: Claim, repository: OwnRepository) -> None:
    """Restores the link that an agent has removed from a folder whose content is saved.

    Args:
        claim: The worktree and its task.
        repository: Its repository.
    """
    worktree = claim.worktree
    if not (worktree.has_admin and worktree.has_folder) or os.path.lexists(f"{worktree.path}/.git"):
        return
    confirm_content(claim, repository)
    check_mark(claim)
    with open(f"{worktree.path}/.git", "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"gitdir: {worktree.admin_dir}\n")


def aside_path(worktree: Worktree) -> str:
    """Where a folder is moved before its files are deleted."""
    return f"{os.path.dirname(worktree.path)}/.{os.path.basename(worktree.path)}.removing"


def delete_aside(worktree: Worktree, repository: OwnRepository) -> None:
    """Deletes the folder that was moved aside; nobody needs to wait for this.

    Raises:
        Unconfirmed: If another folder is in its place.
    """
    _delete(aside_path(worktree), worktree, repository)
    folder = os.path.dirname(worktree.path)
    if is_beside(folder.removesuffix(FOLDER_SUFFIX), repository) and folder.endswith(FOLDER_SUFFIX):
        with contextlib.suppress(OSError):  # a folder that the user chose stays
            os.rmdir(folder)


def discard(claim: Claim, repository: OwnRepository) -> None:
    """Unregisters and deletes at once, for small or rare ones; the caller holds the lock."""
    unregister(claim, repository)
    delete_aside(claim.worktree, repository)


def discard_temporary(path: str, repository: OwnRepository) -> None:
    """Removes a checkout of ours that is no task's; the caller holds the lock."""
    place = Worktree(repository.common_dir, path, "", "", "")
    worktree = _with_admin_dir(place, repository)
    if worktree is not None:
        confirm_temporary(worktree, repository)
        _unregister(worktree, repository)
    delete_aside(place, repository)


def _unlock_half_made(admin: str) -> None:
    """Removes the lock of a git that was killed while it made the worktree."""
    with contextlib.suppress(OSError):
        with open(f"{admin}/locked", encoding="utf-8", errors="replace") as file:
            initializing = file.read().strip() == "initializing"
        if initializing:
            os.unlink(f"{admin}/locked")


def _delete(aside: str, worktree: Worktree, repository: OwnRepository) -> None:
    """Deletes a folder that was moved aside, and its link last: that confirms it a second time."""
    if not os.path.lexists(aside):
        return
    confirm_aside(aside, worktree, repository)
    os.chmod(aside, 0o700)
    for entry in list(os.scandir(aside)):
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
        elif entry.name != ".git":
            os.unlink(entry.path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{aside}/.git")
    os.rmdir(aside)


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
