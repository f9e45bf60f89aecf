"""Updates a copy of a worktree's index so that it matches the folder.

It works on a copy, so a lock that a killed git has left on the index blocks nothing, and a second
try finds what the first one found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence

from cpr_nb.worktrees.git_command import GitFailed
from cpr_nb.worktrees.inspection import (
    fingerprint,
    gitlinks,
    unmerged_files,
    unsaved_repository,
    untracked,
)
from cpr_nb.worktrees.worktree import Worktree


class StagingIndex:
    """A copy of a worktree's index.

    Args:
        worktree: The worktree.
        path: The file of the copy.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.

    Attributes:
        git: git on the worktree's folder with this index.
        unsaved: What git could not add; the worktree must stay.
    """

    def __init__(self, worktree: Worktree, path: str, from_setup: Mapping[str, str]) -> None:
        self._worktree, self._from_setup = worktree, from_setup
        self.path = path
        self.git = worktree.git(path)
        self.unsaved: list[str] = []

    def read(self, head: str) -> list[str]:
        """Copies the worktree's index, or makes one of ``head`` where that can't be used.

        Returns:
            The files that are in conflict in it.
        """
        try:
            # Its times are kept: git compares files as new as the index by content.
            shutil.copy2(f"{self._worktree.admin_dir}/index", self.path)
            conflicted = unmerged_files(self.git)
            if not conflicted or self._worktree.has_folder:
                self._unhide_files()
                return conflicted
        except (OSError, GitFailed):
            conflicted = []
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.git.run("read-tree", head)
        return conflicted

    def _unhide_files(self) -> None:
        """Makes git compare the files that are marked as unchanged."""
        lines = self.git.run("ls-files", "-v", "-z").names
        hidden = [line[2:] for line in lines if line[0].islower() or line[0] == "S"]
        hidden = [name for name in hidden if os.path.lexists(f"{self._worktree.path}/{name}")]
        if hidden:
            feed = b"".join(os.fsencode(name) + b"\0" for name in hidden)
            for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
                self.git.run("update-index", flag, "-z", "--stdin", feed=feed)

    def add_all(self, head: str) -> None:
        """Adds everything that the folder holds, except what only set-up has changed."""
        _, nested = untracked(self.git)
        paths = ["--", ".", *(f":(exclude,top,literal){name}" for name in nested)]
        if self.git.run("add", "--all", "--sparse", *paths, check=False).status:
            changed = self.git.run("diff-files", "--name-only", "-z").names
            self._add_each(sorted({*changed, *untracked(self.git)[0]}))
        self._find_repositories(nested)
        self._leave_out_setup(head)

    def _add_each(self, names: list[str]) -> None:
        """Adds files in ever smaller groups, where one of them makes adding all fail."""
        words = ("add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul")
        feed = b"\0".join(map(os.fsencode, names))
        output = self.git.run("--literal-pathspecs", *words, feed=feed, check=False)
        if output.status and len(names) == 1:
            self.unsaved.append(f"git can't add {names[0]}: {_last_line(output.err)}")
        elif output.status:
            half = len(names) // 2
            self._add_each(names[:half])
            self._add_each(names[half:])

    def _find_repositories(self, nested: Sequence[str]) -> None:
        """Notes the repositories inside the worktree that hold something unsaved."""
        if nested:
            self.unsaved.append(f"a git repository of its own: {shorten(nested)}")
        for name in gitlinks(self.git):
            unsaved = unsaved_repository(f"{self._worktree.path}/{name}")
            if unsaved:
                self.unsaved.append(f"the repository {name}: {unsaved}")
        if os.path.isdir(f"{self._worktree.path}/.git"):
            self.unsaved.append("a git repository in place of the worktree")

    def _leave_out_setup(self, head: str) -> None:
        """Reverts in the index what set-up changed and nobody since: it is not the agent's work."""
        if not self._from_setup:
            return
        fields = self.git.run("diff-index", "--cached", "--raw", "--no-renames", "-z", head).names
        lines = []
        for meta, name in zip(fields[::2], fields[1::2], strict=True):
            if self._from_setup.get(name) == fingerprint(f"{self._worktree.path}/{name}"):
                old_mode, _, old_id, _, _ = meta.removeprefix(":").split()
                mode = "0" if old_mode == "000000" else old_mode
                lines.append(f"{mode} {old_id}\t".encode() + os.fsencode(name) + b"\0")
        if lines:
            self.git.run("update-index", "-z", "--index-info", feed=b"".join(lines))


def shorten(names: Sequence[str], most: int = 10) -> str:
    """Names for the user, not too many.

    Example:
        >>> shorten(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "failed"
