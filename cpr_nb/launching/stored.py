"""Reads what a session's folder stores of its launch, and refuses what must not run again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpr_nb.launching.spec_types import wrong_types
from cpr_nb.launching.would_run import what_runs
from cpr_nb.model import states
from cpr_nb.model.errors import ForeignSession, InputError, SessionNotUsable
from cpr_nb.model.record import SCHEMA_VERSION, is_newer
from cpr_nb.model.spec import check_task_id
from cpr_nb.model.text import one_line
from cpr_nb.store import catalog
from cpr_nb.store.authorship import Authorship, read_authorship
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import is_complete


def read_rerunnable(snapshot: Snapshot, verb: str) -> dict[str, Any]:
    """Reads the session.json of a session whose tasks are to run again, in a new session.

    Args:
        snapshot: The session; it may belong to another user.
        verb: What the caller wants to do with it, for the error.

    Returns:
        Its spec.

    Raises:
        ForeignSession: If the session is foreign.
        SessionNotUsable: If its tasks can't run again.
    """
    if snapshot.is_legacy:
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: "
            "claude-parallel-runner.pl kept only 50 characters of each prompt"
        )
    spec = read_own(snapshot, verb, in_place=False).spec
    if len(spec["tasks"]) < len(snapshot.tasks or ()):
        raise _incomplete(snapshot, verb)
    check_environment(snapshot, spec, verb)
    return spec


def read_own(snapshot: Snapshot, verb: str, *, in_place: bool = True) -> Authorship:
    """Reads the session.json of a session, if this user has launched it or trusts it.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.
        in_place: Whether the session itself is changed: that is only for the owner of its folder.

    Returns:
        What it would run; the caller takes it from here and from nowhere else.

    Raises:
        ForeignSession: If the session is foreign.
        SessionNotUsable: If its session.json can't be read, or is incomplete, or a newer cpr wrote
            the session.
        StateDirError: If the user's key can't be used.
    """
    refuse_imported(snapshot, verb)
    _check_folder(snapshot, verb, for_owner=in_place)
    _check_version(snapshot, snapshot.head, verb)
    authorship = read_complete(snapshot, verb)
    if not authorship.is_ours:
        short, reference = one_line(snapshot.session_id[:8]), _reference(snapshot)
        by_python = "s.resume(trust=True)" if verb == "resume" else f"cpr.trust({reference!r})"
        raise ForeignSession(
            f"can't {verb} {short}: {why_foreign(authorship)}\n"
            f"  It would run {what_runs(authorship.spec)}\n"
            f"  cpr trust {shlex.quote(reference)}   allows it, after you have looked"
            f"   (in Python: {by_python})",
            snapshot.paths.root,
        )
    return authorship


def refuse_imported(snapshot: Snapshot, verb: str) -> None:
    """Refuses a session that ran in another tool: nothing of it runs here.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.

    Raises:
        SessionNotUsable: If it was imported.
    """
    if snapshot.state == states.IMPORTED:
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: it ran in another tool, and was imported; "
            "launch its prompts as a session of their own"
        )


def _reference(snapshot: Snapshot) -> str:
    """How to name a session: by its folder, where another results directory is the usual one."""
    folder = Path(snapshot.paths.root)
    try:
        is_usual = catalog.results_dir(None, os.environ) == str(folder.parent)
    except InputError:  # such as a pyproject.toml that is not TOML
        is_usual = False
    return one_line(snapshot.session_id[:8] if is_usual else str(folder))


def why_foreign(authorship: Authorship) -> str:
    """Why a session is foreign, in words."""
    return (
        "it is foreign: this user, on this machine, has not launched it "
        f"({one_line(authorship.why)})"
    )


def read_complete(snapshot: Snapshot, verb: str) -> Authorship:
    """Reads the session.json of a session, whoever launched it.

    Args:
        snapshot: The session.
        verb: What the caller wants to do with it, for the error.

    Raises:
        SessionNotUsable: If it can't be read, is incomplete, or is another session's: nobody can
            run that.
        StateDirError: If the user's key can't be used.
    """
    authorship = read_authorship(snapshot.paths)
    _check_version(snapshot, authorship.spec, verb)
    wrong = next(wrong_types(authorship.spec), None)
    if wrong is not None:
        raise SessionNotUsable(f"can't {verb} {snapshot.session_id}: session.json: {wrong}")
    if not is_complete(authorship.spec) or not all(map(_is_sound, authorship.spec["tasks"])):
        raise _incomplete(snapshot, verb)
    if authorship.spec["session_id"] != snapshot.session_id:
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: its session.json is that of another session, "
            f"{one_line(authorship.spec['session_id'], 60)}"
        )
    return authorship


def _check_version(snapshot: Snapshot, fields: dict[str, Any], verb: str) -> None:
    """Refuses a session that a newer cpr wrote: we would leave out what we don't know of it.

    Args:
        snapshot: The session.
        fields: The head of status.json, or session.json: one of them may be lost.
        verb: What the caller wants to do with it, for the error.
    """
    if is_newer(fields):
        version = one_line(str(fields["schema_version"]), 20)
        raise SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: a newer cpr wrote it (schema_version {version}; "
            f"this one knows {SCHEMA_VERSION}): do it with that cpr, or upgrade this one"
        )


def _incomplete(snapshot: Snapshot, verb: str) -> SessionNotUsable:
    if snapshot.state == states.PLANNED:
        return SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: it is planned, and has no tasks before it starts"
        )
    if snapshot.state in states.ENDED_STATES and snapshot.head.get("after"):
        return SessionNotUsable(
            f"can't {verb} {snapshot.session_id}: it has ended before it started, and has no tasks"
        )
    return SessionNotUsable(
        f"can't {verb} {snapshot.session_id}: its session.json can't be read, or is incomplete"
    )


def _is_sound(task: Mapping[str, Any]) -> bool:
    """Whether what becomes part of paths and arguments in a task can't lead elsewhere."""
    follows, others = task.get("follows"), (task.get("parent"), task.get("grades"))
    ids = [task["id"], *(one for ids in others if isinstance(ids, dict) for one in ids.values())]
    if follows is not None:
        ids.append(follows)
    try:
        for one in ids:
            check_task_id(one, "")
    except InputError:
        return False
    return True


def _check_folder(snapshot: Snapshot, verb: str, *, for_owner: bool) -> None:
    """Refuses a session whose folder others could change while it is read, or worked in.

    Raises:
        SessionNotUsable: If its folder or its session.json is a link, may be written by others, or
            (``for_owner``) belongs to another user.
    """
    root = Path(snapshot.paths.root)
    for path in (root, root / "session.json"):
        try:
            status = path.lstat()
        except OSError:
            continue  # what is not there can't be executed
        is_theirs = for_owner and status.st_uid != os.geteuid()
        if path.is_symlink() or is_theirs or status.st_mode & 0o022:
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
