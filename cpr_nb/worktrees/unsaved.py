"""The net before a worktree is removed: what it holds that would be nowhere else.

Whatever git says, each file must be accounted for: it is in the index, or ignored, or as set-up
left it. Repositories inside are judged by `cpr_nb.worktrees.nested`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from cpr_nb.model.text import shorten
from cpr_nb.store.git_files import git_dir_at
from cpr_nb.worktrees.fingerprints import fingerprint
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.nested import (
    FILLED_AFTER,
    MADE_AFTER,
    is_changed,
    is_repository,
    links_of,
    staged_entries,
    work_in,
    work_in_ignored,
    work_in_modules,
)
from cpr_nb.worktrees.worktree import Worktree


def unsaved_work(
    worktree: Worktree,
    git: Git,
    from_setup: Mapping[str, str],
    since_ns: int,
    *,
    named: Collection[str] = (),
) -> list[str]:
    """What would be lost with a worktree, a line each.

    Args:
        worktree: The worktree.
        git: git on its folder; nothing runs in the repositories inside.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When the first set-up was done, by the clock of the file system.
        named: Files that are reported already.
    """
    net = _Net(worktree, git, since_ns)
    try:
        net.cast()
    except OSError as error:
        return [f"can't read {os.path.relpath(error.filename or '', worktree.path)}"]
    files = [name for name in net.files(from_setup) if name not in named]
    lines = [f"files that are in no commit: {shorten(files)}"] if files else []
    return [*net.repositories(), *lines]


class _Net:
    """What lies in a worktree's folder beside what is in its index.

    Args:
        worktree: The worktree.
        git: git on its folder, with the index that counts.
        since_ns: When its first set-up was done.
    """

    def __init__(self, worktree: Worktree, git: Git, since_ns: int) -> None:
        self._worktree, self._git, self._since_ns = worktree, git, since_ns
        self._top, self._place = worktree.path, os.fsencode(worktree.path) + b"/"
        entries = staged_entries(git)
        self._links = {link.name for link in links_of(entries)}
        self._tracked = {entry[entry.find(b"\t") + 1 :] for entry in entries}
        self._loose: list[str] = []
        self._below_git: list[str] = []
        self._repositories: list[str] = []

    def cast(self) -> None:
        """Goes through the folder.

        Raises:
            OSError: If a part of it can't be read.
        """
        self._visit(b"")
        for names in (self._loose, self._below_git, self._repositories):
            names.sort()

    def _visit(self, folder: bytes) -> None:
        """Goes through one folder: empty for the top, else a path that ends with a slash.

        Nearly all files are in the index: for these, nothing is asked but their names.
        """
        with os.scandir(self._place + folder) as scan:
            entries = [entry for entry in scan if not self._is_tracked_file(folder, entry)]
        place = os.fsdecode(self._place + folder)
        if folder and any(entry.name == b".git" for entry in entries) and is_repository(place):
            self._repositories.append(os.fsdecode(folder[:-1]))
            return
        for entry in entries:
            name = folder + entry.name
            if name in self._tracked:
                self._repositories.append(os.fsdecode(name))
            elif name != b".git":
                self._visit_entry(entry, name)

    def _is_tracked_file(self, folder: bytes, entry: os.DirEntry[bytes]) -> bool:
        return folder + entry.name in self._tracked and not entry.is_dir(follow_symlinks=False)

    def _visit_entry(self, entry: os.DirEntry[bytes], name: bytes) -> None:
        """Goes through what is not in the index."""
        is_git = entry.name == b".git"
        if entry.is_dir(follow_symlinks=False):
            if is_git:
                self._below_git += _files_below(entry.path, os.fsdecode(name))
            else:
                self._visit(name + b"/")
        elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
            if not is_git:
                self._loose.append(os.fsdecode(name))
            elif entry.stat(follow_symlinks=False).st_size:  # the CLI's sandbox leaves empty ones
                self._below_git.append(os.fsdecode(name))

    def files(self, from_setup: Mapping[str, str]) -> Iterator[str]:
        """The files that are not in the index, not ignored, and not as set-up left them."""
        below_git = [name for name in self._below_git if self._is_new(name, from_setup)]
        ignored = self._ignored_folders({_folder_around_git(name) for name in below_git})
        yield from (name for name in below_git if _folder_around_git(name) not in ignored)
        loose = [name for name in self._loose if self._is_new(name, from_setup)]
        if loose:
            words = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z")
            ignored = set(self._git.run(*words).names)
            yield from (name for name in loose if name not in ignored)

    def _is_new(self, name: str, from_setup: Mapping[str, str]) -> bool:
        """Whether a file has changed since set-up."""
        path = f"{self._top}/{name}"
        if not is_changed(path, self._since_ns):
            return False
        return name not in from_setup or from_setup[name] != fingerprint(path)

    def repositories(self) -> list[str]:
        """What the repositories inside hold, a line each."""
        others = [name for name in self._repositories if name not in self._links]
        ignored = self._ignored_folders(others)
        common_dir, lines, made = self._worktree.common_dir, list[str](), list[str]()
        for name in self._repositories:
            folder = f"{self._top}/{name}"
            work = work_in(folder, common_dir, self._since_ns)
            if work and name in ignored:
                work = work_in_ignored(folder, common_dir)
            if work == MADE_AFTER and name not in self._links:
                made.append(name)
            elif work:
                is_filled = work == MADE_AFTER and os.path.isfile(f"{folder}/.git")
                lines.append(f"the repository {name}: {FILLED_AFTER if is_filled else work}")
        if made:
            lines.insert(0, f"a git repository of its own: {shorten(made)}")
        judged = {git_dir_at(f"{self._top}/{name}") for name in self._repositories}
        return [*lines, *work_in_modules(self._worktree.admin_dir, judged, self._since_ns)]

    def _ignored_folders(self, folders: Collection[str]) -> set[str]:
        """Those of the folders that git ignores."""
        inside = [folder for folder in folders if folder]
        if not inside:
            return set()
        feed = b"".join(os.fsencode(folder) + b"/\0" for folder in inside)
        words = ("check-ignore", "-z", "--stdin", "--no-index")
        names = self._git.run(*words, ok=(0, 1), feed=feed).names
        return {name.rstrip("/") for name in names}


def _files_below(path: bytes, name: str) -> Iterator[str]:
    """The files below a folder that have content, and the links: paths from the top."""
    with os.scandir(path) as scan:
        for entry in scan:
            inner = f"{name}/{os.fsdecode(entry.name)}"
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path, inner)
            elif entry.is_symlink() or entry.stat(follow_symlinks=False).st_size:
                yield inner


def _folder_around_git(name: str) -> str:
    """The folder in which a ``.git`` lies that is no repository's; empty for the top."""
    return f"/{name}/".partition("/.git/")[0].removeprefix("/")
