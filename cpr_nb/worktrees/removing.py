"""Removes worktrees of which everything is saved."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from typing import Any

from cpr_nb.worktrees.looking import Place, find_admin_dir, gitlinks
from cpr_nb.worktrees.repo import GitFailed, shared_git

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


def make_ready(place: Place, index: str, commit: str, left_by_setup: Iterable[str]) -> None:
    """Makes a worktree look saved to git, so that git itself finds nothing to lose in it.

    Args:
        place: The worktree.
        index: An index that is like the commit.
        commit: The commit that holds what the worktree holds.
        left_by_setup: Files of set-up that are in no commit, and may go.
    """
    if not (place.has_admin and place.has_folder):
        return
    git = place.git(index)
    tracked = set(git.run("ls-files", "-z").names)
    for name in left_by_setup:
        if name in tracked:
            git.run("checkout-index", "--force", "--index", "--", name)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{place.path}/{name}")
    _install_index(place, index)
    if git.commit("HEAD") != commit:
        git.run("update-ref", "--no-deref", "-m", "cpr", "HEAD", commit)
    _write_link(place)


def _write_link(place: Place) -> None:
    """The ``.git`` file, without which git does not remove a worktree."""
    if not os.path.lexists(f"{place.path}/.git"):
        with open(f"{place.path}/.git", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"gitdir: {place.admin_dir}\n")


def remove_saved(place: Place) -> str | None:
    """Removes a worktree that `make_ready` has been at; the caller holds the repository's lock.

    Returns:
        None, or why it stays.
    """
    git = shared_git(place.common_dir)
    if not place.has_admin:
        return None if not place.has_folder else "git does not know it any more"
    try:
        git.run("worktree", "remove", place.path)
    except GitFailed as error:
        if not _only_gitlinks(place):
            return str(error)
        git.run("worktree", "remove", "--force", place.path)
    _remove_rest(place)
    return None


def _only_gitlinks(place: Place) -> bool:
    """Whether git refuses only because there are submodules: it does so for empty ones too."""
    if not place.has_folder or not gitlinks(place.git()):
        return False
    words = ("status", "--porcelain", "-z", "--ignore-submodules=none")
    return not place.git().run(*words).out


def discard(place: Place) -> None:
    """Removes a worktree that nothing of an agent is in, or the rest of one that is saved.

    The caller holds the repository's lock.
    """
    if not place.admin_dir and place.path:  # it was not written down yet
        place = place._replace(admin_dir=find_admin_dir(place.common_dir, place.path))
    if place.has_admin:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{place.admin_dir}/locked")
        if place.has_folder:
            with contextlib.suppress(GitFailed):
                shared_git(place.common_dir).run("worktree", "remove", "--force", place.path)
    _remove_rest(place)


def _remove_rest(place: Place) -> None:
    """What git leaves of it: what can't be deleted at once, half-made ones, empty folders."""
    _remove_tree(place.path)
    if place.admin_dir:
        _remove_tree(place.admin_dir)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(place.path))


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
