"""Opens a pull request for each branch of a task, and never a second one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.conflicts import one_repository
from cpr_nb.worktrees.git_command import Git
from cpr_nb.worktrees.github import ExistingPullRequest, GitHub
from cpr_nb.worktrees.listing import checkout_of, target_of
from cpr_nb.worktrees.lock import repository_lock
from cpr_nb.worktrees.merge_report import Destination
from cpr_nb.worktrees.merging import Target, why_skipped
from cpr_nb.worktrees.pushing import (
    check_programs,
    push,
    push_destination,
    remote_repository,
    upstream,
)
from cpr_nb.worktrees.task_branch import TaskBranch, task_branches

#: What a pull request can be afterwards: opened now, there before, only planned, or not possible.
OPENED, EXISTS, PLANNED, SKIPPED, FAILED = "opened", "exists", "planned", "skipped", "failed"


class RequestText(NamedTuple):
    """What a pull request says: its title and its text."""

    title: str
    body: str


class PullRequest(NamedTuple):
    """What became of the pull request of one branch.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: Its branch.
        base: The branch that it is to be merged into.
        title: The title.
        body: The text.
        state: ``opened``, ``exists``, ``planned`` (a dry run), ``skipped`` or ``failed``.
        url: Its address; empty if there is none.
        why: Why there is none, or what else to know; one line for the user.
        remote: The name of the remote that the branch is pushed to; empty if it is not known.
        remote_url: The address of that remote, without a password.
    """

    session_id: str
    task_id: str
    branch: str
    base: str
    title: str
    body: str
    state: str
    url: str = ""
    why: str = ""
    remote: str = ""
    remote_url: str = ""


def pull_requests(
    session_folders: Iterable[str],
    tasks: Collection[str],
    text_of: Callable[[str], RequestText],
    *,
    base: str | None = None,
    is_draft: bool = False,
    dry_run: bool = False,
    environ: Mapping[str, str] | None = None,
) -> list[PullRequest]:
    """Pushes branches of tasks, and opens a pull request for each that never had one.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks, in the order of their pull requests.
        text_of: Returns what the pull request of a task says.
        base: The branch that they are to be merged into; default the main checkout's.
        is_draft: Whether they are drafts.
        dry_run: Push nothing and open nothing. If gh is installed, it is asked what exists.
        environ: The environment of gh; default that of this process.

    Returns:
        One per branch. What fails for one does not keep the others from being opened.

    Raises:
        WorktreeError: If gh is missing, or nothing can be pushed from here.
    """
    branches = task_branches(session_folders, tasks)
    ids = list(tasks)
    branches.sort(key=lambda branch: ids.index(branch.task_id))
    repository = one_repository(branches)
    git = Git(repository.folder)  # a remote may be named by a path from there
    name, tip = target_of(git, base)
    if name == tip:
        raise WorktreeError("the main checkout is on no branch: name the base (--base)")
    target = Target(name, tip, checkout_of(git, name))
    opener = _Opener(git, target, os.environ if environ is None else environ, dry_run=dry_run)
    opener.is_draft = is_draft
    try:
        with repository_lock(repository.common_dir, "pull-requests.lock", wait=False):
            return [opener.open(branch, text_of(branch.task_id)) for branch in branches]
    except BlockingIOError:
        raise WorktreeError("pull requests are being opened in this repository already") from None


class _Opener:
    """Opens the pull requests of one repository."""

    is_draft = False

    def __init__(
        self, git: Git, target: Target, environ: Mapping[str, str], *, dry_run: bool
    ) -> None:
        self._git, self._target, self._dry_run = git, target, dry_run
        self._base = self._remote = Destination("", "", target.branch)
        self._repository = environ.get("GH_REPO", "")
        self._github: GitHub | None = None
        self._doubt = ""
        try:
            self._find_places(environ)
        except WorktreeError as error:
            if not dry_run:
                raise
            self._doubt = f"can't be opened yet: {error}"

    def _find_places(self, environ: Mapping[str, str]) -> None:
        """Finds where the branches and the pull requests go."""
        self._base = upstream(self._git, self._target.branch)
        self._remote = push_destination(self._git, self._target.branch)
        check_programs(self._git)
        if not self._repository:
            self._repository = remote_repository(self._git, self._base.remote)
        self._github = GitHub(self._repository, environ)

    def open(self, branch: TaskBranch, text: RequestText) -> PullRequest:
        """Opens the pull request of a branch, unless there was one or it can't be."""
        name = branch.worktree.branch
        request = PullRequest(
            branch.session_id,
            branch.task_id,
            name,
            self._base.branch,
            *text,
            PLANNED,
            remote=self._remote.remote,
            remote_url=self._remote.url,
        )
        why = why_skipped(self._git, branch, self._target)
        if why is not None or branch.tip is None:
            return request._replace(state=SKIPPED, why=why or "the branch is gone")
        try:
            existing = self._existing(name, branch.tip)
        except WorktreeError as error:
            if not self._dry_run:
                return request._replace(state=FAILED, why=str(error))
            return request._replace(why=f"not known whether it exists: {error}")
        if self._dry_run or self._github is None:
            if existing is None:
                return request._replace(why=self._doubt)
            why = f"it is {existing.state}"
            if existing.state == "open":
                why += f"; what is new would be pushed to {request.remote} ({request.remote_url})"
            return request._replace(state=EXISTS, url=existing.url, why=why)
        return self._open(self._github, request, branch.tip, existing)

    def _open(
        self,
        github: GitHub,
        request: PullRequest,
        tip: str,
        existing: ExistingPullRequest | None,
    ) -> PullRequest:
        if existing and existing.state != "open":
            return request._replace(state=EXISTS, url=existing.url, why=f"it is {existing.state}")
        to = Destination(self._remote.remote, self._remote.url, request.branch)
        pushed = push(self._git, tip, to)
        if pushed.why:
            return request._replace(state=FAILED, why=f"not pushed: {pushed.why}")
        if existing:
            why = f"it is open; {'what is new was pushed' if pushed.is_new else 'nothing is new'}"
            return request._replace(state=EXISTS, url=existing.url, why=why)
        try:
            url = github.open_pull_request(
                self._head(request.branch),
                request.base,
                request.title,
                request.body,
                is_draft=self.is_draft,
            )
        except WorktreeError as error:
            return request._replace(state=FAILED, why=f"the branch was pushed, but {error}")
        return request._replace(state=OPENED, url=url)

    def _head(self, branch: str) -> str:
        """The branch as GitHub names it: with its owner where it is in another repository."""
        source = remote_repository(self._git, self._remote.remote)
        owner, _, name = source.rpartition("/")
        owner = owner.rpartition("/")[2]
        if not name or f"/{self._repository}".endswith(f"/{owner}/{name}"):
            return branch
        return f"{owner}:{branch}"

    def _existing(self, name: str, tip: str) -> ExistingPullRequest | None:
        """The pull request of a branch; another branch may have had its name before."""
        if self._github is None:
            return None
        every = self._github.pull_requests_of(name)
        own = [one for one in every if self._is_open_here(one) or self._is_part(one.commit, tip)]
        return max(own, key=lambda one: (one.state == "open", one.number), default=None)

    @staticmethod
    def _is_open_here(existing: ExistingPullRequest) -> bool:
        return existing.state == "open" and not existing.is_from_fork

    def _is_part(self, commit: str, tip: str) -> bool:
        """Whether a commit is part of a branch; one that is not here is not."""
        return self._git.commit(commit) is not None and self._git.is_ancestor(commit, tip)
