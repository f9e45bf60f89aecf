"""Attaches a launch to an earlier session with the same request, so nothing is paid for twice.

A launch is recognised by its identity (`cpr_nb.model.identity`), in session.json and in the head
of status.json; a rerun also by the tasks that it reruns.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.launching import defaults
from cpr_nb.launching.branch_check import check_branches
from cpr_nb.launching.start import StartedSession, start
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.files import read_json
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.lineage import ancestors, linked_tasks

if TYPE_CHECKING:
    from cpr_nb.launching.plan import LaunchPlan


def pop_reuse(options: dict[str, Any]) -> bool:
    """Removes ``reuse`` and ``fresh`` from the keywords of a launch.

    Args:
        options: The keywords.

    Returns:
        Whether to attach to a session that did the same.

    Raises:
        InputError: If one of them is neither True nor False.

    Example:
        >>> pop_reuse({"fresh": True}), pop_reuse({"reuse": True})
        (False, True)
    """
    return resolve_reuse(options.pop("reuse", None), options.pop("fresh", None))


def resolve_reuse(reuse: bool | None, fresh: bool | None) -> bool:
    """Whether to attach to a session that did the same.

    Args:
        reuse: The option of that name; None if it was not given.
        fresh: Likewise; it comes first.

    Raises:
        InputError: If one of them is neither True, False nor None.
    """
    for name, value in (("reuse", reuse), ("fresh", fresh)):
        if value not in (None, True, False):
            raise InputError(f"must be True or False, not {value!r}", name)
    return not fresh and (defaults.reuse if reuse is None else bool(reuse))


def start_or_attach(plan: LaunchPlan, *, reuse: bool) -> StartedSession:
    """Starts a plan, or attaches to the session that did the same.

    Args:
        plan: The plan.
        reuse: Whether to attach.

    Returns:
        The session.

    Raises:
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up; no session is left behind.
    """
    if not reuse:
        return start(plan)
    with _launch_lock(Path(plan.results_dir).parent):
        return _find_same(plan) or start(plan)


def check_start(plan: LaunchPlan, *, reuse: bool) -> None:
    """Checks what a new session needs beyond its plan, for a dry run.

    Args:
        plan: The plan.
        reuse: Whether it would attach to a session that did the same: that needs nothing.

    Raises:
        InputError: If a task can't get its branch.
    """
    if not (reuse and _find_same(plan)):
        check_branches(plan)


@contextmanager
def _launch_lock(folder: Path) -> Iterator[None]:
    """Serialises launches: of two kernels that ask for the same at once, the second attaches."""
    while not folder.is_dir():
        folder = folder.parent
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _find_same(plan: LaunchPlan) -> StartedSession | None:
    """The newest session that was launched for the same, however it ended."""
    for head in catalog.list_sessions(plan.results_dir):
        if head.head.get("identity") == plan.identity and _is_own(head, plan):
            snapshot = read_session(head.paths.root)
            indices = _matching_tasks(snapshot, plan)
            if indices is not None:
                return _attach(plan, snapshot, indices)
    return None


def _is_own(session: Snapshot, plan: LaunchPlan) -> bool:
    """Whether the user has launched it for the same: a foreign one may hold forged answers."""
    authorship = read_authorship(session.paths)
    return authorship.is_ours and authorship.spec.get("identity") == plan.identity


def _matching_tasks(snapshot: Snapshot, plan: LaunchPlan) -> list[int] | None:
    """For each task of the plan, the index of the session's task that does the same.

    None if one of them has no such task.
    """
    n_tasks = len(snapshot.tasks or ())
    if not plan.parents:
        return list(range(n_tasks)) if n_tasks == len(plan.tasks) else None
    by_origin = {
        (step.parent, step.spec.get("said")): index
        for index, step in enumerate(linked_tasks(snapshot))
    }
    origins = ancestors(str(Path(snapshot.paths.root).parent), plan.parents)
    indices = []
    for parents, task in zip(origins, plan.tasks, strict=True):
        keys = [(ids, task.origin.get("said")) for ids in parents]
        matches = [by_origin[key] for key in keys if key in by_origin]
        if not matches:
            return None
        indices.append(matches[0])
    return indices


def _attach(plan: LaunchPlan, snapshot: Snapshot, indices: list[int]) -> StartedSession:
    """The session, with what only this process knows about the plan."""
    tasks = snapshot.tasks or []
    answer_types = {
        str(tasks[index].get("transaction_id", "")): plan.answer_types[task.task_id]
        for index, task in zip(indices, plan.tasks, strict=True)
        if task.task_id in plan.answer_types
    }
    same_order = indices == list(range(len(tasks)))
    return StartedSession(
        snapshot.paths.root, False, plan.frame if same_order else None, answer_types
    )


def attached_message(snapshot: Snapshot, run_again: str = "fresh=True") -> str:
    """One line: the session that a launch attached to, and whether the repository has changed.

    Args:
        snapshot: The session.
        run_again: What would run it again.
    """
    n_succeeded, n_tasks = snapshot.count("n_succeeded"), len(snapshot.tasks or ())
    line = f"attached to {snapshot.session_id[:8]}: {n_succeeded} of {n_tasks} succeeded"
    if snapshot.state not in states.ENDED_STATES:
        line += f", it is {snapshot.state}"
    if snapshot.state == states.INTERRUPTED:
        line += "; .resume() resumes it"
    before = read_json(snapshot.paths.runner)
    now = _repository(_own_folder(snapshot))
    if before.get("git_tree") and now and before["git_tree"] != now["git_tree"]:
        old, new = str(before.get("git_commit"))[:7], now["git_commit"][:7]
        line += f"; the repository changed since ({old} → {new})"
    return f"{line}; {run_again} runs it again"


def _own_folder(snapshot: Snapshot) -> str:
    """The folder of a session that this user has launched; empty for a foreign session."""
    authorship = read_authorship(snapshot.paths)
    return str(authorship.spec.get("cwd") or "") if authorship.is_ours else ""


def _repository(cwd: str) -> dict[str, str]:
    """The commit and the tree of a folder's repository; empty if it is in none."""
    if not cwd:
        return {}
    import subprocess

    argv = ["git", "rev-parse", "HEAD", "HEAD^{tree}"]
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):  # no folder, no git, no repository
        return {}
    return dict(zip(("git_commit", "git_tree"), done.stdout.split(), strict=True))
