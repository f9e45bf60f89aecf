"""``.worktreeinclude``: untracked files that are copied into every worktree."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.repo import Repository

#: Patterns as in a ``.gitignore``, in the top folder of the checkout.
FILE = ".worktreeinclude"


def included_files(repo: Repository) -> Iterator[str]:
    """The untracked files that ``.worktreeinclude`` names, also ignored ones: paths below the top.

    Raises:
        GitFailed: If git can't tell.
    """
    if not os.path.isfile(f"{repo.top}/{FILE}"):
        return
    output = repo.git.run("ls-files", "-z", "--others", "--ignored", f"--exclude-from={FILE}")
    for name in output.names:
        if not name.endswith("/"):  # else a repository inside the repository
            yield name


def copy_included(repo: Repository, worktree: str) -> int:
    """Copies these files into a worktree; a file that exists there stays as it is.

    Returns:
        The number of files that were copied.

    Raises:
        WorktreeError: If one can't be copied.
    """
    n_copied = 0
    for name in included_files(repo):
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
