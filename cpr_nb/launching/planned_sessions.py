"""Planned sessions: their folders, their start once their inputs have ended, and their end."""

from __future__ import annotations

import os
import time
from typing import Any

from cpr_nb.executors.base import runner_input
from cpr_nb.executors.local import LocalExecutor
from cpr_nb.executors.notice_start import start_notices
from cpr_nb.launching.branch_check import check_branches
from cpr_nb.launching.later_request import LaterRequest
from cpr_nb.launching.settings import ASKED
from cpr_nb.launching.start import StartedSession, new_spec
from cpr_nb.launching.stored import why_foreign
from cpr_nb.model import states
from cpr_nb.model.destinations import only_kept
from cpr_nb.model.errors import (
    CprError,
    ForeignSession,
    ResultsDirError,
    SessionNotUsable,
)
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.model.record import first_head, is_newer, notices_of
from cpr_nb.store import catalog
from cpr_nb.store.authorship import Authorship, read_authorship
from cpr_nb.store.create import NewSession, write_session
from cpr_nb.store.files import hold_lock
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.request_folder import make_folder, remove_request_folder
from cpr_nb.store.times import utc_iso
from cpr_nb.store.write import StatusWriter
from cpr_nb.views.planned_text import is_over, waits_for, with_graders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cpr_nb.launching.plan import LaunchPlan

#: How long somebody else may need who starts or ends the same session at this moment.
_BUSY_S = 60.0


def find_planned(plan: LaunchPlan) -> StartedSession | None:
    """The newest session that was planned for the same, whatever has become of it since.

    Args:
        plan: The plan.
    """
    for head in catalog.list_sessions(plan.results_dir):
        if head.head.get("identity") == plan.identity:
            authorship = read_authorship(head.paths)
            if authorship.is_ours and authorship.spec.get("identity") == plan.identity:
                return StartedSession(head.paths.root, False, None, {})
    return None


def plan_session(
    plan: LaunchPlan, request: LaterRequest, frame: dict[str, Any] | None
) -> StartedSession:
    """Makes the folder of a planned session, and tells its inputs of it.

    Args:
        plan: What is known of it.
        request: What is asked for.
        frame: The frame of its rows, or one that has only the columns; None for prompts.

    Returns:
        The session; if its inputs have ended meanwhile, it has started.

    Raises:
        ResultsDirError: If the results directory can't be written.
    """
    session_id, key = new_uuid(), own_key()
    spec = new_spec(plan, session_id, key)
    head = {**first_head(spec, 0), "overall_status": states.PLANNED, "state": states.PLANNED}
    with NewSession(plan.results_dir, session_id) as new:
        new.complete(spec, [], head, frame, key=key)
        for one in request.inputs:
            _announce(SessionPaths(one.root), session_id)
    # Only now: an input that ends from here on finds our name.
    start_planned(new.paths.root)
    return StartedSession(new.paths.root, True, None, {})


