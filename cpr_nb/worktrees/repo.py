"""git, told to do the same on every machine, and the facts of the repository a task works in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import git
from git.exc import GitCommandNotFound

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line

#: Settings that could break a command of ours or execute something, set to what does neither.
#: What makes up the content of files (filters, line ends, ignored files) stays as the user has it.
NEUTRAL = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.editor": ":",
    "core.pager": "cat",
    "core.safecrlf": "false",
    "core.alternateRefsCommand": "true",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "merge.verifySignatures": "false",
    "merge.autoStash": "false",
    "merge.ff": "true",
    "rerere.enabled": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "status.showUntrackedFiles": "all",
    "status.relativePaths": "false",
    "status.submoduleSummary": "false",
    "diff.ignoreSubmodules": "none",
    "color.ui": "false",
    "color.status": "false",
    "color.diff": "false",
    "color.branch": "false",
    "worktree.guessRemote": "false",
    "worktree.useRelativePaths": "false",
    "branch.autoSetupMerge": "false",
    "branch.autoSetupRebase": "never",
    "i18n.commitEncoding": "UTF-8",
    "i18n.logOutputEncoding": "UTF-8",
    "log.showSignature": "false",
    "core.warnAmbiguousRefs": "false",
}
#: Variables that would turn a command of ours to another repository, or change what it does.
# fmt: off
REMOVED_VARIABLES = frozenset((
    "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR",
    "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_NO_REPLACE_OBJECTS",
    "GIT_INTERNAL_SUPER_PREFIX", "GIT_ATTR_SOURCE", "GIT_INDEX_VERSION", "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS", "GIT_TEMPLATE_DIR", "GIT_REFLOG_ACTION", "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_DATE", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "GIT_PAGER", "GIT_TRACE",
    "GIT_TRACE_SETUP", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE", "GIT_CURL_VERBOSE",
    "GIT_OPTIONAL_LOCKS",
))
# fmt: on
_SET_VARIABLES = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_PAGER": "cat"}
OLDEST_GIT = (2, 34)
#: Who commits where the user has told git no name.
NEUTRAL_IDENTITY = ("cpr", "cpr@localhost")


class GitFailed(WorktreeError):
    """A git command failed; the message is what git said of it."""


class Said(NamedTuple):
    """What a git command answered."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Its output without the line end; bytes that are no UTF-8 as Python has file names."""
        return os.fsdecode(self.out).rstrip("\n")

    @property
    def names(self) -> list[str]:
        """Its output as the list that ``-z`` makes of it."""
        return [os.fsdecode(name) for name in self.out.split(b"\0") if name]


