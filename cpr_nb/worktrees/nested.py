"""Repositories inside a worktree: which there are, and which hold work.

They are an agent's, or came from elsewhere, and their configuration may name programs. So no git
runs in them: their files alone decide. An agent can set back when a file was last modified, but not
when it was last changed (ctime).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from cpr_nb.model.text import shorten
from cpr_nb.store.git_files import git_dir_at, head_commit
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.records import WorktreeRecord
from cpr_nb.worktrees.worktree import Worktree

#: The mode of such a path in an index.
GITLINK = "160000"
_GITLINK_START = b"160000 "
#: What changes in a git directory when someone only looks, fetches or stages. What is staged is an
#: object, too, and that is a new file.
_NO_WORK = frozenset(("index", "FETCH_HEAD", "COMMIT_EDITMSG", "gc.log", "logs"))
#: The reason to keep a repository that was made, or a submodule that was filled, by an agent.
MADE_AFTER = ".git is newer than set-up"
FILLED_AFTER = "filled after set-up; with setup='git submodule update --init' it need not stay"


class Gitlink(NamedTuple):
    """A path at which an index has a commit of another repository.

    Args:
        name: The path below the top folder.
        commit: That commit; in a conflict one of them, preferably ours.
        is_conflicted: Whether the index holds several.
    """

    name: str
    commit: str
    is_conflicted: bool


def gitlinks(git: Git) -> list[Gitlink]:
    """The paths at which an index has commits of other repositories."""
    return _links(_entries(git))


def _entries(git: Git) -> list[bytes]:
    return git.run("ls-files", "--stage", "-z").out.split(b"\0")


def _links(entries: list[bytes]) -> list[Gitlink]:
    links: dict[str, dict[bytes, str]] = {}
    for entry in entries:
        if entry.startswith(_GITLINK_START):
            meta, _, name = entry.partition(b"\t")
            _, commit, stage = meta.split(b" ")
            links.setdefault(os.fsdecode(name), {})[stage] = commit.decode()
    return [
        Gitlink(
            name, stages.get(b"0") or stages.get(b"2") or min(stages.values()), b"0" not in stages
        )
        for name, stages in links.items()
    ]


def untracked(git: Git) -> tuple[list[str], list[str]]:
    """What is neither tracked nor ignored: files, and folders that are repositories."""
    names = git.run("ls-files", "--others", "--exclude-standard", "-z").names
    nested = [name.rstrip("/") for name in names if name.endswith("/")]
    return [name for name in names if not name.endswith("/")], nested


def _around_tracked(top: str, entries: list[bytes]) -> list[str]:
    """Folders of tracked files that have become repositories of their own."""
    folders = {entry.partition(b"\t")[2].rpartition(b"/")[0] for entry in entries} - {b""}
    start = os.fsencode(top) + b"/"
    return sorted(os.fsdecode(name) for name in folders if os.path.lexists(start + name + b"/.git"))


def is_folder_inside(top: str, name: str) -> bool:
    """Whether a path below a worktree is a real folder, with no link on the way to it."""
    path = os.path.join(os.path.realpath(top), name)
    return os.path.realpath(path) == path and os.path.isdir(path)


def since_first_setup_ns(record: WorktreeRecord) -> int:
    """When the first set-up of a worktree was done: what is newer is an agent's.

    A task that continues in a worktree has a set-up of its own, later than the work before it.
    Where the first one is unknown, everything counts as newer.
    """
    first = record["first_setup_ns"]
    if first is None and not record["is_adopted"]:
        first = record["since_ns"]
    return int(first or 0)


def repositories_with_work(
    worktree: Worktree, git: Git, others: list[str], since_ns: int
) -> list[str]:
    """What repositories inside a worktree hold that may be nowhere else, a line each.

    Args:
        worktree: The worktree.
        git: git on its folder; nothing runs in the repositories inside.
        others: Those that are not tracked.
        since_ns: When the first set-up was done, by the clock of the file system.
    """
    entries, top = _entries(git), worktree.path
    links = [link.name for link in _links(entries) if is_folder_inside(top, link.name)]
    lines, made = list[str](), list[str]()
    for name in dict.fromkeys([*links, *others, *_around_tracked(top, entries)]):
        work = work_in(f"{top}/{name}", worktree.common_dir, since_ns)
        if work == MADE_AFTER and name not in links:
            made.append(name)
        elif work:
            is_filled = work == MADE_AFTER and os.path.isfile(f"{top}/{name}/.git")
            lines.append(f"the repository {name}: {FILLED_AFTER if is_filled else work}")
    return [f"a git repository of its own: {shorten(made)}", *lines] if made else lines


def head_of(folder: str) -> str:
    """The commit that a repository inside a worktree is on; empty if that is unknown."""
    git_dir = git_dir_at(folder)
    return head_commit(git_dir) if git_dir else ""


def work_in(folder: str, common_dir: str, since_ns: int) -> str:
    """Why a repository inside a worktree may hold work of its own.

    Args:
        folder: Its top folder.
        common_dir: The git directory of the worktree's repository.
        since_ns: When the first set-up of the worktree was done.

    Returns:
        The reason, which names a file; empty if all of it is as set-up has left it.
    """
    try:
        if not os.path.lexists(f"{folder}/.git"):
            names = sorted(os.listdir(folder))
            return f"files without a repository: {shorten(names)}" if names else ""
        if os.path.isfile(f"{folder}/.git") or os.path.islink(f"{folder}/.git"):
            git_dir = git_dir_at(folder)
            if not git_dir.startswith(f"{os.path.realpath(common_dir)}/"):
                return "its .git leads elsewhere"
            newer = _is_newer(f"{folder}/.git", since_ns)
        else:
            git_dir = ""
            newer = _is_newer(f"{folder}/.git/config", since_ns)
        if newer:
            return MADE_AFTER
        name = next(_newer(folder, "", since_ns, is_git_dir=False), "")
        if not name and git_dir:
            name = next(_newer(git_dir, ".git/", since_ns, is_git_dir=True), "")
        return f"{name} is newer than set-up" if name else ""
    except OSError as error:
        return f"can't read {os.path.relpath(error.filename or folder, folder)}"


def _newer(folder: str, prefix: str, since_ns: int, *, is_git_dir: bool) -> Iterator[str]:
    """What in a folder has changed since a moment: paths, those of folders with a slash.

    A folder changes when something in it comes or goes. In a git directory that does not count:
    what goes there is no work, and what comes is new itself.
    """
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{prefix}{entry.name}"
            if is_git_dir and entry.name in _NO_WORK:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _newer(
                    entry.path, f"{name}/", since_ns, is_git_dir=is_git_dir or entry.name == ".git"
                )
            elif entry.stat(follow_symlinks=False).st_ctime_ns > since_ns:
                yield name
    if not is_git_dir and _is_newer(folder, since_ns):
        yield prefix or "./"


def _is_newer(path: str, since_ns: int) -> bool:
    return os.lstat(path).st_ctime_ns > since_ns
