"""Pushes branches to a remote: never by force, and running nothing that a repository names."""

from __future__ import annotations

import os
import re

from cpr_nb.model.errors import WorktreeError
from cpr_nb.model.text import one_line, shorten
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.merge_report import Destination, MergeReport, Pushed

#: The transports that a push may use, unless the user's environment says otherwise.
_PROTOCOLS = {"GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh"}
#: Keys whose values are programs that a push runs. Agents may write the repository's own file.
_PROGRAMS = re.compile(
    r"core\.(sshcommand|askpass|gitproxy|alternaterefscommand)|credential\..*helper"
    r"|remote\..*\.(receivepack|uploadpack|vcs)|protocol\..*|gpg\.(.*\.)?program"
    r"|gpg\.ssh\.defaultkeycommand",
    re.DOTALL,
)
_OWN_SCOPES = ("local", "worktree")
_HEADS = "refs/heads/"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^@/]*@)?(\[[^\]]*\]|[^:/]*)(?::\d+)?/(.+)", re.DOTALL)
_SCP_LIKE = re.compile(r"(?:[^@/:]*@)?(\[[^\]]*\]|[^:/]+):(.+)", re.DOTALL)


def push_destination(git: Git, branch: str) -> Destination:
    """Where git pushes a branch to: its upstream, the ``remote.pushDefault``, or the only remote.

    Args:
        git: git in the repository.
        branch: The branch.

    Raises:
        WorktreeError: If there is no remote, or several and none of them is its own.
    """
    own = _setting(git, f"branch.{branch}.remote")
    push_name = _setting(git, f"branch.{branch}.pushRemote") or _setting(git, "remote.pushDefault")
    remote = find_remote(git, push_name or own)
    merge = _setting(git, f"branch.{branch}.merge")
    has_upstream = remote == own and merge.startswith(_HEADS)
    return Destination(
        remote, _address(git, remote), merge[len(_HEADS) :] if has_upstream else branch
    )


def upstream(git: Git, branch: str) -> Destination:
    """Where a branch comes from: its upstream, else where it is pushed to.

    Args:
        git: git in the repository.
        branch: The branch.

    Raises:
        WorktreeError: If there is no remote.
    """
    own, merge = (_setting(git, f"branch.{branch}.{key}") for key in ("remote", "merge"))
    if own not in git.run("remote").text.splitlines() or not merge.startswith(_HEADS):
        return push_destination(git, branch)
    return Destination(own, _address(git, own), merge[len(_HEADS) :])


def find_remote(git: Git, name: str) -> str:
    """The name of a remote: the one of this name, else the only one, else origin.

    Raises:
        WorktreeError: If there is none.
    """
    names = git.run("remote").text.splitlines()
    if not names:
        raise WorktreeError("the repository has no remote to push to (git remote add origin URL)")
    if name in names:
        return name
    if len(names) == 1 or "origin" in names:
        return names[0] if len(names) == 1 else "origin"
    raise WorktreeError(
        f"it is not clear which remote to push to: {shorten(names)}; "
        "git config remote.pushDefault NAME says it"
    )


def _setting(git: Git, key: str) -> str:
    return git.run("config", "--get", key, check=False).text


def remote_repository(git: Git, remote: str) -> str:
    """The repository of a remote as ``gh`` calls it, HOST/OWNER/NAME; empty if it has no name."""
    # git may get it from elsewhere (url.….insteadOf), and its name is then the one that was given.
    every = (*_addresses(git, remote), _setting(git, f"remote.{remote}.url"))
    return next(filter(None, map(repository_name, every)), "")


def _address(git: Git, remote: str) -> str:
    """Where a remote is; git pushes to each of its addresses, so all of them are named."""
    return " and ".join(_addresses(git, remote))


def _addresses(git: Git, remote: str) -> list[str]:
    """The addresses of a remote, without the users and passwords that they may contain."""
    urls = git.run("remote", "get-url", "--push", "--all", "--", remote).text.splitlines()
    return [without_passwords(url) for url in urls]


