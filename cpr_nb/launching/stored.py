"""Reads what a session's folder stores of its launch, and refuses what must not run again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpr_nb.model.errors import ForeignSession, InputError, SessionNotUsable
from cpr_nb.store.authorship import Authorship, read_authorship
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import is_complete


def read_rerunnable(snapshot: Snapshot, verb: str) -> dict[str, Any]:
    """Reads the session.json of a session whose tasks are to run again.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.

    Returns:
        Its spec.

    Raises:
        SessionNotUsable: If its tasks can't run again.
    """
    refusal = f"can't {verb} {snapshot.session_id}: "
    if snapshot.is_legacy:
        raise SessionNotUsable(
            f"{refusal}claude-parallel-runner.pl kept only 50 characters of each prompt"
        )
    spec = read_own(snapshot, verb).spec
    if not is_complete(spec) or len(spec["tasks"]) < len(snapshot.tasks or ()):
        raise SessionNotUsable(f"{refusal}its session.json can't be read, or is incomplete")
    check_environment(snapshot, spec, verb)
    return spec


def read_own(snapshot: Snapshot, verb: str) -> Authorship:
    """Reads the session.json of a session, if this user has launched it or trusts it.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.

    Returns:
        What it would run; the caller takes it from here and from nowhere else.

    Raises:
        SessionNotUsable: If others may have written its folder.
        ForeignSession: If the session is foreign.
    """
    check_owner(snapshot, verb)
    authorship = read_authorship(snapshot.paths)
    if not authorship.is_ours:
        raise ForeignSession(f"can't {verb} {snapshot.session_id}: it is foreign: {authorship.why}")
    return authorship


def check_owner(snapshot: Snapshot, verb: str) -> None:
    """Refuses a session that someone else could have written: it says what is executed.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.

    Raises:
        SessionNotUsable: If its folder or its session.json is a link, belongs to another user, or
            may be written by others.
    """
    root = Path(snapshot.paths.root)
    for path in (root, root / "session.json"):
        try:
            status = path.lstat()
        except OSError:
            continue  # what is not there can't be executed
        if path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SessionNotUsable(
                f"can't {verb} {snapshot.session_id}: {path} is a link, belongs to another "
                "user or is writable by others, and it decides what is executed"
            )


def check_environment(snapshot: Snapshot, spec: Mapping[str, Any], verb: str) -> None:
    """Refuses a session whose environment is lost.

    Args:
        snapshot: The session.
        spec: Its session.json.
        verb: What the caller wants to do with it, for the error.

    Raises:
        SessionNotUsable: If it ran in an environment of its own.
    """
    if spec.get("own_environment"):
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: it ran in an environment of its own (such as "
            "the demo's), which is not stored"
        )


def stored_values(names: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """The values of environment variables of which a session's folder keeps only the names.

    Args:
        names: The variables that the session was given.
        values: Values that are given now; those of this process come second.

    Raises:
        InputError: If a variable has no value.
    """
    complete = dict(values)
    for name in names:
        if name in complete:
            continue
        if name not in os.environ:
            raise InputError(
                f"the session set {name}, and its value is not stored: pass it again "
                f"with --env {name}=VALUE (env={{{name!r}: …}})",
                "env",
            )
        complete[name] = os.environ[name]
    return complete
