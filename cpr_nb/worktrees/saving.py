"""Commits what an agent has left in its worktree, in whatever state that is.

Nothing in the worktree changes: see `cpr_nb.worktrees.staging`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cpr_nb.model.text import shorten
from cpr_nb.worktrees.git_command import Git, shared_git
from cpr_nb.worktrees.inspection import operation_in_progress
from cpr_nb.worktrees.left_behind import commits_left_behind, refs_that_hold
from cpr_nb.worktrees.refs import drop_stale_lock, set_ref
from cpr_nb.worktrees.staging import StagingIndex
from cpr_nb.worktrees.worktree import Worktree

# Follows a branch's name in the name of a branch with work that does not follow from it.
_RESCUED = "-rescued"


class Saved(NamedTuple):
    """What became of a worktree's content.

    Args:
        tip: The branch's commit now.
        commit: The commit that holds what the worktree holds.
        committed: Whether a commit had to be made for that.
        rescued_branch: The branch of that commit, if it could not be the task's own.
        notes: What a person should know, one line each.
        unsaved: What could not be saved; the worktree must stay.
        index_path: An index that equals the commit.
    """

    tip: str
    commit: str
    committed: bool
    rescued_branch: str | None
    notes: list[str]
    unsaved: list[str]
    index_path: str


def trailer(session_id: str, task_id: str) -> str:
    """The last lines of the message of a commit of ours."""
    return f"Cpr-Session: {session_id}\nCpr-Task: {task_id}"


def save(
    worktree: Worktree,
    folder: str,
    session_id: str,
    task_id: str,
    from_setup: Mapping[str, str],
    since_ns: int,
) -> Saved:
    """Saves everything that is in a worktree, on the task's branch if that is possible.

    Args:
        worktree: The worktree.
        folder: An empty folder for temporary files.
        session_id: The session of the task whose work it is.
        task_id: That task.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When the worktree's first set-up was done.

    Returns:
        What became of it.

    Raises:
        GitFailed: If it can't be saved.
    """
    index = StagingIndex(worktree, f"{folder}/index", from_setup, since_ns)
    title = f"Left-over changes of task {task_id}"
    saving = _Saving(worktree, index, title, trailer(session_id, task_id))
    return saving.rescue_left_behind(saving.run())


class Content(NamedTuple):
    """What a worktree holds, as objects of git.

    Args:
        tip: The branch's commit; None if the branch is gone.
        head: The commit that the working files belong to.
        is_on_branch: Whether HEAD is on the task's branch.
        tree: The tree of all that is there, but for ignored files.
        merged: The other parents of a merge that is done but not committed.
        notes: What a person should know, one line each.
        unsaved: What git could not add.
        index_path: An index that equals the tree.
    """

    tip: str | None
    head: str
    is_on_branch: bool
    tree: str
    merged: list[str]
    notes: list[str]
    unsaved: list[str]
    index_path: str


def read_content(
    worktree: Worktree, folder: str, from_setup: Mapping[str, str], since_ns: int
) -> Content:
    """Finds out what a worktree holds, and changes nothing but the locks of dead gits.

    Args:
        worktree: The worktree.
        folder: An empty folder for temporary files.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.
        since_ns: When the worktree's first set-up was done.

    Raises:
        GitFailed: If git can't read it.
    """
    index = StagingIndex(worktree, f"{folder}/index", from_setup, since_ns)
    return _Saving(worktree, index, "", "").content()


def rescue(git: Git, branch: str, commit: str) -> str:
    """Gives a branch of its own to a commit that does not follow from a task's branch.

    Args:
        git: git in the repository.
        branch: The task's branch.
        commit: The commit.

    Returns:
        Its name: an earlier try, which was killed, may have made it.
    """
    for name in _rescue_names(branch):
        existing = git.commit(f"refs/heads/{name}")
        if existing is None:
            set_ref(git, f"refs/heads/{name}", commit, None)
        if existing in (None, commit):
            return name
    raise AssertionError


def _rescue_names(branch: str) -> Iterator[str]:
    yield f"{branch}{_RESCUED}"
    number = 2
    while True:
        yield f"{branch}{_RESCUED}-{number}"
        number += 1


def is_rescued_branch(name: object, branch: str) -> bool:
    """Whether a name is one that work gets if it can't be saved on a branch.

    Example:
        >>> is_rescued_branch("main-task-a-rescued-2", "main-task-a")
        True
    """
    rest = str(name).removeprefix(f"{branch}{_RESCUED}")
    return name != rest and (not rest or bool(re.fullmatch(r"-[0-9]+", rest)))


class _Saving:
    """Saves one worktree once."""

    def __init__(self, worktree: Worktree, index: StagingIndex, title: str, trailer: str) -> None:
        self._worktree, self._index = worktree, index
        self._title, self._trailer = title, trailer
        self._ref = f"refs/heads/{worktree.branch}"
        self._notes: list[str] = []
        self._git = index.git

    def content(self) -> Content:
        self._drop_locks()
        tip = self._git.commit(self._ref)
        if tip is None:
            self._notes.append(f"the branch {self._worktree.branch} was gone: made again")
        is_on_branch, head = self._head(tip)
        operation, conflicted = self._stage(head)
        tree = self._git.run("write-tree").text
        is_resolved_merge = operation == "merge" and not conflicted
        merged = self._merged_heads(head) if is_resolved_merge else []
        unsaved, path = self._index.unsaved, self._index.path
        return Content(tip, head, is_on_branch, tree, merged, self._notes, unsaved, path)

    def run(self) -> Saved:
        content = self.content()
        tip, head, tree = content.tip, content.head, content.tree
        if tip is not None and self._contains(tip, head, tree):
            return self._saved(tip, tip, committed=self._is_ours(tip))
        parents = [head, *content.merged]
        if len(parents) == 1 and tree == self._git.tree(head):
            return self._point_branch_to(head, tip, committed=False)
        rescued = self._rescued_before(head, tree)
        commit = rescued or self._commit(tree, parents)
        return self._point_branch_to(commit, tip, committed=rescued is None)

    def rescue_left_behind(self, saved: Saved) -> Saved:
        """Gives branches to commits that only the worktree's own git directory names."""
        shared, names = shared_git(self._worktree.common_dir), list[str]()
        for commit in commits_left_behind(self._worktree, shared):
            holders = refs_that_hold(shared, commit)
            if not holders or any(self._is_rescue_of(commit, *one) for one in holders.items()):
                names.append(self._rescue(commit))
        if names:
            self._notes.append(f"commits that were on no branch are saved: {shorten(names)}")
        return saved._replace(rescued_branch=saved.rescued_branch or next(iter(names), None))

    def _is_rescue_of(self, commit: str, ref: str, tip: str) -> bool:
        """Whether an earlier try, which was killed, has made this branch for a commit."""
        name = ref.removeprefix("refs/heads/")
        return tip == commit and is_rescued_branch(name, self._worktree.branch)

    # -- what the worktree holds ------------------------------------------------------------

    def _drop_locks(self) -> None:
        """Removes locks that dead gits have left: no process of this task is alive."""
        admin = self._worktree.admin_dir
        for name in ("index.lock", "HEAD.lock"):
            if self._worktree.has_admin and os.path.exists(f"{admin}/{name}"):
                os.unlink(f"{admin}/{name}")
                self._notes.append(f"a git that was killed had left {name}")
        drop_stale_lock(f"{self._worktree.common_dir}/{self._ref}.lock")

    def _head(self, tip: str | None) -> tuple[bool, str]:
        """Whether HEAD is on the task's branch, and the commit that the files belong to."""
        if not self._worktree.has_admin:
            self._notes.append("git had forgotten the worktree")
            return True, tip or self._worktree.base_commit
        branch = self._git.symbolic_head()
        head = self._git.commit("HEAD")
        if branch is None:
            self._notes.append("its HEAD was detached")
        elif branch != self._ref:
            self._notes.append(f"it was on another branch: {branch.removeprefix('refs/heads/')}")
        return branch == self._ref, head or tip or self._worktree.base_commit

    def _stage(self, head: str) -> tuple[str | None, list[str]]:
        """Brings the index to what the folder holds.

        Returns:
            The operation that was in progress, and the files in conflict.
        """
        operation = operation_in_progress(self._worktree)
        conflicted = self._index.read(head)
        if operation:
            self._notes.append(f"a {operation} was in progress")
        if conflicted:
            self._notes.append(f"conflicts were not resolved: {shorten(conflicted)}")
        self._index.add_all(head)
        return operation, conflicted

    def _merged_heads(self, head: str) -> list[str]:
        """The other parents of a merge that was done but not committed."""
        with open(f"{self._worktree.admin_dir}/MERGE_HEAD", encoding="ascii") as file:
            return [
                other for other in file.read().split() if not self._git.is_ancestor(other, head)
            ]

    # -- commits ----------------------------------------------------------------------------

    def _contains(self, commit: str, head: str, tree: str) -> bool:
        """Whether a commit already holds all of it."""
        return self._git.tree(commit) == tree and self._git.is_ancestor(head, commit)

    def _is_ours(self, commit: str) -> bool:
        """Whether an earlier try, which was killed, has made this commit."""
        return self._git.run("cat-file", "commit", commit).text.endswith(self._trailer)

    def _commit(self, tree: str, parents: list[str]) -> str:
        notes = [f"{note}." for note in self._notes]
        message = "\n\n".join([self._title, *notes, self._trailer]) + "\n"
        words = [word for parent in parents for word in ("-p", parent)]
        git = self._git.having(index=self._index.path, env=self._git.identity())
        return git.run("commit-tree", tree, *words, "-F", "-", feed=os.fsencode(message)).text

    def _point_branch_to(self, commit: str, tip: str | None, *, committed: bool) -> Saved:
        """Moves the branch forward to the commit, or rescues the commit on another branch."""
        if tip is None or self._git.is_ancestor(tip, commit):
            set_ref(self._git, self._ref, commit, tip)
            return self._saved(commit, commit, committed=committed)
        if self._git.is_ancestor(commit, tip) or (not committed and self._is_on_a_branch(commit)):
            return self._saved(tip, commit, committed=False)
        name = self._rescue(commit)
        self._notes.append(f"this does not follow from {self._worktree.branch}: saved as {name}")
        return self._saved(tip, commit, committed=committed, rescued=name)

    def _is_on_a_branch(self, commit: str) -> bool:
        words = ("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads")
        return bool(self._git.run(*words).out)

    # -- rescued branches -------------------------------------------------------------------

    def _rescued_before(self, head: str, tree: str) -> str | None:
        """The commit with the same content that an earlier try has made."""
        for name in _rescue_names(self._worktree.branch):
            commit = self._git.commit(f"refs/heads/{name}")
            if commit is None:
                return None
            if self._contains(commit, head, tree):
                return commit
        return None

    def _rescue(self, commit: str) -> str:
        return rescue(self._git, self._worktree.branch, commit)

    def _saved(
        self, tip: str, commit: str, *, committed: bool, rescued: str | None = None
    ) -> Saved:
        return Saved(
            tip,
            commit,
            committed,
            rescued,
            self._notes,
            self._index.unsaved,
            self._index.path,
        )