def without_passwords(text: str) -> str:
    """A text, such as an address, in which no address has a user or a password.

    Example:
        >>> without_passwords("https://ada:secret@example.org/shop.git")
        'https://example.org/shop.git'
    """
    return re.sub(r"([a-z][a-z0-9+.-]*://)[^/\s]*@", r"\1", text, flags=re.IGNORECASE)


def repository_name(url: str) -> str:
    """What ``gh`` calls the repository of an address, HOST/OWNER/NAME; empty if it is no such one.

    Example:
        >>> repository_name("git@github.com:ada/shop.git"), repository_name("/srv/shop.git")
        ('github.com/ada/shop', '')
    """
    match = _URL.fullmatch(url) or _SCP_LIKE.fullmatch(url)
    if match is None or not match[1]:
        return ""
    parts = match[2].removesuffix("/").removesuffix(".git").strip("/").split("/")
    return "/".join([match[1], *parts]) if len(parts) == 2 and all(parts) else ""


def check_programs(git: Git) -> None:
    """Refuses to push where the repository's own configuration names a program that a push runs.

    Raises:
        WorktreeError: If it does.
    """
    words = git.run("config", "--show-scope", "--name-only", "--list", "-z").names
    keys = [
        key
        for scope, key in zip(words[::2], words[1::2], strict=False)
        if scope in _OWN_SCOPES and _PROGRAMS.fullmatch(key)
    ]
    if keys:
        raise WorktreeError(
            f"not pushed: the repository's own configuration decides what a push runs "
            f"({shorten([one_line(key, 80) for key in keys])}), and an agent may have written it; "
            "look at it (git config --list --local) and push by hand"
        )


def push(git: Git, commit: str, to: Destination) -> Pushed:
    """Pushes a commit to a branch of a remote, where the remote's branch only moves forward.

    No hooks run.

    Args:
        git: git in the repository.
        commit: The commit.
        to: Where it goes.
    """
    allowed = {name: os.environ.get(name, value) for name, value in _PROTOCOLS.items()}
    words = ("push", "--porcelain", "--recurse-submodules=no", "--no-follow-tags", "--no-verify")
    output = git.having(env=allowed).run(
        *words, "--", to.remote, f"{commit}:{_HEADS}{to.branch}", check=False
    )
    rows = [line.split("\t") for line in output.text.splitlines() if line.count("\t") >= 2]
    if output.status == 0 and rows:
        return Pushed(to, commit, is_new=rows[0][0] != "=")
    if rows and rows[0][0] == "!":
        why = f"{to.remote} refuses it: {one_line(rows[0][2])}{_words_of_remote(output.err)}"
        if "fetch first" in why or "non-fast-forward" in why:
            why += f"; it has commits that are not here (git fetch {to.remote})"
        return Pushed(to, commit, is_new=False, why=why)
    return Pushed(to, commit, is_new=False, why=without_passwords(output.reason))


def _words_of_remote(err: str) -> str:
    """What the remote has written about a push, such as the rule of it that refuses it."""
    lines = [line.partition(":")[2] for line in err.splitlines() if line.startswith("remote:")]
    words = one_line(without_passwords(" ".join(lines)), 500)
    return f": {words}" if words else ""


class PlannedPush:
    """The push of the branch that is merged into, checked before anything is merged.

    Args:
        git: git in the repository.
        into: The branch.

    Raises:
        WorktreeError: If there is no remote, or the repository's configuration decides what runs.
    """

    def __init__(self, git: Git, into: str) -> None:
        check_programs(git)
        self._git, self._to = git, push_destination(git, into)

    def after(self, report: MergeReport) -> MergeReport:
        """Pushes what was merged, unless merging stopped; the report then says how that went."""
        if report.stopped:
            why = "merging stopped before the end"
            pushed = Pushed(self._to, report.after, is_new=False, why=why)
        elif report.is_dry_run:
            pushed = Pushed(self._to, report.after, is_new=None)
        else:
            pushed = push(self._git, report.after, self._to)
        return report._replace(pushed=pushed)
