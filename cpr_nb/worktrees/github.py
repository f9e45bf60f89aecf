"""Asks ``gh``, the GitHub CLI, about pull requests, and has it open one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line
from cpr_nb.store.programs import find_program

HOW_TO_GET_GH = (
    "gh, the GitHub CLI, is not on PATH: install it (https://cli.github.com) and run gh auth login"
)
#: The longest wait for one call: GitHub may be slow, but a call must not hang for ever.
_LIMIT_S = 300.0
#: gh asks nothing and colours nothing; the repository is an argument, or in GH_REPO.
_ENVIRONMENT = {"GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", "GH_PAGER": "cat"}
_FIELDS = "number,url,state,headRefName,headRefOid,isCrossRepository"
NO_REPOSITORY = (
    "the address of the remote does not name a repository of GitHub: set GH_REPO=OWNER/NAME"
)


class ExistingPullRequest(NamedTuple):
    """A pull request that exists.

    Args:
        number: Its number.
        url: Its address.
        state: ``open``, ``merged`` or ``closed``.
        commit: The newest commit of its branch.
        is_from_fork: Whether its branch is in another repository.
    """

    number: int
    url: str
    state: str
    commit: str
    is_from_fork: bool


class GitHub:
    """One repository on GitHub, through ``gh`` and the login that it has.

    Args:
        repository: [HOST/]OWNER/NAME; empty if its address does not say it.
        environ: The environment of the user.

    Raises:
        WorktreeError: If gh is not installed, or the repository is not known.
    """

    def __init__(self, repository: str, environ: Mapping[str, str]) -> None:
        program = find_program("gh", environ)
        if program is None:
            raise WorktreeError(HOW_TO_GET_GH)
        if not repository:
            raise WorktreeError(NO_REPOSITORY)
        self._program, self._repository = program, repository
        self._env = {**environ, **_ENVIRONMENT}

    def pull_requests_of(self, branch: str) -> list[ExistingPullRequest]:
        """The pull requests of the branches of this name, also those that are no longer open.

        Raises:
            WorktreeError: If gh can't say.
        """
        words = (
            "pr",
            "list",
            "--repo",
            self._repository,
            "--head",
            branch,
            "--state",
            "all",
            "--limit",
            "100",
        )
        text = self._run(*words, "--json", _FIELDS)
        try:
            rows: list[dict[str, Any]] = json.loads(text)
            return [
                ExistingPullRequest(
                    row["number"],
                    row["url"],
                    row["state"].lower(),
                    row.get("headRefOid") or "",
                    bool(row.get("isCrossRepository")),
                )
                for row in rows
                if row["headRefName"] == branch
            ]
        except (ValueError, TypeError, KeyError, AttributeError):
            raise WorktreeError(f"gh pr list wrote no JSON: {one_line(text)}") from None

    def open_pull_request(
        self, head: str, base: str, title: str, body: str, *, is_draft: bool = False
    ) -> str:
        """Opens a pull request; returns its address.

        Args:
            head: The branch, with ``OWNER:`` before it if it is in another repository.
            base: The branch that it is to be merged into.
            title: Its title.
            body: Its text.
            is_draft: Whether it is a draft.

        Raises:
            WorktreeError: If GitHub refuses it.
        """
        words = ["pr", "create", "--repo", self._repository, "--head", head, "--base", base]
        words += ["--title", title, "--body-file", "-", *(["--draft"] if is_draft else [])]
        return self._run(*words, feed=body).strip().rpartition("\n")[2]

    def _run(self, *words: str, feed: str = "") -> str:
        """What gh writes; it runs outside the repository, whose configuration it need not read."""
        try:
            done = subprocess.run(  # noqa: S603
                [self._program, *words],
                input=feed.encode("utf-8", "replace"),
                capture_output=True,
                cwd=os.sep,
                env=self._env,
                timeout=_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise WorktreeError(f"gh {words[0]} {words[1]}: no answer in {_LIMIT_S:g} s") from None
        except OSError as error:
            raise WorktreeError(f"can't run {self._program}: {error.strerror}") from None
        if done.returncode:
            why = one_line(done.stderr.decode("utf-8", "replace"), 500)
            raise WorktreeError(
                f"gh {words[0]} {words[1]}: {why or f'exited with {done.returncode}'}"
            )
        return done.stdout.decode("utf-8", "replace")
