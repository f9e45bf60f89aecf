"""Resumes a session: after its runner was killed, after a pause, or before a limit ends."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping

from cpr_nb.executors.base import runner_input
from cpr_nb.executors.copies import check_copies
from cpr_nb.executors.local import LocalExecutor
from cpr_nb.executors.notice_start import start_notices
from cpr_nb.launching.setting_sources import check_sources
from cpr_nb.launching.stored import check_environment, read_own, refuse_imported, stored_values
from cpr_nb.launching.takeover import Takeover
from cpr_nb.model import states
from cpr_nb.model.destinations import variables_of
from cpr_nb.model.environment import clean_environment
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.json_values import number
from cpr_nb.model.record import any_unsaved, task_state
from cpr_nb.store import layout, requests
from cpr_nb.store.authorship import Authorship
from cpr_nb.store.claims import newest_claim
from cpr_nb.store.files import hold_lock, is_locked
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.request_folder import leave_request, make_folder
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.grades import gradings
from cpr_nb.views.notice_problems import unsent_notices

# How long a runner may hold its lock after the end of its session.
_LAST_MOMENT_S = 10.0
#: How a runner continues a session that has ended.
_OF_ENDED = ("skipped", "unsaved")


def resume(
    snapshot: Snapshot, env: Mapping[str, str], *, skipped: bool = False, force: bool = False
) -> None:
    """Resumes a session; see `Session.resume`.

    Args:
        snapshot: The session, just read.
        env: Values of environment variables that are not stored.
        skipped: Whether to run the skipped tasks of a session that has ended.
        force: Whether to take a session over whose runner may live where it can't be seen.

    Raises:
        ForeignSession: If it is foreign.
        SessionNotUsable: If it can't be resumed.
        InputError: If a value of ``env`` is missing.
        NotTrusted: If the files of a repository would run what nobody has trusted.
        LaunchError: If the runner does not come up.
    """
    _resume_one(snapshot, env, skipped=skipped, force=force)
    for grading in _interrupted_gradings(snapshot, skipped=skipped):
        _resume_one(grading, env, skipped=grading.state in states.ENDED_STATES)


def _interrupted_gradings(snapshot: Snapshot, *, skipped: bool) -> list[Snapshot]:
    """The sessions that grade this one and go on with it: after a crash, their runner is gone, too.

    Args:
        snapshot: The session that was resumed.
        skipped: Whether tasks run that it had skipped: there will be answers to grade.
    """
    if "grading_id" not in snapshot.head:
        return []
    found = gradings(os.path.dirname(snapshot.paths.root), {snapshot.session_id})
    return [
        one.snapshot
        for one in found
        if one.snapshot.state == states.INTERRUPTED
        or (skipped and not one.is_regrade and _has_skipped(one.snapshot))
    ]


def _has_skipped(snapshot: Snapshot) -> bool:
    return snapshot.state in states.ENDED_STATES and snapshot.count("n_skipped") > 0


def _resume_one(
    snapshot: Snapshot, env: Mapping[str, str], *, skipped: bool = False, force: bool = False
) -> None:
    state, session_id = snapshot.state, snapshot.session_id
    if skipped:
        _check_skipped(snapshot)
        _run_on(snapshot, _own_session(snapshot, "resume"), env, mode="skipped")
        return
    if state == states.UNREACHABLE:
        authorship = _own_session(snapshot, "resume")
        takeover = Takeover.of_silent(snapshot.paths, session_id, force=force)
        _run_on(snapshot, authorship, env, takeover=takeover)
        return
    if state in (states.PAUSED, states.WAITING):
        leave_request(snapshot.paths, session_id, "resume", layout.RESUME)
        return
    if state in states.LIVE_STATES:
        raise SessionNotUsable(f"can't resume {session_id}: it is already {state}")
    if has_unsaved(snapshot):
        authorship = _own_session(snapshot, "resume")
        _start_runner(snapshot, authorship, clean_environment(os.environ), {}, "unsaved")
        return
    refuse_imported(snapshot, "resume")
    if unsent := unsent_notices(snapshot):
        authorship = _own_session(snapshot, "resume")
        start_notices(snapshot.paths, unsent, authorship.spec.get("env_names", ()))
        return
    if state in states.ENDED_STATES:
        raise SessionNotUsable(
            f"can't resume {session_id}: it is {state}; "
            f"cpr retry {snapshot.short_id} reruns what did not succeed"
        )
    _run_on(snapshot, _resumable(snapshot, "resume"), env)


def has_unsaved(snapshot: Snapshot) -> bool:
    """Whether a session has ended with work that could not be saved; resuming it saves that.

    Args:
        snapshot: The session, with its tasks.
    """
    return snapshot.state in states.ENDED_STATES and any_unsaved(snapshot.tasks)


def _run_on(
    snapshot: Snapshot,
    authorship: Authorship,
    env: Mapping[str, str],
    mode: str = "",
    takeover: Takeover | None = None,
) -> None:
    """Starts a runner for the session, with the environment of its launch and of this process."""
    spec = authorship.spec
    check_environment(snapshot, spec, "resume")
    values = stored_values(spec.get("env_names", []), env)
    environ = {**clean_environment(os.environ), **values}
    for name in variables_of(spec["options"]):
        environ.pop(name, None)
    task_env = {
        task["id"]: stored_values(task["env_names"], env)
        for task in spec["tasks"]
        if task.get("env_names")
    }
    check_sources(spec, environ)
    _start_runner(snapshot, authorship, environ, task_env, mode, takeover)


def settle(snapshot: Snapshot, request: str) -> None:
    """Carries out a request to a session whose runner is gone; nothing else happens.

    Args:
        snapshot: The session.
        request: The name of the request.

    Raises:
        SessionNotUsable: If it can't be done.
    """
    authorship = _resumable(snapshot, "cancel")
    folder, _ = make_folder(snapshot.paths, snapshot.session_id)
    requests.leave(folder, request)
    _start_runner(snapshot, authorship, clean_environment(os.environ), {}, "settle")


def _start_runner(
    snapshot: Snapshot,
    authorship: Authorship,
    environ: dict[str, str],
    task_env: dict[str, dict[str, str]],
    mode: str,
    takeover: Takeover | None = None,
) -> None:
    """Starts a runner under the session's lock: of two who try at once, one gets it."""
    paths, refusal = snapshot.paths, f"can't resume {snapshot.session_id}: "
    try:
        lock_fd = _take_lock(paths, may_wait=mode in _OF_ENDED)
    except BlockingIOError:
        raise SessionNotUsable(
            f"{refusal}another resume was faster: a runner already works on it"
        ) from None
    except OSError as error:
        raise SessionNotUsable(
            f"{refusal}its lock can't be taken: {error.strerror}: {paths.lock}"
        ) from None
    try:
        # Without a status the journal says how far it came; if it has ended, that is written again.
        now = read_session(paths.root, tasks=mode == "unsaved")
        has_ended = now.head.get("overall_status", "running") != "running"
        if has_ended and mode not in _OF_ENDED:
            raise SessionNotUsable(f"{refusal}it has ended meanwhile")
        has_more = now.head.get("n_skipped") if mode == "skipped" else any_unsaved(now.tasks)
        if mode in _OF_ENDED and not (has_ended and has_more):
            raise SessionNotUsable(f"{refusal}another resume was faster")
        place_nodes = _again(snapshot, authorship) if mode in ("", "skipped") else None
        with takeover or contextlib.nullcontext(newest_claim(paths)) as claim:
            given = runner_input(paths, snapshot.session_id, authorship.sha256, task_env, claim)
            LocalExecutor().start(paths, lock_fd, environ, given, mode=mode)
    finally:
        os.close(lock_fd)
    if place_nodes is not None:
        place_nodes()


