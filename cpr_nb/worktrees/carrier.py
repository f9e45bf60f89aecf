"""A task's work as one commit that a bundle carries from one machine to another.

The commit's tree is all that the worktree holds, but for ignored files. Its parents are the commits
that come with it, and its message says what each of them is. So the bundle has one ref, and it is
never empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.store.git_files import id_or_empty
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.git_settings import NEUTRAL_IDENTITY
from cpr_nb.worktrees.left_behind import commits_left_behind
from cpr_nb.worktrees.saving import Content
from cpr_nb.worktrees.worktree import Worktree

#: Our own refs: of what is being packed, and of what has come.
_PACKED, _CAME = "refs/cpr/packed/", "refs/cpr/came/"
_TITLE = "The work of a task on its way"
_NONE = "the bundle does not carry a task's work"


class Carrier(NamedTuple):
    """What a worktree holds, and which commits come with it.

    Args:
        commit: The commit that carries it; empty before it is made.
        tip: The branch's commit.
        head: The commit that HEAD is on.
        is_on_branch: Whether HEAD is on the branch.
        merged: The other parents of a merge that is done but not committed.
        refs: Other refs: name below ``refs/`` → commit.
        loose: Commits that no ref holds.
        notes: What a person should know, one line each.
    """

    commit: str
    tip: str
    head: str
    is_on_branch: bool = True
    merged: tuple[str, ...] = ()
    refs: tuple[tuple[str, str], ...] = ()
    loose: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def commits(self) -> list[str]:
        """All commits that it brings, each once."""
        others = (commit for _, commit in self.refs)
        every = (self.head, *self.merged, self.tip, *others, *self.loose)
        return list(dict.fromkeys(every))


def write_carrier(git: Git, tree: str, carrier: Carrier) -> Carrier:
    """Makes the commit that carries a task's work.

    Args:
        git: git in the repository.
        tree: What the worktree holds.
        carrier: What comes with it.

    Returns:
        The same with the commit.
    """
    fields = {name: value for name, value in carrier._asdict().items() if name != "commit"}
    message = f"{_TITLE}\n\n{json.dumps(fields)}\n"
    parents = [word for commit in carrier.commits for word in ("-p", commit)]
    name, email = NEUTRAL_IDENTITY
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
           for what, value in (("NAME", name), ("EMAIL", email))}  # fmt: skip
    commit = git.having(env=who).run(
        "commit-tree", tree, *parents, "-F", "-", feed=message.encode()
    )
    return carrier._replace(commit=commit.text)


def carrier_of(
    shared: Git, worktree: Worktree, content: Content, refs: Mapping[str, str]
) -> Carrier:
    """Makes the commit that carries what a worktree holds.

    Args:
        shared: git in its repository.
        worktree: The worktree.
        content: What it holds.
        refs: The other refs that come with it.
    """
    carrier = Carrier(
        "",
        content.tip or content.head,
        content.head,
        content.is_on_branch,
        merged=tuple(content.merged),
        refs=tuple(sorted(refs.items())),
        loose=tuple(commits_left_behind(worktree, shared)),
        notes=tuple(content.notes),
    )
    return write_carrier(shared, content.tree, carrier)


def read_carrier(git: Git, commit: str) -> Carrier:
    """Reads what the message of such a commit says, whoever wrote it.

    Raises:
        WorktreeError: If it is none.
    """
    text = git.run("cat-file", "commit", commit).text
    try:
        title, _, words = text.partition("\n\n")[2].partition("\n\n")
        fields = json.loads(words)
        refs = tuple((str(name), str(one)) for name, one in fields["refs"])
        lists = {name: tuple(map(str, fields[name])) for name in ("merged", "loose", "notes")}
        tip, head, on_branch = fields["tip"], fields["head"], fields["is_on_branch"] is True
        carrier = Carrier(commit, str(tip), str(head), on_branch, refs=refs, **lists)
    except (ValueError, KeyError, TypeError):
        raise WorktreeError(_NONE) from None
    if title != _TITLE or not all(map(id_or_empty, carrier.commits)):
        raise WorktreeError(_NONE)
    return carrier


def write_bundle(git: Git, carrier: Carrier, path: str, known: Iterable[str]) -> None:
    """Writes the bundle of a task's work.

    Args:
        git: git in the repository.
        carrier: The work.
        path: The bundle.
        known: Commits that the other side has; those that are unknown here do no harm.
    """
    ref = f"{_PACKED}{carrier.commit}"
    git.run("update-ref", ref, carrier.commit)
    try:
        without = [f"^{one}" for one in known if id_or_empty(one) and git.commit(one) == one]
        git.run("bundle", "create", "--quiet", path, ref, *without)
    finally:
        git.run("update-ref", "-d", ref)


def fetch_bundle(git: Git, path: str, *, confirm: bool = True) -> Carrier:
    """Fetches a bundle; `drop_bundle` removes the ref that holds it.

    Args:
        git: git in the repository.
        path: The bundle.
        confirm: Whether every object is checked: it comes from where an agent has worked.

    Raises:
        WorktreeError: If it is none, or if what it builds on is missing.
    """
    heads = git.run("bundle", "list-heads", path).text.split()
    commit = heads[0] if len(heads) == 2 else ""
    if not id_or_empty(commit):
        raise WorktreeError(_NONE)
    words = ("-c", "transfer.fsckObjects=true") if confirm else ()
    refs = f"+{heads[1]}:{_CAME}{commit}"
    git.run(*words, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", path, refs)
    return read_carrier(git, commit)


def drop_bundle(git: Git, carrier: Carrier) -> None:
    """Removes the ref that holds what a bundle brought."""
    git.run("update-ref", "-d", f"{_CAME}{carrier.commit}")