def _announce(paths: SessionPaths, session_id: str) -> None:
    """Leaves the name of a planned session with one of its inputs."""
    try:
        os.makedirs(paths.next_sessions, 0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        os.close(os.open(paths.next_session(session_id), flags, 0o600))
    except OSError as error:
        raise ResultsDirError(
            f"can't write to the folder of its input: {error.strerror}: {paths.root}"
        ) from error


def start_planned(root: str, *, after_pilot: bool = False, patience_s: float = 0.0) -> bool:
    """Starts a planned session if its inputs have ended; of several who try at once, one does.

    What stands in the way is written into its status.

    Args:
        root: Its folder.
        after_pilot: Whether the rows of a pilot are enough.
        patience_s: How long to wait for somebody else who looks whether it can start.

    Returns:
        Whether it is planned no longer.

    Raises:
        CprError: If it can't start.
    """
    deadline_s = time.monotonic() + patience_s
    while (lock_fd := _lock(root)) is None:  # somebody else is at it
        if read_session(root, tasks=False).state != states.PLANNED:
            return True
        if time.monotonic() >= deadline_s:
            return False
        time.sleep(0.02)
    try:
        snapshot = read_session(root)
        if snapshot.state != states.PLANNED:
            return True
        try:
            has_ended, plan = _start(snapshot, lock_fd, after_pilot=after_pilot)
        except CprError as error:
            _write_head(snapshot, {"notice": f"can't start: {error}"})
            raise
    finally:
        os.close(lock_fd)
    for follow in plan.on_start if plan is not None else ():
        follow(snapshot.session_id)
    if has_ended:
        start_next(root)
    return has_ended or read_session(root, tasks=False).state != states.PLANNED


def _lock(root: str) -> int | None:
    """Takes a session's lock; None if somebody else has it."""
    try:
        return hold_lock(SessionPaths(root).lock, new=False)
    except BlockingIOError:
        return None
    except OSError as error:
        raise SessionNotUsable(f"can't start {root}: its lock: {error.strerror}") from None


def _start(
    snapshot: Snapshot, lock_fd: int, *, after_pilot: bool
) -> tuple[bool, LaunchPlan | None]:
    """Starts a session whose lock we hold.

    Returns:
        Whether it has ended without a runner, and its plan if it runs now.
    """
    from cpr_nb.launching.input_plan import NothingToDo, input_states, plan_request

    spec = _own_spec(snapshot, "start").spec
    results_dir = os.path.dirname(snapshot.paths.root)
    request = LaterRequest.from_json(spec["after"], results_dir)
    _await_graders(input_states(request), snapshot.session_id)
    inputs = input_states(request)
    awaited = with_graders(inputs)
    if not all(
        is_over(one) or (after_pilot and one.state in states.ENDED_STATES) for one in awaited
    ):
        return False, None
    stopped = [one for one in inputs if one.state != states.COMPLETED]
    if stopped:
        words = f"its input {stopped[0].session_id[:8]} has ended as {stopped[0].state}"
        _end(snapshot, states.CANCELLED, words)
        _notify(snapshot.paths, spec)
        return True, None
    kept = only_kept(spec["options"])
    options = {**dict.fromkeys(ASKED), **kept, "name": spec["name"], "cwd": spec["cwd"]}
    options |= {"results_dir": results_dir, "claude_path": spec["claude_path"]}
    try:
        plan = plan_request(request, options)
    except NothingToDo as nothing:
        state = states.ERROR if nothing.is_failure else states.COMPLETED
        _end(snapshot, state, str(nothing))
        _notify(snapshot.paths, spec)
        return True, None
    plan.identity = spec["identity"]
    known = _n_answered(plan) if request.reuse else 0
    if known and not plan.tasks:
        _complete_reused(plan, snapshot)
        _notify(snapshot.paths, spec)
        return True, None
    _run(plan, snapshot, lock_fd)
    return False, plan


def _await_graders(inputs: list[Snapshot], session_id: str) -> None:
    """Leaves the name of a planned session with what grades its inputs: that ends after them."""
    for one in with_graders(inputs)[len(inputs) :]:
        if one.state not in states.ENDED_STATES:
            _announce(one.paths, session_id)


def _n_answered(plan: LaunchPlan) -> int:
    """Leaves out the rows that have an answer already; how many."""
    if not plan.is_map:
        return 0
    from cpr_nb.launching.known_answers import find_answers
    from cpr_nb.launching.reuse import leave_out_known

    known = find_answers(plan)
    if known:
        leave_out_known(plan, known)
    return len(known)


def _complete_reused(plan: LaunchPlan, snapshot: Snapshot) -> None:
    """Ends a session all of whose rows have an answer already: nothing runs."""
    paths, key = snapshot.paths, own_key()
    spec, now_s = new_spec(plan, snapshot.session_id, key), time.time()
    head = {**first_head(spec, 0), **_ended_fields(states.COMPLETED, now_s)}
    try:
        write_session(paths, spec, [], head, plan.frame_json, plan.reused, key=key)
    except OSError as error:
        raise ResultsDirError(f"can't write to {paths.root}: {error.strerror or error}") from error


def _run(plan: LaunchPlan, snapshot: Snapshot, lock_fd: int) -> None:
    """Completes the folder, and starts the runner, which takes over the lock."""
    from cpr_nb.launching.start import task_fields

    check_branches(plan)
    paths, session_id, key = snapshot.paths, snapshot.session_id, own_key()
    spec = new_spec(plan, session_id, key)
    tasks = [task_fields(plan, task) for task in plan.tasks]
    runner = LocalExecutor().begin(paths.root, paths.log, lock_fd, plan.environ)
    with runner.ended_on_error():
        make_folder(paths, session_id)  # whoever sees that it runs may cancel it
        try:
            head = first_head(spec, len(tasks))
            sha256 = write_session(paths, spec, tasks, head, plan.frame_json, plan.reused, key=key)
        except OSError as error:
            remove_request_folder(paths, session_id)
            words = f"can't write to {paths.root}: {error.strerror or error}"
            raise ResultsDirError(words) from error
        given = runner_input(paths, session_id, sha256, {})
    runner.go_on(given)


def _own_spec(snapshot: Snapshot, verb: str) -> Authorship:
    """What a planned session is asked to do, if this user has asked for it.

    Raises:
        ForeignSession: If it is foreign.
        SessionNotUsable: If its session.json is not one that we know.
    """
    authorship = read_authorship(snapshot.paths)
    if not authorship.is_ours:
        words = f"can't {verb} {snapshot.session_id}: {why_foreign(authorship)}"
        raise ForeignSession(words, snapshot.paths.root)
    if is_newer(authorship.spec) or "after" not in authorship.spec:
        words = f"can't {verb} {snapshot.session_id}: it is no planned session that this cpr knows"
        raise SessionNotUsable(words)
    return authorship


def _end(snapshot: Snapshot, state: str, why: str) -> None:
    """Writes the end of a session that has not started."""
    _write_head(snapshot, {**_ended_fields(state, time.time()), "error": why}, "notice")


def _notify(paths: SessionPaths, spec: Mapping[str, Any]) -> None:
    """Has the notices sent of a session that has ended without a runner."""
    kinds = [kind for kind in notices_of(spec["options"]) if kind != states.ON_WAITING]
    start_notices(paths, kinds, spec.get("env_names", ()))


def _ended_fields(state: str, now_s: float) -> dict[str, Any]:
    """What the head of status.json says of a session that has ended without a task."""
    counts = dict.fromkeys(("n_succeeded", "n_failed", "n_cancelled", "n_skipped"), 0)
    end = {"end_time": int(now_s), "ended_at": utc_iso(now_s), "duration_s": 0.0}
    return {"overall_status": state, "state": state, **counts, **end}


def _write_head(snapshot: Snapshot, fields: Mapping[str, Any], *without: str) -> None:
    head = {name: value for name, value in snapshot.head.items() if name not in without}
    StatusWriter(snapshot.paths.status, {**head, **fields}, []).write(durable=True)


def start_next(root: str) -> list[str]:
    """Starts the sessions that are planned to come after one that has ended.

    Args:
        root: The folder of the one that has ended.

    Returns:
        What went wrong, one line each.
    """
    try:
        names = sorted(os.listdir(SessionPaths(root).next_sessions))
    except OSError:
        return []
    problems = []
    for name in names:
        folder = f"{os.path.dirname(root)}/{SESSION_PREFIX}{name}"
        if not os.path.isdir(folder):
            continue  # it was removed
        try:
            # Whoever is at it may have looked before this end.
            start_planned(folder, patience_s=_BUSY_S)
        except CprError as error:
            problems.append(f"{name}: {error}")
    return problems


def resume_planned(snapshot: Snapshot) -> None:
    """Starts a planned session whose inputs have ended, but whose start was missed or failed.

    Args:
        snapshot: The session.

    Raises:
        SessionNotUsable: If an input has not ended.
        CprError: If it can't start.
    """
    _own_spec(snapshot, "resume")
    # The runner of an input that ends at this moment looks, too; it takes no pilot for an end.
    if not start_planned(snapshot.paths.root, after_pilot=True, patience_s=_BUSY_S):
        waiting = waits_for(read_session(snapshot.paths.root, tasks=False)) or "busy"
        short = snapshot.session_id[:8]
        raise SessionNotUsable(f"can't resume {short}: it is planned, and {waiting}")


def cancel_planned(snapshot: Snapshot) -> bool:
    """Ends a planned session, and those that are planned to come after it.

    Args:
        snapshot: The session.

    Returns:
        Whether it was still planned; else it has begun meanwhile.

    Raises:
        SessionNotUsable: If its lock can't be taken.
    """
    root, deadline_s = snapshot.paths.root, time.monotonic() + _BUSY_S
    _own_spec(snapshot, "cancel")
    while True:
        now = read_session(root, tasks=False)
        if now.state != states.PLANNED:
            return False
        try:
            lock_fd = hold_lock(snapshot.paths.lock, new=False)
            break
        except OSError as error:
            if not isinstance(error, BlockingIOError) or time.monotonic() > deadline_s:
                raise SessionNotUsable(f"can't cancel {root}: its lock is held") from None
        time.sleep(0.02)
    try:
        now = read_session(root, tasks=False)
        if now.state != states.PLANNED:
            return False
        _end(now, states.CANCELLED, "cancelled before it started")
    finally:
        os.close(lock_fd)
    start_next(root)
    return True
