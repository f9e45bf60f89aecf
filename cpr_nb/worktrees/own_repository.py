"""The repository of a task: that of the folder it was launched for, whatever a record says."""

from __future__ import annotations

import os
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.layout import NEW_PREFIX, SESSION_PREFIX
from cpr_nb.worktrees import records
from cpr_nb.worktrees.discovery import find_repository, read_git_file


class Unconfirmed(WorktreeError):
    """A record does not fit the repository: git is not run for it, and nothing is deleted."""


class OwnRepository(NamedTuple):
    """The repository of the folder that a task was launched for, whatever a record says.

    Args:
        common_dir: The git directory that all its worktrees share, a real path.
        folder: The folder by which it was identified.
        protected: What no worktree may hold: real paths.
    """

    common_dir: str
    folder: str
    protected: tuple[str, ...]


def confirm_repository(claimed: str, cwd: str, session_folder: str) -> OwnRepository:
    """Confirms that a record's repository is that of the folder that its task was launched for.

    If that folder is gone, it may also be that of the folder in which the user stands.

    Args:
        claimed: The git directory that the record names.
        cwd: The folder that the task was launched for: sealed, or out of the runner's job.
        session_folder: Where the session is now.

    Raises:
        Unconfirmed: If it is not.
    """
    problems = []
    for folder in _starting_folders(cwd):
        try:
            common_dir = find_repository(folder)
        except (WorktreeError, OSError) as error:  # the user's folder may be gone, too
            problems.append(str(error))
            continue
        if common_dir == os.path.realpath(claimed):
            check_place(common_dir, session_folder)
            places = cwd, common_dir, os.path.expanduser("~"), os.path.dirname(session_folder)
            return OwnRepository(common_dir, folder, tuple(map(os.path.realpath, places)))
        problems.append(f"its record names {claimed}, but {folder} belongs to {common_dir}")
    raise Unconfirmed(problems[0])


def _starting_folders(cwd: str) -> list[str]:
    """The folder, or what is left of its path, and then the folder in which the user stands."""
    if not os.path.isabs(cwd):
        return [os.curdir]
    if os.path.isdir(cwd):
        return [cwd]
    while not os.path.isdir(cwd) and cwd != os.path.dirname(cwd):
        cwd = os.path.dirname(cwd)
    return [cwd, os.curdir]


def check_place(common_dir: str, session_folder: str) -> None:
    """Refuses a repository in a place where agents write: in results, or in a task's worktree."""
    is_in_results = is_within(common_dir, os.path.dirname(os.path.realpath(session_folder)))
    place = common_dir
    while place != os.path.dirname(place):
        place = os.path.dirname(place)
        is_in_results = is_in_results or is_session(place)
        admin_dir = read_git_file(f"{place}/.git")
        if admin_dir is not None and records.read_mark(admin_dir):
            raise Unconfirmed(f"the repository {common_dir} is inside a task's worktree")
    if is_in_results:
        raise Unconfirmed(f"the repository {common_dir} is inside a results directory")


def is_session(folder: str) -> bool:
    """Whether a folder looks like that of a session, also of one that is not complete."""
    names = ("session.json", "status.json")
    is_named_so = os.path.basename(folder).startswith((SESSION_PREFIX, NEW_PREFIX))
    return is_named_so and any(os.path.lexists(f"{folder}/{name}") for name in names)


def is_beside(folder: str, repository: OwnRepository) -> bool:
    """Whether a folder is a checkout of the repository, or around one."""
    places = repository.common_dir, os.path.realpath(repository.folder)
    return any(is_within(place, folder) for place in places)


def is_within(path: str, folder: str) -> bool:
    """Whether a real path is that of a folder, or inside of it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
