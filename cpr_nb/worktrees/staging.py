"""Updates a copy of a worktree's index so that it matches the folder.

It works on a copy, so a lock that a killed git has left on the index blocks nothing, and a second
try finds what the first one found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping

from cpr_nb.worktrees.fingerprints import fingerprint
from cpr_nb.worktrees.git_command import GitFailed
from cpr_nb.worktrees.inspection import unmerged_files
from cpr_nb.worktrees.nested import (
    GITLINK,
    gitlinks,
    head_of,
    is_folder_inside,
    untracked,
    work_in_modules,
)
from cpr_nb.worktrees.unsaved import unsaved_work
from cpr_nb.worktrees.worktree import Worktree

_FROM_STDIN = ("--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul")


class StagingIndex:
    """A copy of a worktree's index.

    Args:
        worktree: The worktree.
        path: The file of the copy.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When its first set-up was done.

    Attributes:
        git: git on the worktree's folder with this index.
        unsaved: What git could not add; the worktree must stay.
    """

    def __init__(
        self, worktree: Worktree, path: str, from_setup: Mapping[str, str], since_ns: int
    ) -> None:
        self._worktree, self._from_setup, self._since_ns = worktree, from_setup, since_ns
        self.path = path
        self.git = worktree.git(path)
        self.unsaved: list[str] = []
        self._refused: list[str] = []

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
        if not self._worktree.has_folder:
            self.unsaved += work_in_modules(self._worktree.admin_dir, (), self._since_ns)
            return
        self._follow_links()
        _, nested = untracked(self.git)
        feed = b"\0".join(map(os.fsencode, [".", *self._exclusions(nested)]))
        if self.git.run("add", *_FROM_STDIN, feed=feed, check=False).status:
            changed = self.git.run("diff-files", "--name-only", "-z").names
            self._add_each(sorted({*changed, *untracked(self.git)[0]}))
        if os.path.isdir(f"{self._worktree.path}/.git"):
            self.unsaved.append("a git repository in place of the worktree")
        self._leave_out_setup(head)
        self.unsaved += unsaved_work(
            self._worktree, self.git, self._from_setup, self._since_ns, named=self._refused
        )

    def _exclusions(self, nested: list[str]) -> list[str]:
        """Pathspecs that keep git out of the repositories inside: it would run their programs."""
        inside = [*(link.name for link in gitlinks(self.git)), *nested]
        return [f":(exclude,top,literal){name}" for name in inside]

    def _follow_links(self) -> None:
        """Brings the commits of repositories inside to what the folder holds, by their files.

        Where there is no folder any more, the entry goes: a file in its place is added like others.
        """
        lines = []
        for link in gitlinks(self.git):
            if not is_folder_inside(self._worktree.path, link.name):
                lines.append(f"0 {'0' * len(link.commit)}\t{link.name}\0")
                continue
            commit = head_of(f"{self._worktree.path}/{link.name}") or link.commit
            if link.is_conflicted or commit != link.commit:
                lines.append(f"{GITLINK} {commit}\t{link.name}\0")
        if lines:
            self._put(lines)

    def _put(self, lines: list[str]) -> None:
        """Changes entries of the index, in the form of ``update-index --index-info``."""
        feed = os.fsencode("".join(lines))
        self.git.run("update-index", "-z", "--index-info", feed=feed)

    def _add_each(self, names: list[str]) -> None:
        """Adds files in ever smaller groups, where one of them makes adding all fail."""
        feed = b"\0".join(map(os.fsencode, names))
        words = ("--literal-pathspecs", "add", *_FROM_STDIN)
        output = self.git.run(*words, feed=feed, check=False)
        if output.status and len(names) == 1:
            self.unsaved.append(f"git can't add {names[0]}: {_last_line(output.err)}")
            self._refused.append(names[0])
        elif output.status:
            half = len(names) // 2
            self._add_each(names[:half])
            self._add_each(names[half:])

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
                lines.append(f"{mode} {old_id}\t{name}\0")
        if lines:
            self._put(lines)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "failed"
