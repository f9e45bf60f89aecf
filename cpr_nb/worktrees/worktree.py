"""A task's worktree: where it is, and git on it."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from cpr_nb.worktrees import records
from cpr_nb.worktrees.discovery import read_path
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.records import WorktreeRecord

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class Worktree(NamedTuple):
    """A task's worktree and the repository that it belongs to.

    Args:
        common_dir: The git directory that all worktrees share.
        path: The worktree's folder; it may be gone.
        admin_dir: The worktree's own git directory; it may be gone.
        branch: The task's branch.
        base_commit: Where the branch began.
    """

    common_dir: str
    path: str
    admin_dir: str
    branch: str
    base_commit: str

    @property
    def has_folder(self) -> bool:
        """Whether the folder exists."""
        return os.path.isdir(self.path)

    @property
    def has_admin(self) -> bool:
        """Whether its own git directory exists."""
        return bool(self.admin_dir) and os.path.isfile(f"{self.admin_dir}/HEAD")

    @property
    def git_dir(self) -> str:
        """The git directory with which to read and save what is in the folder."""
        return self.admin_dir if self.has_admin else self.common_dir

    def git(self, index: str = "") -> Git:
        """Git on this folder, whatever its ``.git`` has become."""
        folder = self.path if self.has_folder else self.git_dir
        return Git(folder, git_dir=self.git_dir, index=index)

    def belongs_to_another(self, session_id: str, task_id: str) -> bool:
        """Whether another task has continued in this worktree."""
        mark = records.read_mark(self.admin_dir)
        return bool(mark) and (mark.get("session_id"), mark.get("task_id")) != (session_id, task_id)


def worktree_of(record: WorktreeRecord) -> Worktree:
    """The worktree that a task's record describes; a commit that is none counts as missing."""
    names = ("common_dir", "worktree", "admin_dir", "branch", "base_commit")
    worktree = Worktree(*(str(record[name] or "") for name in names))
    is_commit = _COMMIT.fullmatch(worktree.base_commit)  # git would read "--output=…" as an option
    return worktree if is_commit else worktree._replace(base_commit="")


def find_admin_dir(common_dir: str, path: str) -> str:
    """The git directory of a worktree, or empty; a killed git may have left it half made."""
    folder, half_made = f"{common_dir}/worktrees", ""
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        admin = f"{folder}/{name}"
        try:
            with open(f"{admin}/gitdir", "rb") as file:
                link = os.path.join(admin, os.fsdecode(file.read()).rstrip("\n"))
        except OSError:
            # git writes this file first, beside a lock; the name is that of the folder.
            same = _stem(name) == _stem(os.path.basename(path))
            half_made = admin if same and os.path.exists(f"{admin}/locked") else half_made
        else:
            if os.path.realpath(os.path.dirname(link)) == os.path.realpath(path):
                return admin
    return half_made


def find_marked(common_dir: str, session_id: str, task_id: str) -> str:
    """The folder of the worktree that is marked as that of a task; empty if there is none.

    Args:
        common_dir: The git directory of its repository.
        session_id: The task's session.
        task_id: The task.
    """
    folder = f"{common_dir}/worktrees"
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        mark = records.read_mark(f"{folder}/{name}")
        if (mark.get("session_id"), mark.get("task_id")) == (session_id, task_id):
            link = read_path(f"{folder}/{name}/gitdir")
            return os.path.dirname(link) if link else f"{folder}/{name}"
    return ""


def _stem(name: str) -> str:
    return name.rstrip("0123456789")  # git appends a number where the name is taken
