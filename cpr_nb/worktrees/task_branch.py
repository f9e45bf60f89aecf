"""The branches of tasks: what their sessions' folders say, confirmed by their repository."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

from cpr_nb.model.errors import StateDirError, WorktreeError
from cpr_nb.model.record import is_unsaved
from cpr_nb.model.states import ENDED_STATES
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import read_session
from cpr_nb.worktrees import records
from cpr_nb.worktrees.confirm_steps import Claim
from cpr_nb.worktrees.confirming import confirm_worktree
from cpr_nb.worktrees.git_command import shared_git
from cpr_nb.worktrees.inspection import is_dirty
from cpr_nb.worktrees.nested import since_first_setup_ns
from cpr_nb.worktrees.own_repository import OwnRepository, Unconfirmed, confirm_repository
from cpr_nb.worktrees.records import Owner, WorktreeRecord
from cpr_nb.worktrees.worktree import Worktree, worktree_of

#: Why nothing of a session is looked at that this user has not launched.
FOREIGN = "foreign"


class TaskBranch(NamedTuple):
    """A task's branch, as recorded in its session's folder, and confirmed by its repository.

    Args:
        owner: The task.
        record: What its session's folder says.
        worktree: Its worktree, according to that.
        worktree_dir: Where the session was launched to make worktrees; empty for beside the
            repository.
        doubt: Why git was not run for it; empty if its repository is confirmed.
        repository: Its repository; None if there is a doubt.
        worktree_doubt: Why its worktree is not touched; empty if it is confirmed, None if there is
            none.
        tip: The branch's commit; None if the branch is gone, now belongs to someone else, or there
            is a doubt.
        owners: Every task that ever worked on the branch, the latest last.
    """

    owner: Owner
    record: WorktreeRecord
    worktree: Worktree
    worktree_dir: str
    doubt: str
    repository: OwnRepository | None
    worktree_doubt: str | None
    tip: str | None
    owners: tuple[Owner, ...]

    @property
    def session_id(self) -> str:
        """The task's session."""
        return self.owner.session_id

    @property
    def task_id(self) -> str:
        """The task."""
        return self.owner.task_id

    @property
    def is_foreign(self) -> bool:
        """Whether this user has not launched its session on this machine."""
        return self.doubt == FOREIGN

    @property
    def is_at_work(self) -> bool:
        """Whether a task may be working on it now."""
        return any(records.in_use(owner) for owner in self.owners)

    @property
    def unsaved(self) -> str:
        """That its work is only in its worktree although its session has ended; else empty."""
        if self.record.stage not in (records.READY, records.REMOVING):
            return ""
        session = read_session(self.owner.session_folder)
        task_ids = [t.get("transaction_id") for t in session.tasks or () if is_unsaved(t)]
        if session.state not in ENDED_STATES or self.task_id not in task_ids:
            return ""
        return f"its work is not yet saved: cpr resume {self.session_id[:8]} saves it"

    @property
    def is_dirty(self) -> bool | None:
        """Whether its worktree holds changes that are in no commit; None if that is not certain."""
        if self.worktree_doubt != "" or not self.worktree.has_folder:
            return None
        since_ns = since_first_setup_ns(self.record)
        return is_dirty(self.worktree, self.record["from_setup"] or {}, since_ns)


def task_branches(
    session_folders: Iterable[str], tasks: Collection[str] | None = None
) -> list[TaskBranch]:
    """The branches of tasks, each once: for its latest task, if several worked on it.

    They come in the order of the sessions' tasks.

    Args:
        session_folders: The sessions.
        tasks: The ids of the tasks; default all.

    Raises:
        WorktreeError: If one of ``tasks`` never had a branch.
    """
    branches: dict[tuple[str, ...], TaskBranch] = {}
    reader = _Reader()
    for folder in map(os.path.abspath, session_folders):
        for branch in reader.branches_of_session(folder, tasks):
            latest = branch.owners[-1]
            key = (
                branch.worktree.common_dir,
                branch.worktree.branch,
                *(() if branch.tip else latest),
            )
            if latest.is_task(branch.session_id, branch.task_id) or key not in branches:
                branches[key] = branch
    missing = sorted(set(tasks or ()) - {branch.task_id for branch in branches.values()})
    if missing:
        raise WorktreeError(f"no worktree was ever made for {', '.join(missing)}")
    return list(branches.values())


