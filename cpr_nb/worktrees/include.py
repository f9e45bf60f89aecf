"""``.worktreeinclude``: untracked files that are copied into every worktree."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.own_repository import is_session, is_within
from cpr_nb.worktrees.repo import Repository

#: Patterns as in a ``.gitignore``, in the top folder of the checkout.
FILE = ".worktreeinclude"


def included_files(repo: Repository, results_dir: str) -> Iterator[str]:
    """The untracked files that ``.worktreeinclude`` names, also ignored ones: paths below the top.

    Results are left out, whatever it names: a copy of a session would pass for a session.

    Args:
        repo: The repository.
        results_dir: The results directory of the task's session.

    Raises:
        GitFailed: If git can't tell.
    """
    if not os.path.isfile(f"{repo.top}/{FILE}"):
        return
    output = repo.git.run("ls-files", "-z", "--others", "--ignored", f"--exclude-from={FILE}")
    results = _Results(os.path.realpath(repo.top), os.path.realpath(results_dir))
    for name in output.names:
        if not (name.endswith("/") or results.hold(name)):  # else a repository in the repository
            yield name


class _Results:
    """The folders of a checkout that are results: the session's own, and all other sessions.

    Args:
        top: The top folder of the checkout, a real path.
        results_dir: The results directory, a real path.
    """

    def __init__(self, top: str, results_dir: str) -> None:
        self._top, self._results_dir = top, results_dir
        self._folders = {"": False}

    def hold(self, name: str) -> bool:
        """Whether a path below the top is that of a file of results, or of a link to them."""
        path = f"{self._top}/{name}"
        return self._is_inside(os.path.dirname(name)) or (
            os.path.islink(path) and self._is_results(os.path.realpath(path))
        )

    def _is_inside(self, folder: str) -> bool:
        if folder not in self._folders:
            is_results = self._is_results(f"{self._top}/{folder}")
            self._folders[folder] = is_results or self._is_inside(os.path.dirname(folder))
        return self._folders[folder]

    def _is_results(self, path: str) -> bool:
        return is_session(path) or is_within(path, self._results_dir)


def copy_included(repo: Repository, worktree: str, results_dir: str) -> int:
    """Copies these files into a worktree; a file that exists there stays as it is.

    Args:
        repo: The repository.
        worktree: The worktree.
        results_dir: The results directory of the task's session.

    Returns:
        The number of files that were copied.

    Raises:
        WorktreeError: If one can't be copied.
    """
    n_copied = 0
    for name in included_files(repo, results_dir):
        target = f"{worktree}/{name}"
        try:
            n_copied += not os.path.lexists(target) and _copy(repo.top, name, worktree)
        except OSError as error:
            raise WorktreeError(f"{FILE}: can't copy {name}: {error.strerror}") from None
    return n_copied


def _copy(top: str, name: str, worktree: str) -> bool:
    source, target = f"{top}/{name}", f"{worktree}/{name}"
    folder = os.path.dirname(target)
    inside = os.path.realpath(folder) + os.sep
    if not inside.startswith(os.path.realpath(worktree) + os.sep):
        raise WorktreeError(f"{FILE}: {name} would be copied to {inside}, outside the worktree")
    mode = os.lstat(source).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        return False  # a socket, a named pipe
    os.makedirs(folder, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    return True