def _again(snapshot: Snapshot, authorship: Authorship) -> Callable[[], None] | None:
    """What places the nodes of the session once its new runner is up; None if it has none."""
    if "cluster" not in authorship.spec:
        return None
    from cpr_nb.launching.cluster import stored_cluster
    from cpr_nb.launching.node_placing import JoinFile, place_again

    paths, cluster = snapshot.paths, stored_cluster(authorship.spec["options"])
    join_file = JoinFile(JoinFile.state_of(paths))
    return lambda: place_again(paths, snapshot.session_id, cluster, join_file)


def _take_lock(paths: layout.SessionPaths, *, may_wait: bool) -> int:
    """Takes a session's lock; a runner that has just written the end still holds it for a moment.

    Raises:
        BlockingIOError: If a runner works on the session.
    """
    give_up_at = time.monotonic() + (_LAST_MOMENT_S if may_wait else 0.0)
    while True:
        try:
            return hold_lock(paths.lock, new=False)
        except BlockingIOError:
            has_ended = read_session(paths.root, tasks=False).state in states.ENDED_STATES
            if not has_ended or time.monotonic() >= give_up_at:
                raise
        time.sleep(0.01)


def await_last_moment(snapshot: Snapshot) -> None:
    """Waits for the runner of a session that has ended, which holds its lock for a moment longer.

    Args:
        snapshot: The session.
    """
    with contextlib.suppress(OSError):
        os.close(_take_lock(snapshot.paths, may_wait=True))