class _Reader:
    """Reads and confirms the branches of several sessions; each repository is asked once."""

    def __init__(self) -> None:
        self._repositories: dict[tuple[str, ...], OwnRepository | Unconfirmed] = {}
        self._tips: dict[str, dict[str, str]] = {}

    def branches_of_session(
        self, folder: str, tasks: Collection[str] | None
    ) -> Iterator[TaskBranch]:
        """The branches of one session's tasks, in the order of the tasks."""
        every = records.worktree_records(folder)
        named = [pair for pair in every if tasks is None or pair[0] in tasks]
        if not named:
            return
        ids = [str(task.get("transaction_id")) for task in read_session(folder).tasks or ()]
        numbers = {task_id: number for number, task_id in enumerate(ids)}
        doubt, launched = _launched_options(folder)
        session_id = os.path.basename(folder).removeprefix(SESSION_PREFIX)
        for task_id, record in sorted(named, key=lambda p: numbers.get(p[0], len(numbers))):
            worktree, owner = worktree_of(record), Owner(session_id, task_id, folder)
            if not worktree.branch or not (doubt or os.path.isdir(worktree.common_dir)):
                continue
            options = launched.get(task_id, {})
            worktree_dir = str(options.get("worktree_dir", ""))
            blank = TaskBranch(
                owner, record, worktree, worktree_dir, doubt, None, None, None, (owner,)
            )
            yield blank if doubt else self._confirmed(blank, str(options.get("cwd", "")))

    def _confirmed(self, blank: TaskBranch, cwd: str) -> TaskBranch:
        """Adds what the repository says of a branch."""
        try:
            repository = self._repository(blank.worktree.common_dir, cwd, blank.owner)
        except Unconfirmed as error:
            return blank._replace(doubt=str(error))
        worktree = blank.worktree._replace(common_dir=repository.common_dir)
        owner = blank.owner
        doubt = _worktree_doubt(Claim(worktree, owner), blank.record, repository)
        confirmed = blank._replace(worktree=worktree, repository=repository, worktree_doubt=doubt)
        branch = records.read_branch(repository.common_dir, worktree.branch)
        if branch is None or not branch.belongs_to(owner.session_id, owner.task_id):
            return confirmed
        tip = self._tips_of(repository.common_dir).get(worktree.branch)
        return confirmed._replace(tip=tip, owners=branch.owners)

    def _repository(self, claimed: str, cwd: str, owner: Owner) -> OwnRepository:
        key = (claimed, cwd, os.path.dirname(owner.session_folder))
        if key not in self._repositories:
            try:
                self._repositories[key] = confirm_repository(claimed, cwd, owner.session_folder)
            except Unconfirmed as error:
                self._repositories[key] = error
        repository = self._repositories[key]
        if isinstance(repository, Unconfirmed):
            raise repository
        return repository

    def _tips_of(self, common_dir: str) -> dict[str, str]:
        """The commits of all branches of a repository."""
        if common_dir not in self._tips:
            words = ("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")
            lines = shared_git(common_dir).run(*words).text.splitlines()
            pairs = (line.partition(" ") for line in lines)
            self._tips[common_dir] = {name: commit for commit, _, name in pairs}
        return self._tips[common_dir]


def _launched_options(session_folder: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """Why a session is not looked at, and the options with which its tasks were launched."""
    try:
        authorship = read_authorship(SessionPaths(session_folder))
    except StateDirError as error:
        return str(error), {}
    if not authorship.is_ours:
        return FOREIGN, {}
    spec = authorship.spec
    common = {"cwd": spec.get("cwd"), **_options(spec)}
    tasks = spec.get("tasks")
    return "", {
        str(task.get("id")): {**common, **_options(task)}
        for task in (tasks if isinstance(tasks, list) else ())
        if isinstance(task, dict)
    }


def _options(fields: dict[str, Any]) -> dict[str, Any]:
    options = fields.get("options")
    return options if isinstance(options, dict) else {}


def _worktree_doubt(claim: Claim, record: WorktreeRecord, repository: OwnRepository) -> str | None:
    """Why a worktree is not touched; empty if it is confirmed, None if there is none."""
    worktree, report = claim.worktree, record["harvest"] or {}
    was_removed = record.stage == records.HARVESTED and not report.get("worktree")
    if was_removed or not (worktree.has_folder or worktree.has_admin):
        return None
    try:
        confirm_worktree(claim, repository)
    except Unconfirmed as error:
        return str(error)
    return ""
