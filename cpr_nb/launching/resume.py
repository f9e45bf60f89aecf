"""Going on with a session: after its runner was killed, after a pause, before a limit ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cpr_nb.executors.local import LocalExecutor
from cpr_nb.launching.rerun import check_ours, stored_values
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.runner.command import clean_environment
from cpr_nb.store import layout, requests
from cpr_nb.store.files import is_locked
from cpr_nb.store.read import read_session
from cpr_nb.store.spec_file import is_complete, read_spec
from cpr_nb.store.write import hold_lock

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session

EXECUTORS = {LocalExecutor.name: LocalExecutor}


def resume(session: Session, env: dict[str, str]) -> None:
    """Goes on with a session; see `Session.resume`.

    Args:
        session: The session.
        env: Values of environment variables that are not stored.

    Raises:
        SessionNotUsable: If it can't be resumed.
        InputError: If a value of ``env`` is missing.
        LaunchError: If the runner does not come up.
    """
    state = session.state
    if state in (states.PAUSED, states.WAITING):
        requests.leave(session.paths, layout.GO_ON)
        return
    if state in states.LIVE_STATES:
        raise SessionNotUsable(f"can't resume {session.id}: it is {state} already")
    if state in states.ENDED_STATES:
        raise SessionNotUsable(
            f"can't resume {session.id}: it is {state}; "
            f"cpr retry {session.id[:8]} runs again what did not succeed"
        )
    asked = _trusted(session)
    if asked.get("own_environment"):
        raise SessionNotUsable(
            f"can't resume {session.id}: it ran in an environment of its own (such as the "
            "demo's), which is not kept"
        )
    values = stored_values(asked.get("env_names", []), env)
    environ = {**clean_environment(os.environ), **values}
    task_env = {
        task["id"]: stored_values(task["env_names"], env)
        for task in asked["tasks"]
        if task.get("env_names")
    }
    _start(session, asked, environ, task_env)


def settle(session: Session, request: str) -> None:
    """Carries out a request to a session whose runner is gone; nothing else happens.

    Args:
        session: The session.
        request: The request.

    Raises:
        SessionNotUsable: If it can't be done.
    """
    asked = _trusted(session)
    requests.leave(session.paths, request)
    _start(session, asked, clean_environment(os.environ), {}, settle=True)


def _start(
    session: Session,
    asked: dict[str, Any],
    environ: dict[str, str],
    task_env: dict[str, dict[str, str]],
    *,
    settle: bool = False,
) -> None:
    """Starts a runner under the session's lock: of two who try at once, one gets it."""
    try:
        lock_fd = hold_lock(session.paths.lock, new=False)
    except BlockingIOError:
        raise SessionNotUsable(
            f"can't resume {session.id}: somebody else was quicker, a runner works on it"
        ) from None
    except OSError as error:
        raise SessionNotUsable(
            f"can't resume {session.id}: its lock can't be taken: {error.strerror}: "
            f"{session.paths.lock}"
        ) from None
    try:
        # Without a status the journal tells; if it tells of the end, that is written again.
        head = read_session(session.paths.root, tasks=False).head
        if head.get("overall_status", "running") != "running":
            raise SessionNotUsable(f"can't resume {session.id}: it has ended meanwhile")
        executor = EXECUTORS.get(str(asked.get("executor")), LocalExecutor)()
        executor.start(session.paths, lock_fd, environ, task_env, settle=settle)
    finally:
        os.close(lock_fd)


def _trusted(session: Session) -> dict[str, Any]:
    """What was asked, if we may run it: its folder says what is executed, and with which rights.

    Raises:
        SessionNotUsable: If the folder is not ours alone, or says too little.
    """
    refused = f"can't resume {session.id}: "
    known = session.snapshot.state == states.INTERRUPTED and not session.snapshot.is_legacy
    # A session whose status.json is lost has its lock still: a legacy session never had one.
    if not known and not (session.snapshot.state == states.UNREADABLE and _has_lock(session)):
        raise SessionNotUsable(
            f"{refused}it is {session.snapshot.state}, and not a session of ours"
        )
    check_ours(session, "resume")
    asked = read_spec(session.paths)
    if not is_complete(asked):
        raise SessionNotUsable(f"{refused}its session.json can't be read, or says too little")
    return asked


def _has_lock(session: Session) -> bool:
    return is_locked(session.paths) is not None
