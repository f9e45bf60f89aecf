"""Runs git so that it does the same on every machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import git
from git.exc import GitCommandNotFound

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line
from cpr_nb.worktrees.git_settings import (
    COMPARING,
    IGNORE_INSIDE,
    NEUTRAL,
    NEUTRAL_IDENTITY,
    SET_VARIABLES,
    removed_variables,
)


class GitFailed(WorktreeError):
    """A git command failed; the message is git's own."""


class GitOutput(NamedTuple):
    """What a git command wrote, and its exit code."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Its output without the final line end; bytes that are not UTF-8 as in file names."""
        return os.fsdecode(self.out).rstrip("\n")

    @property
    def path(self) -> str:
        """Its output as one path, which may end with a line end of its own."""
        return os.fsdecode(self.out.removesuffix(b"\n"))

    @property
    def names(self) -> list[str]:
        """Its output as a list, for a command that was given ``-z``."""
        return [os.fsdecode(name) for name in self.out.split(b"\0") if name]

    @property
    def reason(self) -> str:
        """Why it failed, on one line."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("fatal:", "error:"))]
        return one_line("; ".join(errors or lines) or f"exited with {self.status}", 500)


def _kept_outside(args: tuple[str, ...]) -> tuple[str, ...]:
    """The arguments of a command, so that it compares no file of a repository inside the folder.

    git would start another git in it, and that one runs the programs that the configuration of that
    repository names. A file ``.gitmodules`` overrides the setting, but not the flag.
    """
    if args[0] not in COMPARING:
        return args
    return (args[0], IGNORE_INSIDE, *args[1:])


class Git:
    """Runs git in one folder.

    Args:
        folder: The folder; git fails if it does not exist, and never runs anywhere else.
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
        self._env = {**SET_VARIABLES, **(env or {})}
        if index:
            self._env["GIT_INDEX_FILE"] = index
        self._git = git.Git(os.sep)  # the folder is an argument: see `_command`

    def run(
        self, *args: str, ok: tuple[int, ...] = (0,), feed: bytes | None = None, check: bool = True
    ) -> GitOutput:
        """Runs one command.

        Args:
            *args: The sub-command and its arguments.
            ok: The exit codes that do not count as a failure.
            feed: What it reads on its stdin.
            check: Whether a failure raises.

        Raises:
            GitFailed: If it fails.
        """
        command = self._command(args)
        if feed is None:
            output = self._execute(command)
        else:
            with tempfile.TemporaryFile() as file:
                file.write(feed)
                file.seek(0)
                output = self._execute(command, istream=file)
        if check and output.status not in ok:
            raise GitFailed(f"git {args[0]}: {output.reason}")
        return output

    def _execute(self, command: list[str], **more: Any) -> GitOutput:
        settings: dict[str, Any] = {"with_extended_output": True, "with_exceptions": False}
        settings |= {"stdout_as_string": False, "strip_newline_in_stdout": False}
        try:
            triple: Any = self._git.execute(command, env=self._env, **settings, **more)
        except GitCommandNotFound:
            raise WorktreeError("git is not installed, or not on PATH") from None
        status, out, err = triple
        return GitOutput(
            status, out or b"", err if isinstance(err, str) else os.fsdecode(err or b"")
        )

    def _command(self, args: tuple[str, ...]) -> list[str]:
        unset = [word for name in removed_variables() for word in ("-u", name)]
        command = ["env", *unset, "git"] if unset else ["git"]
        command += ["-C", self.folder]
        if self._git_dir:
            command += [f"--git-dir={self._git_dir}", f"--work-tree={self.folder}"]
        for name, value in NEUTRAL.items():
            command += ["-c", f"{name}={value}"]
        return [*command, *_kept_outside(args)]

    def succeeds(self, *args: str) -> bool:
        """Whether a command exits with 0; 1 means no, everything else is an error."""
        return self.run(*args, ok=(0, 1)).status == 0

    def commit(self, name: str) -> str | None:
        """The commit that a name stands for, or None."""
        words = ("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        output = self.run(*words, check=False)
        return output.text if output.status == 0 and output.out else None

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self.run("rev-parse", "--verify", f"{commit}^{{tree}}").text

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``newer`` contains everything that ``older`` does."""
        return self.succeeds("merge-base", "--is-ancestor", older, newer)

    def symbolic_head(self) -> str | None:
        """The full name of the branch that HEAD is on; None if HEAD is detached."""
        output = self.run("symbolic-ref", "--quiet", "HEAD", check=False)
        return output.text if output.status == 0 else None

    def identity(self) -> dict[str, str]:
        """Variables with which commits can be made; empty if the user has configured a name."""
        names = ("GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT")
        words = ("-c", "user.useConfigOnly=true", "var")
        if all(self.run(*words, name, check=False).status == 0 for name in names):
            return {}
        name, email = NEUTRAL_IDENTITY
        return {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": email,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": email,
        }

    def having(self, *, index: str = "", env: Mapping[str, str] | None = None) -> Git:
        """The same git with another index or further variables."""
        more = {**self._env, **(env or {})}
        return Git(self.folder, git_dir=self._git_dir, index=index, env=more)


def shared_git(common_dir: str) -> Git:
    """Git for what concerns a repository as a whole, not one of its checkouts."""
    return Git(common_dir, env={"GIT_DIR": common_dir})