class Git:
    """Runs git in one folder.

    Args:
        folder: The folder; git fails if it is not there, and never runs anywhere else.
        git_dir: The git directory, where it must not depend on what lies in the folder.
        index: Another index than the folder's own.
        env: Further variables.

    Example:
        >>> Git("/").run("version").text.startswith("git version ")
        True
    """

    def __init__(
        self,
        folder: str,
        *,
        git_dir: str = "",
        index: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._git_dir = git_dir
        self._env = {**_SET_VARIABLES, **(env or {})}
        if index:
            self._env["GIT_INDEX_FILE"] = index
        self._git = git.Git(os.sep)  # the folder is an argument: see `_command`

    def run(
        self, *args: str, ok: tuple[int, ...] = (0,), feed: bytes | None = None, check: bool = True
    ) -> Said:
        """Runs one command.

        Args:
            *args: The sub-command and its arguments.
            ok: The exit codes that are no failure.
            feed: What it reads on its stdin.
            check: Whether a failure raises.

        Raises:
            GitFailed: If it fails.
        """
        settings: dict[str, Any] = {"with_extended_output": True, "with_exceptions": False}
        settings |= {"stdout_as_string": False, "strip_newline_in_stdout": False}
        command = self._command(args)
        try:
            if feed is None:
                told = self._git.execute(command, env=self._env, **settings)
            else:
                with tempfile.TemporaryFile() as file:
                    file.write(feed)
                    file.seek(0)
                    told = self._git.execute(command, env=self._env, istream=file, **settings)
        except GitCommandNotFound:
            raise WorktreeError("git is not installed, or not on PATH") from None
        said = Said(*_extended(told))
        if check and said.status not in ok:
            raise GitFailed(f"git {args[0]}: {_reason(said)}")
        return said

    def _command(self, args: tuple[str, ...]) -> list[str]:
        command = [word for name in removed_here() for word in ("-u", name)]
        command = ["env", *command, "git"] if command else ["git"]
        command += ["-C", self.folder]
        if self._git_dir:
            command += [f"--git-dir={self._git_dir}", f"--work-tree={self.folder}"]
        for name, value in NEUTRAL.items():
            command += ["-c", f"{name}={value}"]
        return [*command, *args]

    def succeeds(self, *args: str) -> bool:
        """Whether a command exits with 0; 1 is a no, everything else an error."""
        return self.run(*args, ok=(0, 1)).status == 0

    def commit(self, name: str) -> str | None:
        """The commit that a name stands for, or None."""
        said = self.run(
            "rev-parse",
            "--quiet",
            "--verify",
            "--end-of-options",
            f"{name}^{{commit}}",
            check=False,
        )
        return said.text if said.status == 0 and said.out else None

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.run("rev-parse", "--verify", f"{commit}^{{tree}}").text

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``newer`` holds everything that ``older`` does."""
        return self.succeeds("merge-base", "--is-ancestor", older, newer)

    def symbolic_head(self) -> str | None:
        """The full name of the branch that HEAD is on; None if it is detached."""
        said = self.run("symbolic-ref", "--quiet", "HEAD", check=False)
        return said.text if said.status == 0 else None

    def identity(self) -> dict[str, str]:
        """Variables with which commits can be made: empty if the user has told git a name."""
        asked = ("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        author = ("-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT")
        if all(self.run(*words, check=False).status == 0 for words in (asked, author)):
            return {}
        name, email = NEUTRAL_IDENTITY
        return {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }

    def having(self, *, index: str = "", env: Mapping[str, str] | None = None) -> Git:
        """The same with another index or further variables."""
        more = {**self._env, **(env or {})}
        return Git(self.folder, git_dir=self._git_dir, index=index, env=more)


def _extended(told: Any) -> tuple[int, bytes, str]:
    status, out, err = told
    return status, out or b"", err if isinstance(err, str) else os.fsdecode(err or b"")


def removed_here() -> list[str]:
    """The variables of this process that git must not see."""
    return sorted(REMOVED_VARIABLES & os.environ.keys())


def clean_own_environment() -> None:
    """Removes them from this process's environment: for a process that is ours alone."""
    for name in removed_here():
        del os.environ[name]


def _reason(said: Said) -> str:
    lines = [line for line in said.err.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return one_line("; ".join(telling or lines) or f"exited with {said.status}", 500)


class Repository:
    """The checkout that a task's folder is in, and its repository.

    Args:
        facts: What `open_repository` found, by the names of the attributes.
    """

    def __init__(self, **facts: Any) -> None:
        #: The top folder of the checkout.
        self.top: str = facts["top"]
        #: The task's folder below it: empty, or with a slash at its end.
        self.prefix: str = facts["prefix"]
        #: The git directory that all worktrees of the repository share.
        self.common_dir: str = facts["common_dir"]
        #: Whether the history is cut off.
        self.is_shallow: bool = facts["is_shallow"]
        self.git = Git(self.top)

    @property
    def branch(self) -> str | None:
        """The current branch, without ``refs/heads/``; None with a detached HEAD."""
        head = self.git.symbolic_head()
        return head.removeprefix("refs/heads/") if head else None

    @property
    def shared(self) -> Git:
        """Git for what concerns the repository, and no checkout of it."""
        return shared_git(self.common_dir)

    def home(self) -> str:
        """The folder beside which worktrees go: the main checkout, outside of any other one.

        A submodule lies in its superproject, so it is that one's folder.
        """
        top = self.top
        if os.path.basename(self.common_dir) == ".git":
            top = os.path.dirname(self.common_dir)
        while True:
            above = Git(top).run("rev-parse", "--show-superproject-working-tree", check=False).text
            if not above:
                return top
            top = above


def shared_git(common_dir: str) -> Git:
    """Git for what concerns a repository, and no checkout of it."""
    return Git(common_dir, env={"GIT_DIR": common_dir})


_FACTS = ("--is-bare-repository", "--is-inside-work-tree", "--is-shallow-repository")
_PLACES = ("--git-common-dir", "--show-prefix", "--show-toplevel")


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
    asked = Git(folder).run("rev-parse", "--path-format=absolute", *_FACTS, *_PLACES, check=False)
    told = asked.text.split("\n")
    if told[0] == "--path-format=absolute":
        raise WorktreeError(f"worktrees need git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer")
    if told[0] == "true":
        raise WorktreeError(
            f"{folder} is in a bare repository: tasks need a checkout to start from"
        )
    if told[1:2] == ["false"]:
        raise WorktreeError(f"{folder} is inside of a git directory, not in a checkout")
    if asked.status or len(told) < 6:
        why = _reason(asked)
        raise WorktreeError(
            f"{folder} is not in a git repository: worktrees need one (git init && git commit), "
            f"or start without them ({why})"
        )
    return Repository(is_shallow=told[2] == "true", common_dir=told[3], prefix=told[4], top=told[5])


class Registered(NamedTuple):
    """A worktree as the repository knows it."""

    path: str
    head: str
    branch: str | None
    locked: str | None
    is_main: bool


def registered_worktrees(shared: Git) -> Iterator[Registered]:
    """The worktrees of a repository, the main checkout first."""
    said = shared.run("worktree", "list", "--porcelain").text
    for number, block in enumerate(said.split("\n\n")):
        fields = dict(line.partition(" ")[::2] for line in block.splitlines())
        if "worktree" in fields:
            branch = fields.get("branch")
            yield Registered(
                fields["worktree"],
                fields.get("HEAD", ""),
                branch.removeprefix("refs/heads/") if branch else None,
                fields.get("locked"),
                number == 0,
            )
