"""Repositories inside a worktree: which there are, and which hold work.

They are an agent's, or came from elsewhere, and their configuration may name programs. So no git
runs in them: their files alone decide. An agent can set back when a file was last modified, but not
when it was last changed (ctime).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from cpr_nb.model.text import shorten
from cpr_nb.store.git_files import content_of, git_dir_at, head_commit
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.records import WorktreeRecord

#: The mode of such a path in an index.
GITLINK = "160000"
_GITLINK_START = b"160000 "
#: What changes in a git directory when someone only looks, fetches or stages. What is staged is an
#: object, too, and that is a new file.
_NO_WORK = frozenset(("index", "FETCH_HEAD", "COMMIT_EDITMSG", "gc.log", "logs"))
_NEWER = "is newer than set-up"
# How messages in the log of HEAD begin, where commits only came from elsewhere.
_BROUGHT = (b"clone", b"checkout", b"fetch", b"pull", b"reset")
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
    return links_of(staged_entries(git))


def staged_entries(git: Git) -> list[bytes]:
    """The entries of an index, as ``git ls-files --stage`` writes them."""
    return git.run("ls-files", "--stage", "-z").out.split(b"\0")


def links_of(entries: list[bytes]) -> list[Gitlink]:
    """The commits of other repositories among the entries of an index."""
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


def head_of(folder: str) -> str:
    """The commit that a repository inside a worktree is on; empty if that is unknown."""
    git_dir = git_dir_at(folder)
    return head_commit(git_dir) if git_dir else ""


def is_repository(folder: str) -> bool:
    """Whether a folder has a ``.git`` that is, or leads to, a git directory: anything may be so."""
    entry = f"{folder}/.git"
    if os.path.isdir(entry):
        return os.path.lexists(f"{entry}/HEAD")
    return bool(git_dir_at(folder))


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
            newer = is_changed(f"{folder}/.git", since_ns)
        else:
            git_dir = ""
            newer = is_changed(f"{folder}/.git/config", since_ns)
        if newer:
            return MADE_AFTER
        name = next(_newer(folder, "", since_ns, is_git_dir=False), "")
        if not name and git_dir:
            name = next(_newer(git_dir, ".git/", since_ns, is_git_dir=True), "")
        return f"{name} {_NEWER}" if name else ""
    except OSError as error:
        return f"can't read {os.path.relpath(error.filename or folder, folder)}"


def work_in_ignored(folder: str, common_dir: str) -> str:
    """Why a changed repository in an ignored folder may hold more than ignored files.

    Such are told, and may go. A mere clone, as builds make it, holds nothing else.

    Args:
        folder: Its top folder.
        common_dir: The git directory of the worktree's repository.

    Returns:
        The reason; empty if there is none.
    """
    if os.path.isdir(f"{folder}/.git") and not os.path.islink(f"{folder}/.git"):
        return "it is ignored, but has commits of its own" if _has_commits(folder) else ""
    is_worktree = git_dir_at(folder).startswith(f"{os.path.realpath(common_dir)}/worktrees/")
    is_module = is_worktree and "/modules/" in git_dir_at(folder)
    return "it is another worktree of the repository" if is_worktree and not is_module else ""


def _has_commits(folder: str) -> bool:
    """Whether commits or stashes were made in a repository, by its log of HEAD."""
    git_dir = git_dir_at(folder)
    if not head_commit(git_dir):
        return False
    if os.path.lexists(f"{git_dir}/logs/refs/stash"):
        return True
    messages = [
        line.partition(b"\t")[2] for line in content_of(f"{git_dir}/logs/HEAD").splitlines()
    ]
    return not messages or not all(message.startswith(_BROUGHT) for message in messages)


def work_in_modules(admin_dir: str, judged: Collection[str], since_ns: int) -> list[str]:
    """What the git directories of submodules hold that no folder leads to any more, a line each.

    Args:
        admin_dir: The git directory of the worktree: they are in it, and go with it.
        judged: Those that are judged with their folders.
        since_ns: When the first set-up of the worktree was done.
    """
    if not admin_dir:
        return []
    top = os.path.realpath(f"{admin_dir}/modules")
    lines = []
    for git_dir in _git_dirs_below(top):
        if git_dir not in judged:
            names = _newer(git_dir, "", since_ns, is_git_dir=True)
            # "git submodule deinit" changes the configuration.
            name = next((name for name in names if name != "config"), "")
            if name:
                submodule = os.path.relpath(git_dir, top)
                lines.append(f"the git directory of submodule {submodule}: {name} {_NEWER}")
    return lines


def _git_dirs_below(folder: str) -> Iterator[str]:
    """The git directories of submodules in a folder; a submodule's name may have slashes."""
    if os.path.lexists(f"{folder}/HEAD"):
        yield folder
    elif os.path.isdir(folder):
        with os.scandir(folder) as entries:
            inside = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        for path in inside:
            yield from _git_dirs_below(path)


def _newer(folder: str, prefix: str, since_ns: int, *, is_git_dir: bool) -> Iterator[str]:
    """What in a folder has changed since a moment: paths, those of folders with a slash.

    A folder changes when something in it comes or goes. In a git directory that does not count:
    what goes there is no work, and what comes is new itself.
    """
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            name = f"{prefix}{entry.name}"
            if is_git_dir and entry.name in _NO_WORK and os.path.lexists(f"{folder}/HEAD"):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _newer(
                    entry.path, f"{name}/", since_ns, is_git_dir=is_git_dir or entry.name == ".git"
                )
            elif entry.stat(follow_symlinks=False).st_ctime_ns > since_ns:
                yield name
    if not is_git_dir and is_changed(folder, since_ns):
        yield prefix or "./"


def is_changed(path: str, since_ns: int) -> bool:
    """Whether a file or folder has changed since a moment, whatever its times were set to."""
    return os.lstat(path).st_ctime_ns > since_ns
