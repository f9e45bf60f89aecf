"""Starts only what has no answer yet, so that nothing is paid for twice.

A launch attaches to an earlier session with the same request. It is recognised by its identity
(`cpr_nb.model.identity`), in session.json and in the head of status.json; a rerun also by the tasks
that it reruns. A map goes by row: rows that have an answer in any session are not run again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cpr_nb.launching.branch_check import check_branches
from cpr_nb.launching.changes import changes_since
from cpr_nb.launching.known_answers import KnownAnswer, find_answers
from cpr_nb.launching.start import StartedSession, start
from cpr_nb.model import states
from cpr_nb.model.record import notices_of
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_authorship
from cpr_nb.store.key import read_key
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.lineage import ancestors, linked_tasks
from cpr_nb.views.result_rows import ResultRow, result_rows, reused_entry, reused_rows

if TYPE_CHECKING:
    from cpr_nb.launching.plan import LaunchPlan


def attach_or_start(plan: LaunchPlan) -> StartedSession:
    """Attaches to the session that did the same, else starts one. Of a map, it starts new rows.

    Args:
        plan: The plan; what has an answer already is left out of it.

    Returns:
        The session.

    Raises:
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up; no session is left behind.
    """
    with launch_lock(os.path.dirname(plan.results_dir)):
        return _start_new_rows(plan) if plan.is_map else _find_same(plan) or start(plan)


def _start_new_rows(plan: LaunchPlan) -> StartedSession:
    """Starts the rows of a map that have no answer; attaches if a session has all of them."""
    known = find_answers(plan)
    if len(known) == len(plan.tasks):
        same = _find_same(plan, is_wanted=_has_all_answers)
        if same is not None:
            return same
    leave_out_known(plan, known)
    return start(plan)


def leave_out_known(plan: LaunchPlan, known: Mapping[str, KnownAnswer]) -> None:
    """Leaves out the rows of a map that have an answer; its table of results has them all the same.

    Args:
        plan: The map.
        known: Task id → where its answer is.
    """
    plan.reused = [
        reused_entry(position, known[task.task_id].task.ids, task.origin)
        for position, task in enumerate(plan.tasks)
        if task.task_id in known
    ]
    _ = plan.identity  # that of all rows, whichever run
    plan.leave_out(known)


def check_new_tasks(plan: LaunchPlan) -> None:
    """Checks what those tasks need that would run, if others are reused: each of them its branch.

    Args:
        plan: The plan.

    Raises:
        InputError: If a task can't get its branch.
    """
    if plan.is_map:
        check_branches(plan, without=reused_from(plan))
    elif not _find_same(plan):
        check_branches(plan)


def reused_from(plan: LaunchPlan) -> dict[str, str]:
    """The rows of a map that need not run: the ids of their tasks, and of the sessions to reuse.

    Args:
        plan: The map; it is not changed, and nothing is written.
    """
    if read_key() is None:  # then no session is known as the user's own
        return {}
    return {task_id: one.answer.ids[0] for task_id, one in find_answers(plan).items()}


@contextmanager
def launch_lock(folder: str) -> Iterator[None]:
    """Serialises launches: of two kernels that ask for the same at once, the second attaches."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _find_same(
    plan: LaunchPlan, is_wanted: Callable[[Snapshot], bool] = lambda snapshot: True
) -> StartedSession | None:
    """The newest session that was launched for the same and is wanted, however it ended."""
    for head in catalog.list_sessions(plan.results_dir):
        if head.head.get("identity") == plan.identity and _is_own(head, plan):
            snapshot = read_session(head.paths.root)
            indices = _matching_tasks(snapshot, plan)
            if indices is not None and is_wanted(snapshot):
                return _attach(plan, snapshot, indices)
    return None


def _is_own(session: Snapshot, plan: LaunchPlan) -> bool:
    """Whether the user has launched it for the same: a foreign one may hold forged answers."""
    authorship = read_authorship(session.paths)
    return authorship.is_ours and authorship.spec.get("identity") == plan.identity


