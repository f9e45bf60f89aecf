"""Running tasks of a session again, as a new session that points to the old one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cpr_nb import _launch
from cpr_nb.model import states
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.model.spec import TaskSpec
from cpr_nb.store.read import is_whole, read_asked

if TYPE_CHECKING:
    from cpr_nb._session import Session


def plan_retry(session: Session, *, all_tasks: bool, options: dict[str, Any]) -> _launch.LaunchPlan:
    """Checks a retry without spending anything; see `Session.retry`.

    Args:
        session: The session to retry from.
        all_tasks: Also those tasks that succeeded.
        options: Options that go before the old ones.

    Returns:
        The plan of the new session.

    Raises:
        SessionNotUsable: If there is nothing to retry, or the prompts are not known.
        InputError: If a value of an environment variable is missing.
    """
    session.refresh()
    if session.snapshot.is_seed:
        raise SessionNotUsable(
            f"can't retry {session.id}: the seed kept only 50 characters of each prompt"
        )
    check_ours(session, "retry")
    asked = read_asked(session.paths)
    if not is_whole(asked) or len(asked["tasks"]) < len(session):
        raise SessionNotUsable(
            f"can't retry {session.id}: its session.json can't be read, or says too little"
        )
    if asked.get("own_environment"):
        raise SessionNotUsable(
            f"can't retry {session.id}: it ran in an environment of its own (such as the demo's), "
            "which is not kept"
        )
    wanted = [
        task
        for task in session
        if task.state == states.ENDED and (all_tasks or task.outcome != states.SUCCEEDED)
    ]
    if not wanted:
        n_left = sum(task.state != states.ENDED for task in session)
        left = f"; {n_left} have not ended, and their agents may still run" if n_left else ""
        raise SessionNotUsable(
            f"nothing to retry in {session.id}: no task has ended without success{left}"
        )
    merged = {**asked["options"], "cwd": asked["cwd"], **options}
    merged["env"] = stored_values(asked.get("env_names", []), options.get("env", {}))
    merged.setdefault("results_dir", str(session.path.parent))
    tasks = [_task(asked["tasks"][task.num - 1], options) for task in wanted]
    planned = _launch.plan(tasks, merged, parent_session_id=session.id)
    if "schema" not in options:
        planned.answer_types = session.answer_types
    return planned


def check_ours(session: Session, verb: str) -> None:
    """Refuses a session that somebody else could have written: it says what is executed.

    Args:
        session: The session.
        verb: What is to be done with it.

    Raises:
        SessionNotUsable: If its folder or its session.json is a link, another user's, or may be
            written by others.
    """
    for path in (session.path, session.path / "session.json"):
        try:
            status = path.lstat()
        except OSError:
            continue  # what is not there can't be executed
        if path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SessionNotUsable(
                f"can't {verb} {session.id}: {path} is a link, another user's, or others may "
                "write it: it says what is executed"
            )


def _task(asked: dict[str, Any], options: dict[str, Any]) -> TaskSpec:
    own = {name: value for name, value in asked.get("options", {}).items() if name not in options}
    names = asked.get("env_names", [])
    if names:
        own["env"] = stored_values(names, options.get("env", {}))
    return TaskSpec(asked["id"], asked["prompt"], own, f"task {asked['id']}")


def stored_values(names: list[str], given: dict[str, str]) -> dict[str, str]:
    """The values of variables of which only the names are stored.

    Args:
        names: The variables that a session was given.
        given: Values that are given now; those of this process come second.

    Raises:
        InputError: If one has no value.
    """
    values = dict(given)
    for name in names:
        if name not in values:
            if name not in os.environ:
                raise InputError(
                    f"the session set {name}, and its value is not stored: give it again "
                    f"with --env {name}=VALUE (env={{{name!r}: …}})",
                    "env",
                )
            values[name] = os.environ[name]
    return values
