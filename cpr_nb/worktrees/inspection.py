"""What an agent has left in a worktree: nothing here changes it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from cpr_nb.worktrees.fingerprints import fingerprint
from cpr_nb.worktrees.git_command import Git, GitFailed
from cpr_nb.worktrees.unsaved import unsaved_work
from cpr_nb.worktrees.worktree import Worktree

#: A file or folder in a worktree's git directory → the operation that is in progress.
_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


def operation_in_progress(worktree: Worktree) -> str | None:
    """The operation that is in progress, such as merge or rebase, or None."""
    for name, word in _OPERATIONS.items():
        if os.path.exists(f"{worktree.admin_dir}/{name}"):
            return word
    return None


def unmerged_files(git: Git) -> list[str]:
    """The files of an index that are in conflict."""
    lines = git.run("ls-files", "--unmerged", "-z").names
    return sorted({line.partition("\t")[2] for line in lines})


def ignored_files(git: Git, since_ns: int) -> tuple[list[str], int]:
    """The ignored files that were created or changed since a moment.

    Args:
        git: The worktree.
        since_ns: The moment, by the clock of the file system.

    Returns:
        Paths, where a folder with only new files is one path that ends with a slash; and the
        number of files.
    """
    words = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
    every = git.run(*words).names
    new = [name for name in every if _changed_at_ns(f"{git.folder}/{name}") > since_ns]
    folders = [name for name in git.run(*words, "--directory").names if name.endswith("/")]
    return sorted(_with_whole_folders(new, set(every) - set(new), folders)), len(new)


def _with_whole_folders(
    new: Collection[str], old: Collection[str], folders: Collection[str]
) -> list[str]:
    """New files, where a folder without any old file stands for all its new ones."""
    whole = tuple(f for f in folders if not any(name.startswith(f) for name in old))
    single = [name for name in new if not name.startswith(whole)] if whole else list(new)
    return single + [folder for folder in whole if any(name.startswith(folder) for name in new)]


def _changed_at_ns(path: str) -> int:
    try:
        return os.lstat(path).st_ctime_ns
    except OSError:
        return 0


def changed_paths(git: Git) -> dict[str, str]:
    """What differs from HEAD now, except ignored files: path → its fingerprint.

    The path of a repository inside the worktree ends with a slash.
    """
    names = (line[3:] for line in git.run("status", "--porcelain", "-z", "--no-renames").names)
    return {name: fingerprint(f"{git.folder}/{name}") for name in names}


def is_dirty(worktree: Worktree, from_setup: Mapping[str, str], since_ns: int) -> bool:
    """Whether a worktree holds changes that are in no commit and not made by set-up.

    Args:
        worktree: The worktree; one that git can't read counts as dirty.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When its first set-up was done.
    """
    if not worktree.has_admin:
        return True
    git = worktree.git()
    try:
        changed = changed_paths(git)
        files = (name for name in changed if not name.endswith("/"))
        if any(from_setup.get(name) != changed[name] for name in files):
            return True
        return bool(unsaved_work(worktree, git, from_setup, since_ns))
    except GitFailed:
        return True