def _resumable(snapshot: Snapshot, verb: str) -> Authorship:
    """What the session would run, if it was interrupted and is ours.

    Raises:
        SessionNotUsable: If it is not, or is incomplete.
    """
    is_interrupted = snapshot.state == states.INTERRUPTED and not snapshot.is_legacy
    # A session whose status.json is lost still has its lock; a legacy session never had one.
    is_headless = snapshot.state == states.UNREADABLE and is_locked(snapshot.paths) is not None
    if not (is_interrupted or is_headless):
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: it is {snapshot.state}, and not a session of ours"
        )
    return _own_session(snapshot, verb)


def _own_session(snapshot: Snapshot, verb: str) -> Authorship:
    """What the session would run, if it is ours, and is at work in no other folder.

    Raises:
        SessionNotUsable: If it is not, is incomplete, or works in a copy of its folder.
    """
    check_copies(snapshot.paths, snapshot.session_id, verb)
    return read_own(snapshot, verb)


def _check_skipped(snapshot: Snapshot) -> None:
    """Refuses a session that has no skipped tasks to run, or no money for them.

    Raises:
        SessionNotUsable: If nothing would run.
    """
    refuse_imported(snapshot, "resume")
    refusal = f"can't resume the skipped tasks of {snapshot.session_id}: "
    short = snapshot.short_id
    if snapshot.state not in states.ENDED_STATES or snapshot.is_legacy:
        raise SessionNotUsable(f"{refusal}it is {snapshot.state}; that needs an ended session")
    if not snapshot.count("n_skipped"):
        raise SessionNotUsable(
            f"{refusal}it has none; cpr retry {short} reruns what did not succeed"
        )
    options = read_spec(snapshot.paths).get("options")  # checked when it is about to run
    budget_usd = number(options.get("budget_usd")) if isinstance(options, dict) else None
    spent_usd = number(snapshot.head.get("cost_usd")) or 0.0
    skipped = [task for task in snapshot.tasks or () if task_state(task)[1] == states.SKIPPED]
    all_for_it = bool(skipped) and all(task.get("reason") == "budget" for task in skipped)
    if budget_usd is not None and (spent_usd >= budget_usd or all_for_it):
        raise SessionNotUsable(
            f"{refusal}its budget of USD {budget_usd:g} is used up (USD {spent_usd:g} is spent), "
            f"so nothing would start; cpr retry {short} --budget-usd USD runs them in a new session"
        )
