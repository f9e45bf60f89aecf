"""What a branch changes: as a patch, and in figures."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.nested import GITLINK

# Plain diffs, whatever the user's settings are for diffs that a person reads.
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--submodule=short")
_PATCH = ("--patch", "--binary", "--full-index", "--src-prefix=a/", "--dst-prefix=b/")


class DiffStat(NamedTuple):
    """What a branch changes against its base."""

    n_files_changed: int
    lines_added: int
    lines_deleted: int
    n_commits: int


def diff_stat(git: Git, base: str, tip: str) -> DiffStat:
    """Counts what changed between two commits; a binary file has no lines."""
    numstat = git.run("diff-tree", "-r", "-z", "--numstat", *_DIFF, base, tip).out
    n_files = added = deleted = 0
    for entry in numstat.split(b"\0"):
        counts = entry.split(b"\t", 2)
        if len(counts) == 3:  # the others are the two names of a file that was renamed
            n_files += 1
            added += int(counts[0]) if counts[0].isdigit() else 0
            deleted += int(counts[1]) if counts[1].isdigit() else 0
    n_commits = int(git.run("rev-list", "--count", f"{base}..{tip}").text)
    return DiffStat(n_files, added, deleted, n_commits)


def links_without_modules(git: Git, base: str, tip: str) -> list[str]:
    """The repositories that a branch adds and whose files nobody can get from it.

    Such a one is a commit's id in its tree, and no ``.gitmodules`` there says where that commit is.

    Args:
        git: git in the repository.
        base: The older commit.
        tip: The newer commit.

    Returns:
        Their paths.
    """
    fields = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", base, tip).names
    added = [
        name
        for meta, name in zip(fields[::2], fields[1::2], strict=True)
        if meta.split()[1] == GITLINK and meta.split()[0] != f":{GITLINK}"
    ]
    if not added:
        return []
    words = (
        "config",
        "--blob",
        f"{tip}:.gitmodules",
        "-z",
        "--get-regexp",
        r"^submodule\..*\.path$",
    )
    entries = git.run(*words, check=False).names
    known = {entry.partition("\n")[2].rstrip("/") for entry in entries}
    return [name for name in added if name not in known]


def write_patch(git: Git, base: str, tip: str, path: str) -> bool:
    """Writes what changed between two commits as a patch for ``git apply``.

    Args:
        git: git in the repository.
        base: The older commit.
        tip: The newer commit.
        path: The patch's file; it does not exist if nothing changed.

    Returns:
        Whether anything changed.
    """
    temporary = f"{path}.tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    git.run("diff-tree", "-r", *_PATCH, *_DIFF, f"--output={temporary}", base, tip)
    os.chmod(temporary, 0o600)
    if os.path.getsize(temporary):
        os.replace(temporary, path)
        return True
    os.unlink(temporary)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return False
