"""Commits what an agent has left in its worktree, in whatever state that is.

It works on a copy of the worktree's index, so a lock that a killed git has left there is in
nobody's way, and a second try finds what the first one found. Nothing in the worktree changes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cpr_nb.worktrees.inspection import (
    Place,
    fingerprint,
    gitlinks,
    operation,
    unmerged_files,
    unsaved_repository,
    untracked,
)
from cpr_nb.worktrees.lock import own_folder
from cpr_nb.worktrees.repo import Git, GitFailed

# A lock on our branch that is older than this was left by a git that is dead.
_STALE_LOCK_S = 2.0


class Saved(NamedTuple):
    """What became of a worktree's content.

    Args:
        tip: Where the branch is now.
        commit: The commit that holds what the worktree holds.
        committed: Whether a commit had to be made for that.
        rescued_branch: The branch that this commit is on, if it could not be the task's own.
        notes: What a person should know, one line each.
        unsaved: What could not be saved; the worktree must stay.
        index_path: An index that is like the commit.
    """

    tip: str
    commit: str
    committed: bool
    rescued_branch: str | None
    notes: list[str]
    unsaved: list[str]
    index_path: str


@contextlib.contextmanager
def scratch(common_dir: str, label: str) -> Iterator[str]:
    """A folder for temporary files, on the file system of the repository.

    Args:
        common_dir: The repository's common git directory.
        label: Whose it is: what a killed one has left under this label is removed.
    """
    own = own_folder(common_dir)
    drop_scratch(common_dir, label)
    with tempfile.TemporaryDirectory(
        prefix=f"scratch-{label}-", dir=own, ignore_cleanup_errors=True
    ) as folder:
        yield folder


def drop_scratch(common_dir: str, label: str) -> None:
    """Removes what a killed one has left under a label."""
    own = own_folder(common_dir)
    for name in os.listdir(own):
        if name.startswith(f"scratch-{label}-"):
            shutil.rmtree(f"{own}/{name}", ignore_errors=True)


def save(
    place: Place, folder: str, *, title: str, trailer: str, from_setup: Mapping[str, str]
) -> Saved:
    """Saves everything that is in a worktree, on the task's branch where that is possible.

    Args:
        place: The worktree.
        folder: An empty folder for temporary files.
        title: The first line of the commit's message.
        trailer: Its last lines.
        from_setup: What differed from HEAD when set-up was done: path → fingerprint.

    Returns:
        What became of it.

    Raises:
        GitFailed: If it can't be saved.
    """
    return _Saving(place, folder, title, trailer, from_setup).run()


class _Saving:
    """One go at it."""

    def __init__(
        self, place: Place, folder: str, title: str, trailer: str, from_setup: Mapping[str, str]
    ) -> None:
        self._place, self._from_setup = place, from_setup
        self._title, self._trailer = title, trailer
        self._index = f"{folder}/index"
        self._ref = f"refs/heads/{place.branch}"
        self._notes: list[str] = []
        self._unsaved: list[str] = []
        self._git = place.git(self._index)

    def run(self) -> Saved:
        self._drop_locks()
        tip = self._git.commit(self._ref)
        if tip is None:
            self._notes.append(f"the branch {self._place.branch} was gone: made again")
        head = self._head(tip)
        in_progress = operation(self._place)
        conflicted = self._read_index(head)
        if in_progress:
            self._notes.append(f"a {in_progress} was in progress")
        if conflicted:
            self._notes.append(f"conflicts were not resolved: {some(conflicted)}")
        if self._place.has_folder:
            self._add_all(head)
        tree = self._git.run("write-tree").text
        if tip is not None and self._has(tip, head, tree):
            return self._saved(tip, tip, committed=self._is_ours(tip))
        resolved = in_progress == "merge" and not conflicted
        parents = [head, *(self._merged_heads(head) if resolved else [])]
        commit, committed = head, False
        if len(parents) > 1 or tree != self._git.tree(head):
            rescued = self._rescued_before(head, tree)
            commit = rescued or self._commit(tree, parents)
            committed = rescued is None
        return self._point_branch_to(commit, tip, committed)

    # -- what is there ----------------------------------------------------------------------

    def _drop_locks(self) -> None:
        """Removes locks of gits that are dead, as everything of this task is."""
        admin = self._place.admin_dir
        for name in ("index.lock", "HEAD.lock"):
            if self._place.has_admin and os.path.exists(f"{admin}/{name}"):
                os.unlink(f"{admin}/{name}")
                self._notes.append(f"a git that was killed had left {name}")
        drop_stale_lock(f"{self._place.common_dir}/{self._ref}.lock")

    def _head(self, tip: str | None) -> str:
        """The commit that the working files belong to."""
        if not self._place.has_admin:
            self._notes.append("git had forgotten the worktree")
            return tip or self._place.base_commit
        on = self._git.symbolic_head()
        head = self._git.commit("HEAD")
        if on is None:
            self._notes.append("its HEAD was detached")
        elif on != self._ref:
            self._notes.append(f"it was on another branch: {on.removeprefix('refs/heads/')}")
        return head or tip or self._place.base_commit

    def _read_index(self, head: str) -> list[str]:
        """Takes a copy of the worktree's index; returns what is in conflict in it."""
        source = f"{self._place.admin_dir}/index"
        try:
            # With its time: what is as new as the index is compared by content.
            shutil.copy2(source, self._index)
            conflicted = unmerged_files(self._git)
            if not conflicted or self._place.has_folder:
                self._see_hidden_files()
                return conflicted
        except (OSError, GitFailed):
            conflicted = []
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._index)
        self._git.run("read-tree", head)
        return conflicted

    def _see_hidden_files(self) -> None:
        """Lets git look at the files that it was told to take as unchanged."""
        told = self._git.run("ls-files", "-v", "-z").names
        hidden = [line[2:] for line in told if line[0].islower() or line[0] == "S"]
        hidden = [name for name in hidden if os.path.lexists(f"{self._place.path}/{name}")]
        if hidden:
            feed = b"".join(os.fsencode(name) + b"\0" for name in hidden)
            for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
                self._git.run("update-index", flag, "-z", "--stdin", feed=feed)

    # -- what is saved ----------------------------------------------------------------------

    def _add_all(self, head: str) -> None:
        """Brings the index to what the folder holds."""
        _, nested = untracked(self._git)
        words = ["add", "--all", "--sparse"]
        paths = ["--", ".", *(f":(exclude,top,literal){name}" for name in nested)]
        if self._git.run(*words, *paths, check=False).status:
            told = self._git.run("diff-files", "--name-only", "-z").names
            self._add_what_can_be(sorted({*told, *untracked(self._git)[0]}))
        if nested:
            self._unsaved.append(f"a git repository of its own: {some(nested)}")
        for name in gitlinks(self._git):
            why = unsaved_repository(f"{self._place.path}/{name}")
            if why:
                self._unsaved.append(f"the repository {name}: {why}")
        if os.path.isdir(f"{self._place.path}/.git"):
            self._unsaved.append("a git repository in place of the worktree")
        self._leave_out_setup(head)

    def _add_what_can_be(self, names: list[str]) -> None:
        """Adds files one by one where adding them together fails because of one."""
        words = ("add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul")
        feed = b"\0".join(map(os.fsencode, names))
        added = self._git.run("--literal-pathspecs", *words, feed=feed, check=False)
        if added.status and len(names) == 1:
            self._unsaved.append(f"git can't add {names[0]}: {_last_line(added.err)}")
        elif added.status:
            half = len(names) // 2
            self._add_what_can_be(names[:half])
            self._add_what_can_be(names[half:])

    def _leave_out_setup(self, head: str) -> None:
        """Takes back what set-up left and nobody has changed: it is not the agent's work."""
        if not self._from_setup:
            return
        said = self._git.run("diff-index", "--cached", "--raw", "--no-renames", "-z", head).names
        lines = []
        for meta, name in zip(said[::2], said[1::2], strict=True):
            path = f"{self._place.path}/{name}"
            if self._from_setup.get(name) == fingerprint(path):
                old_mode, _, old_id, _, _ = meta.removeprefix(":").split()
                mode = "0" if old_mode == "000000" else old_mode
                lines.append(f"{mode} {old_id}\t".encode() + os.fsencode(name) + b"\0")
        if lines:
            self._git.run("update-index", "-z", "--index-info", feed=b"".join(lines))

    def _has(self, tip: str, head: str, tree: str) -> bool:
        """Whether a commit already holds all of it."""
        return self._git.tree(tip) == tree and self._git.is_ancestor(head, tip)

    def _is_ours(self, commit: str) -> bool:
        """Whether an earlier try, which was killed, has made this commit."""
        return self._git.run("cat-file", "commit", commit).text.endswith(self._trailer)

    def _merged_heads(self, head: str) -> list[str]:
        """The other parents of a merge that was done but not committed."""
        with open(f"{self._place.admin_dir}/MERGE_HEAD", encoding="ascii") as file:
            return [
                other for other in file.read().split() if not self._git.is_ancestor(other, head)
            ]

    def _commit(self, tree: str, parents: list[str]) -> str:
        told = [f"{note}." for note in self._notes]
        message = "\n\n".join([self._title, *told, self._trailer]) + "\n"
        words = [word for parent in parents for word in ("-p", parent)]
        git = self._git.having(index=self._index, env=self._git.identity())
        return git.run("commit-tree", tree, *words, "-F", "-", feed=os.fsencode(message)).text

    def _point_branch_to(self, commit: str, tip: str | None, committed: bool) -> Saved:
        if tip is None or self._git.is_ancestor(tip, commit):
            set_ref(self._git, self._ref, commit, tip)
            return self._saved(commit, commit, committed=committed)
        if self._git.is_ancestor(commit, tip) or (not committed and self._is_on_a_branch(commit)):
            return self._saved(tip, commit, committed=False)
        name = self._rescue(commit)
        self._notes.append(f"this does not follow from {self._place.branch}: saved as {name}")
        return self._saved(tip, commit, committed=committed, rescued=name)

    def _is_on_a_branch(self, commit: str) -> bool:
        return bool(
            self._git.run("for-each-ref", "--count=1", f"--contains={commit}", "refs/heads").out
        )

    def _rescue_names(self) -> Iterator[str]:
        yield f"{self._place.branch}-rescued"
        number = 2
        while True:
            yield f"{self._place.branch}-rescued-{number}"
            number += 1

    def _rescued_before(self, head: str, tree: str) -> str | None:
        """The commit that an earlier try has made of the same."""
        for name in self._rescue_names():
            there = self._git.commit(f"refs/heads/{name}")
            if there is None:
                return None
            if self._has(there, head, tree):
                return there
        return None

    def _rescue(self, commit: str) -> str:
        for name in self._rescue_names():
            there = self._git.commit(f"refs/heads/{name}")
            if there is None:
                set_ref(self._git, f"refs/heads/{name}", commit, None)
            if there in (None, commit):
                return name
        raise AssertionError

    def _saved(
        self, tip: str, commit: str, *, committed: bool, rescued: str | None = None
    ) -> Saved:
        return Saved(
            tip,
            commit,
            committed,
            rescued,
            self._notes,
            self._unsaved,
            self._index,
        )


def some(names: Sequence[str], most: int = 10) -> str:
    """Names for a person, not too many.

    Example:
        >>> some(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "failed"


def set_ref(git: Git, ref: str, new: str, old: str | None) -> None:
    """Moves a branch from where it was seen to somewhere else; with ``None`` makes it.

    Raises:
        GitFailed: If it is elsewhere by now, or can't be written.
    """
    git.run("update-ref", "-m", "cpr", ref, new, old or "")


def drop_stale_lock(path: str) -> None:
    """Removes the lock of a branch that a killed git has left; waits for a living one's."""
    while True:
        try:
            age_s = time.time() - os.stat(path).st_mtime
        except OSError:
            return
        if not 0 <= age_s < _STALE_LOCK_S:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        time.sleep(0.05)