def _matching_tasks(snapshot: Snapshot, plan: LaunchPlan) -> dict[int, int] | None:
    """For tasks of the plan, the index of the session's task that does the same.

    None if one of them has no such task; rows that the session reuses need none.
    """
    n_tasks = len(snapshot.tasks or ())
    if not plan.parents:
        reused = reused_rows(snapshot)
        own = [position for position in range(len(plan.tasks)) if position not in reused]
        has_all = n_tasks + len(reused) == len(plan.tasks)
        return {position: index for index, position in enumerate(own)} if has_all else None
    by_origin = {
        (step.parent, step.spec.get("said")): index
        for index, step in enumerate(linked_tasks(snapshot))
    }
    origins = ancestors(os.path.dirname(snapshot.paths.root), plan.parents)
    matching = {}
    for position, (parents, task) in enumerate(zip(origins, plan.tasks, strict=True)):
        keys = [(ids, task.origin.get("said")) for ids in parents]
        matches = [by_origin[key] for key in keys if key in by_origin]
        if not matches:
            return None
        matching[position] = matches[0]
    return matching


def _has_all_answers(snapshot: Snapshot) -> bool:
    """Whether the table of a session has, or will have, a success in every row."""
    known = [KnownAnswer(row.task, row.answer) for row in result_rows(snapshot)]
    return all(one.is_success or one.will_come for one in known)


def _attach(plan: LaunchPlan, snapshot: Snapshot, matching: dict[int, int]) -> StartedSession:
    """The session, with what only this process knows about the plan."""
    tasks = snapshot.tasks or []
    answer_types = {
        str(tasks[index].get("transaction_id", "")): plan.answer_types[task_id]
        for position, index in matching.items()
        if (task_id := plan.tasks[position].task_id) in plan.answer_types
    }
    same_rows = plan.is_map or list(matching.values()) == list(range(len(tasks)))
    return StartedSession(
        snapshot.paths.root, False, plan.frame if same_rows else None, answer_types
    )


def reuse_line(
    started: StartedSession, snapshot: Snapshot, plan: LaunchPlan, run_again: str
) -> str:
    """One line: what is reused, and what has changed since.

    Args:
        started: What became of the plan.
        snapshot: The session.
        plan: The plan.
        run_again: What would run it again.
    """
    rows = result_rows(snapshot)
    if started.is_new:
        first = f"{len(plan.reused)} reused, {len(plan.tasks)} run"
        sources = [row.answer.snapshot for row in rows if row.is_reused]
    else:
        first = _attached(snapshot, in_terminal=run_again.startswith("--"))
        first += _without_notices(snapshot, plan)
        sources = [snapshot, *(row.answer.snapshot for row in rows if row.is_reused)]
    distinct = {source.session_id: source for source in sources}
    parts = [first, *_to_come(rows), *changes_since(distinct.values(), plan)]
    return "; ".join([*parts, f"{run_again} runs {'all' if started.is_new else 'it'} again"])


def _attached(snapshot: Snapshot, *, in_terminal: bool) -> str:
    """The session that a launch attached to, and its state if it has not ended."""
    n_reused = snapshot.count("n_reused")
    n_succeeded, n_tasks = snapshot.count("n_succeeded"), len(snapshot.tasks or ())
    text = f"attached to {snapshot.session_id[:8]}: {n_succeeded} of {n_tasks} succeeded"
    if n_reused:
        text += f", {n_reused} reused"
    if snapshot.state not in states.ENDED_STATES:
        text += f", it is {snapshot.state}"
    if snapshot.state == states.INTERRUPTED:
        how = f"cpr resume {snapshot.short_id}" if in_terminal else ".resume()"
        text += f"; {how} resumes it"
    return text


def _without_notices(snapshot: Snapshot, plan: LaunchPlan) -> str:
    """The notices that the launch asks for and that session does not send; empty if none."""
    sent = snapshot.head.get("notices") or ()
    missing = [name for name in notices_of(plan.options) if name not in sent]
    return f"; it was launched without {', '.join(missing)}, and sends none" if missing else ""


def _to_come(rows: list[ResultRow]) -> list[str]:
    """The reused rows that have no answer yet, by the sessions that will give it."""
    counts: dict[str, int] = {}
    sources: dict[str, Snapshot] = {}
    for row in rows:
        if row.is_reused and KnownAnswer(row.task, row.answer).will_come:
            source = row.answer.snapshot
            sources[source.session_id] = source
            counts[source.session_id] = counts.get(source.session_id, 0) + 1
    return [
        f"{n_rows} of them come from {sources[session_id].short_id}, which is "
        f"{sources[session_id].state}"
        + (": cpr resume resumes it" if sources[session_id].state == states.INTERRUPTED else "")
        for session_id, n_rows in counts.items()
    ]
