"""Finds work that a task has left outside its branch: worktrees, branches, tags, stashes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from cpr_nb.model.text import one_line
from cpr_nb.store.files import open_regular
from cpr_nb.store.git_files import content_of
from cpr_nb.store.layout import SessionPaths
from cpr_nb.worktrees import records
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.job import HelperJob
from cpr_nb.worktrees.repo import registered_worktrees
from cpr_nb.worktrees.worktree import Worktree, find_admin_dir

_NANOSECONDS = 1_000_000_000
_ESCAPE = re.compile(rb"\\(u[0-9A-Fa-f]{4}|.)")


class _Place(NamedTuple):
    """Where work may lie: a branch, a tag, a worktree, or a worktree on a branch."""

    branch: str | None
    path: str | None
    admin_dir: str = ""
    tag: str | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in (self.branch, self.path, self.tag) if name]

    def __str__(self) -> str:
        words = [("worktree", self.path), ("branch", self.branch), ("tag", self.tag)]
        return ", ".join(f"{kind} {name}" for kind, name in words if name)


def find_elsewhere(job: HelperJob, worktree: Worktree, tip: str, since_ns: int) -> list[str]:
    """Finds what a task has left outside its branch.

    A place counts as the task's if it was made after the task began and the task's stream names
    it: an agent sees the name of each worktree, branch and tag that it makes. A stash counts if it
    was made on the task's branch.

    Args:
        job: The task.
        worktree: Its worktree.
        tip: The commit of its branch, with everything that was saved.
        since_ns: When the task began.

    Returns:
        One line for each place that holds something.

    Example:
        ``["worktree /shop/.claude/worktrees/fix, branch worktree-fix: 1 commit"]``
    """
    git = shared_git(worktree.common_dir)
    stashes = _new_stashes(worktree, since_ns)
    places = [
        *_new_worktrees(git, worktree, since_ns),
        *_new_branches(git, worktree, since_ns),
        *_new_tags(git, worktree.common_dir, since_ns),
    ]
    if not places:
        return stashes
    named = _named_in_streams(job, {name for place in places for name in place.names})
    lines = []
    for place in places:
        holds = _content(git, place, tip) if named.intersection(place.names) else ""
        if holds:
            lines.append(one_line(f"{place}: {holds}"))
    return lines + stashes


def _new_worktrees(git: Git, worktree: Worktree, since_ns: int) -> Iterator[_Place]:
    for other in registered_worktrees(git):
        admin = "" if other.is_main else find_admin_dir(worktree.common_dir, other.path)
        if not admin or admin == worktree.admin_dir or records.read_mark(admin):
            continue
        # git writes this file when it makes a worktree, and never again.
        if _modified_ns(f"{admin}/commondir") >= since_ns:
            yield _Place(other.branch, other.path, admin)


def _new_branches(git: Git, worktree: Worktree, since_ns: int) -> Iterator[_Place]:
    checked_out = {other.branch for other in registered_worktrees(git)}
    branches = git.run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").text
    since_s = since_ns // _NANOSECONDS
    for name in branches.splitlines():
        ours = records.read_branch(worktree.common_dir, name) is not None
        rescued = name.startswith(f"{worktree.branch}-rescued")
        if name in checked_out or ours or rescued:
            continue
        if _created_at_s(f"{worktree.common_dir}/logs/refs/heads/{name}") >= since_s:
            yield _Place(name, None)


def _new_tags(git: Git, common_dir: str, since_ns: int) -> Iterator[_Place]:
    for name in git.run("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags").text.split():
        if _modified_ns(f"{common_dir}/refs/tags/{name}") >= since_ns:
            yield _Place(None, None, tag=name)


def _new_stashes(worktree: Worktree, since_ns: int) -> list[str]:
    """What was stashed on the task's branch: all worktrees of a repository share its stashes."""
    pattern = rb"> (\d+) [+-]\d{4}\t(?:WIP on|On) " + re.escape(os.fsencode(worktree.branch)) + b":"
    times_s = re.findall(pattern, content_of(f"{worktree.common_dir}/logs/refs/stash"))
    n_stashes = sum(int(time_s) >= since_ns // _NANOSECONDS for time_s in times_s)
    if not n_stashes:
        return []
    return [f"git stash list: {n_stashes} stash{'' if n_stashes == 1 else 'es'}"]


def _modified_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _created_at_s(reflog: str) -> int:
    """When a branch was made, by the first line of its reflog; 0 if that is unknown."""
    try:
        with open(reflog, "rb") as file:
            match = re.search(rb"> (\d+) [+-]\d{4}(\t|$)", file.readline().rstrip(b"\n"))
    except OSError:
        return 0
    return int(match[1]) if match else 0


def _named_in_streams(job: HelperJob, names: set[str]) -> set[str]:
    """Those of the names that occur in what the task's agent did, saw or said."""
    forms = {
        _plain(os.fsencode(json.dumps(name, ensure_ascii=False)[1:-1])): name for name in names
    }
    words = b"|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    pattern = re.compile(rb"(?<![\w/.-])(" + words + rb")(?![\w/-])")
    paths, number, named = SessionPaths(job.session_folder), 1, set[str]()
    while os.path.isfile(stream := paths.stream(job.task_id, number)):
        with open_regular(stream) as file:
            for line in file:
                named.update(forms[form] for form in pattern.findall(_plain(line)))
        number += 1
    return named


def _plain(line: bytes) -> bytes:
    """A line of JSON without its escapes: the "n" of a line end is no part of a name."""
    return _ESCAPE.sub(b" ", line)


def _content(git: Git, place: _Place, tip: str) -> str:
    """What a place holds that the task's branch does not; empty for nothing."""
    n_files = 0
    if place.path and os.path.isdir(place.path):
        # Its .git may lead elsewhere by now, to a repository with programs of its own.
        own = Git(place.path, git_dir=place.admin_dir)
        n_files = len(own.run("status", "--porcelain", "-z", "--no-renames", check=False).names)
        head = own.commit("HEAD")
    else:
        head = git.commit(f"refs/tags/{place.tag}" if place.tag else f"refs/heads/{place.branch}")
    commits = git.run("rev-list", "--count", f"{tip}..{head}", check=False).text if head else "0"
    counts = [(int(commits or 0), "commit"), (n_files, "uncommitted file")]
    return ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n)
