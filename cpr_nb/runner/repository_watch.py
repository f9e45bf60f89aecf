"""Compares the repositories that a session works in with what they were when it began.

Commits of the user's are normal life, and so are the branches of other sessions: they are no news.
"""

from __future__ import annotations

import os

from cpr_nb.model.text import one_line, shorten
from cpr_nb.runner.repository_state import REPLACE, RepositoryState, checked_out
from cpr_nb.store.files import is_locked, read_json
from cpr_nb.store.git_files import (
    branch_record,
    common_dir_of,
    git_dir_above,
    loose_id,
    packed_refs,
)
from cpr_nb.store.layout import SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SHORT = 7  # characters of a commit's id
_LONGEST = 1000  # characters of a warning


class RepositoryWatch:
    """The repositories of one session, each as it was before the first task in it began.

    Args:
        session: What session.json says of the session as a whole.
    """

    def __init__(self, session: dict[str, Any]) -> None:
        self._session = session
        self._folders: dict[str, str] = {}
        self._known: dict[str, _Known] = {}

    def begin(self, task_spec: dict[str, Any]) -> None:
        """A task is about to begin: keeps what its repository is like."""
        options = {**self._session["options"], **task_spec.get("options", {})}
        folder = options.get("cwd", self._session["cwd"])
        if folder not in self._folders and os.path.isdir(folder):  # else it may come back
            git_dir = git_dir_above(folder)
            self._folders[folder] = common_dir = common_dir_of(git_dir) if git_dir else ""
            if common_dir and common_dir not in self._known:
                self._known[common_dir] = _Known(git_dir, common_dir)
        common_dir = self._folders.get(folder, "")
        if common_dir and options.get("permissions") == "sandbox":
            self._known[common_dir].is_sandboxed = True

    def changes(self) -> list[str]:
        """What has changed that was not told before: a warning for each repository."""
        main = self._folders.get(self._session["cwd"])
        warnings = []
        for common_dir, known in self._known.items():
            news = known.news()
            if news:
                where = "" if common_dir == main else f" {os.path.dirname(common_dir)}"
                what = shorten(news, separator="; ")
                text = f"the repository{where} changed while the session ran: {what}"
                warnings.append(one_line(text, _LONGEST))
        return warnings


class _Known:
    """One repository, as it was.

    Args:
        git_dir: The git directory of a checkout.
        common_dir: That which all worktrees share.

    Attributes:
        is_sandboxed: Whether agents without access to it work in it.
    """

    def __init__(self, git_dir: str, common_dir: str) -> None:
        self.is_sandboxed = False
        self._git_dir, self._common_dir = git_dir, common_dir
        self._before = RepositoryState(git_dir, common_dir)
        self._told: set[str] = set()

    def news(self) -> list[str]:
        """What has changed, unless it was told before.

        That HEAD has moved is no news by itself: it goes with whatever is. That it is on another
        branch is, where agents have no access to it.
        """
        before = self._before
        now = RepositoryState(self._git_dir, self._common_dir, exact=before.exact)
        if now.is_like(before):
            return []
        found = [*_changed_files(before, now), *self._records(now), *self._refs(now)]
        if found or (self.is_sandboxed and now.head != before.head):
            found = [*_changed_head(before, now), *found]
        news = [words for words in found if words not in self._told]
        self._told.update(news)
        return news

    def _refs(self, now: RepositoryState) -> Iterator[str]:
        """Branches and tags that are gone; where agents have no access, also those that moved."""
        before = self._before
        names = [name for name in before.refs if before.refs[name] != now.refs.get(name)]
        packed = {} if now.exact or not names else packed_refs(self._common_dir)
        in_use = {before.head, now.head, *(checked_out(self._common_dir) if names else ())}
        for name in names:
            if name not in now.refs:
                if name not in packed and not self._was_cleaned(name, now):
                    yield f"{_label(name)} is gone"
            elif self.is_sandboxed and name not in in_use:
                commit = loose_id(self._common_dir, name) or now.refs[name]
                if not self._is_of_a_task(name, commit):
                    yield _label(name) + _arrow(before.refs[name], commit)
        for name in now.refs:
            if name.startswith(REPLACE) and name not in before.refs:
                yield f"{_label(name)} is new"

    def _was_cleaned(self, name: str, now: RepositoryState) -> bool:
        """Whether a branch went as ``cpr clean`` removes it: together with our record of it."""
        record = os.path.basename(branch_record(self._common_dir, _branch(name)))
        return record in self._before.records and record not in now.records

    def _is_of_a_task(self, name: str, commit: str) -> bool:
        """Whether a task of ours works on a branch, or its harvest has moved it there."""
        record = read_json(branch_record(self._common_dir, _branch(name)))
        is_at_work, checkout = _latest_owner(record)
        harvest = checkout.get("harvest")
        return is_at_work or (isinstance(harvest, dict) and harvest.get("tip_commit") == commit)

    def _records(self, now: RepositoryState) -> Iterator[str]:
        """Our records that changed though no task continues on their branches."""
        before, folder = self._before.records, f"{self._common_dir}/cpr/branches"
        for name in before:
            if name in now.records and before[name] != now.records[name]:
                record = read_json(f"{folder}/{name}")
                is_at_work, checkout = _latest_owner(record)
                fields = ("branch", "base_commit")
                is_same = all(checkout.get(field) == record.get(field) for field in fields)
                if not (is_at_work or (checkout and is_same)):
                    yield f"cpr's record of {record.get('branch') or name} changed"
        gone = before.keys() - now.records.keys()
        for name in now.refs if gone else ():
            if os.path.basename(branch_record(self._common_dir, _branch(name))) in gone:
                yield f"cpr's record of {_branch(name)} is gone"


def _latest_owner(record: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    """Whether the session of a branch's latest task runs, and that task's worktree record."""
    try:
        _, task_id, session_folder = map(str, record["owners"][-1])
    except (KeyError, IndexError, TypeError, ValueError):
        return False, {}
    paths = SessionPaths(session_folder)
    return bool(is_locked(paths)), read_json(paths.worktree(task_id))


def _changed_files(before: RepositoryState, now: RepositoryState) -> Iterator[str]:
    for name in sorted({*before.files, *now.files}):
        if name not in before.files:
            yield f"{name} is new"
        elif name not in now.files:
            yield f"{name} is gone"
        elif before.files[name] != now.files[name]:
            yield f"{name} changed"


def _changed_head(before: RepositoryState, now: RepositoryState) -> Iterator[str]:
    if before.head != now.head:
        old, new = (_branch(state.head) or state.commit[:_SHORT] for state in (before, now))
        yield f"HEAD {old} → {new}"
    elif before.commit != now.commit:
        yield f"HEAD {_branch(now.head)}{_arrow(before.commit, now.commit)}"


def _arrow(old: str, new: str) -> str:
    """From one id to another; an @ stands for an id that nobody has read."""
    start = "" if old.startswith("@") else f" {old[:_SHORT]}"
    return f"{start} → {new[:_SHORT]}" if not new.startswith("@") else " changed"


def _branch(name: str) -> str:
    return name.removeprefix("refs/heads/")


def _label(name: str) -> str:
    """A ref in words."""
    for start, word in (("refs/heads/", "branch"), ("refs/tags/", "tag")):
        if name.startswith(start):
            return f"{word} {name.removeprefix(start)}"
    return name
