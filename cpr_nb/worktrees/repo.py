"""The repository that a task works in, and its registered worktrees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.git_command import Git, GitOutput, shared_git

#: The oldest git that can make worktrees as we need them.
OLDEST_GIT = (2, 34)
_FACTS = ("--is-bare-repository", "--is-inside-work-tree")
_PLACES = ("--git-common-dir", "--show-prefix", "--show-toplevel")
_UNKNOWN_OPTION = 129  # git's exit code


class Repository:
    """The checkout that a task's folder is in, and its repository.

    Args:
        top: The top folder of the checkout.
        prefix: The task's folder below it: empty, or with a slash at its end.
        common_dir: The git directory that all worktrees of the repository share.
    """

    def __init__(self, top: str, prefix: str, common_dir: str) -> None:
        self.top = top
        self.prefix = prefix
        self.common_dir = common_dir
        self.git = Git(top)

    @property
    def branch(self) -> str | None:
        """The current branch, without ``refs/heads/``; None with a detached HEAD."""
        head = self.git.symbolic_head()
        return head.removeprefix("refs/heads/") if head else None

    @property
    def shared(self) -> Git:
        """Git for what concerns the repository as a whole, not one of its checkouts."""
        return shared_git(self.common_dir)

    def home(self) -> str:
        """The folder beside which worktrees go: the outermost main checkout.

        A submodule lies in its superproject, so its home is that of the superproject.
        """
        top = self.top
        if os.path.basename(self.common_dir) == ".git":
            top = os.path.dirname(self.common_dir)
        while True:
            above = Git(top).run("rev-parse", "--show-superproject-working-tree", check=False).path
            if not above:
                return top
            top = above


def open_repository(folder: str) -> Repository:
    """Finds the repository that a folder is in.

    Args:
        folder: A folder of a checkout.

    Returns:
        The repository.

    Raises:
        WorktreeError: If it is in none, or in one that nobody can work in.
    """
    if not os.path.isdir(folder):
        raise WorktreeError(f"{folder} is not a folder")
    output = Git(folder).run("rev-parse", "--path-format=absolute", *_FACTS, *_PLACES, check=False)
    lines = output.path.split("\n")
    _check_answer(folder, output, lines)
    common_dir, prefix, top = places(Git(folder), _PLACES, lines[len(_FACTS) :])
    return Repository(top, prefix, common_dir)


def places(git: Git, words: Sequence[str], lines: Sequence[str]) -> Sequence[str]:
    """What ``git rev-parse`` says of several places.

    Args:
        git: Git in a folder.
        words: The arguments that name the places.
        lines: The lines of its answer to all of them.

    Returns:
        A path for each. Where the lines are more, one of the paths has a line end in it, and each
        is asked for alone.
    """
    if len(lines) == len(words):
        return lines
    return [git.run("rev-parse", "--path-format=absolute", word).path for word in words]


def _check_answer(folder: str, output: GitOutput, lines: list[str]) -> None:
    """Refuses a folder in which no task can work."""
    if lines[0] == "--path-format=absolute":  # an old git repeats what it does not know
        raise WorktreeError(f"worktrees need git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer")
    if lines[0] == "true":
        raise WorktreeError(
            f"{folder} is in a bare repository: tasks need a checkout to start from"
        )
    if lines[1:2] == ["false"]:
        raise WorktreeError(f"{folder} is inside a git directory, not in a checkout")
    if output.status or len(lines) < len(_FACTS) + len(_PLACES):
        raise WorktreeError(
            f"{folder} is not in a git repository: worktrees need one (git init && git commit), "
            f"or start without them ({output.reason})"
        )


class RegisteredWorktree(NamedTuple):
    """A worktree as git lists it."""

    path: str
    branch: str | None
    is_main: bool


def registered_worktrees(shared: Git) -> Iterator[RegisteredWorktree]:
    """The worktrees of a repository, the main checkout first."""
    words, end = ("worktree", "list", "--porcelain"), "\0"
    output = shared.run(*words, "-z", ok=(0, _UNKNOWN_OPTION))
    if output.status:  # git before 2.36
        output, end = shared.run(*words), "\n"
    for number, block in enumerate(os.fsdecode(output.out).split(end * 2)):
        fields = dict(line.partition(" ")[::2] for line in block.split(end))
        if "worktree" in fields:
            branch = fields.get("branch")
            yield RegisteredWorktree(
                fields["worktree"],
                branch.removeprefix("refs/heads/") if branch else None,
                number == 0,
            )
