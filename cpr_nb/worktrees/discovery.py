"""Finds the repository of a folder by its files: git would run what a configuration names."""

from __future__ import annotations

import os
import stat

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.git_command import Git

# Links between a worktree and its repository are one path each.
_MOST_LINK_BYTES = 65_536
_GIT_FILE = b"gitdir:"


def find_repository(folder: str) -> str:
    """The git directory that all worktrees of a folder's repository share, as a real path.

    Args:
        folder: A folder of a checkout.

    Raises:
        WorktreeError: If there is none, or none that may be used without further questions.

    Example:
        >>> find_repository("/")
        Traceback (most recent call last):
        cpr_nb.WorktreeError: / is in no git repository
    """
    link = _nearest_git(folder)
    git_dir = os.path.realpath(_git_dir_of(link))
    common_dir = common_dir_of(git_dir)
    if not (is_mine(link) and is_mine(common_dir)):
        _check_allowed(link)
    _check_whole(common_dir)
    _check_not_redirected(git_dir, common_dir)
    return common_dir


def _nearest_git(folder: str) -> str:
    """The first ``.git`` upwards of a folder."""
    place = os.path.realpath(folder)
    while True:
        link = os.path.join(place, ".git")
        if os.path.lexists(link):
            return link
        if place == os.path.dirname(place):
            raise WorktreeError(f"{folder} is in no git repository")
        place = os.path.dirname(place)


def _git_dir_of(link: str) -> str:
    """The git directory that a ``.git`` is, or names; some tools make it a symbolic link."""
    if os.path.isdir(link):
        return link
    git_dir = read_git_file(link)
    if git_dir is None:
        raise WorktreeError(f"{link} is neither a folder nor a file of git")
    return git_dir


def read_git_file(path: str) -> str | None:
    """The git directory that a checkout's file ``.git`` names; None if it is no such file."""
    content = _read_small(path)
    if content is None or not content.startswith(_GIT_FILE):
        return None
    return _joined(os.path.dirname(path), content.removeprefix(_GIT_FILE).lstrip(b" "))


def read_path(path: str) -> str | None:
    """The path in a file of a git directory, such as ``commondir``; None if there is none."""
    content = _read_small(path)
    return None if content is None else _joined(os.path.dirname(path), content)


def common_dir_of(git_dir: str) -> str:
    """The git directory that a git directory shares with other worktrees, as a real path."""
    shared = read_path(os.path.join(git_dir, "commondir"))
    return os.path.realpath(git_dir if shared is None else shared)


def is_mine(path: str) -> bool:
    """Whether a file or folder is there, and belongs to the user that we run as."""
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False


def _check_allowed(link: str) -> None:
    """Refuses another user's repository, unless the user's own ``safe.directory`` allows it.

    Git says so if it is to find the repository, but not if it is handed the git directory.
    """
    folder = os.path.dirname(link)
    if Git(folder).run("rev-parse", "--git-dir", check=False).status:
        raise WorktreeError(f"{folder} belongs to another user (git config safe.directory)")


def _check_whole(common_dir: str) -> None:
    if not os.path.isfile(os.path.join(common_dir, "HEAD")):
        raise WorktreeError(f"{common_dir} is no git repository")


def _check_not_redirected(git_dir: str, common_dir: str) -> None:
    """Refuses a git directory that names another one: git would use that one's configuration.

    Only that of a linked worktree does, and only the one that it is in.
    """
    is_linked = os.path.dirname(git_dir) == os.path.join(common_dir, "worktrees")
    has_redirection = os.path.lexists(os.path.join(common_dir, "commondir"))
    if has_redirection or not (git_dir == common_dir or is_linked):
        raise WorktreeError(f"{git_dir} is redirected to another git directory (commondir)")


def _joined(folder: str, content: bytes) -> str:
    return os.path.join(folder, os.fsdecode(content.rstrip(b"\r\n")))


def _read_small(path: str) -> bytes | None:
    """A small regular file's content; None if it is none, or a symbolic link."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_LINK_BYTES:
            return None
        return os.read(fd, _MOST_LINK_BYTES)
    finally:
        os.close(fd)
