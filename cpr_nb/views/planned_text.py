"""What a planned session waits for, in words."""

from __future__ import annotations

import os

from cpr_nb.model import states
from cpr_nb.model.random_ids import is_uuid
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot, read_session

#: Nothing goes on with an input in one of these states, so what comes after it does not start.
_STUCK = (states.INTERRUPTED, states.UNREADABLE, states.STALE)


def input_ids(snapshot: Snapshot) -> list[str]:
    """The ids of the sessions whose answers a session is about; empty for most.

    Args:
        snapshot: The session.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> input_ids(Snapshot(SessionPaths("/r/session-1"), {}, [], "planned"))
        []
    """
    ids = snapshot.head.get("after")
    return [one for one in ids if isinstance(one, str)] if isinstance(ids, list) else []


def read_inputs(snapshot: Snapshot) -> list[Snapshot]:
    """Those sessions as they are now, and what grades them, without their tasks."""
    folder = os.path.dirname(snapshot.paths.root)
    roots = [f"{folder}/{SESSION_PREFIX}{one}" for one in input_ids(snapshot) if is_uuid(one)]
    return with_graders([read_session(root, tasks=False) for root in roots])


def with_graders(inputs: list[Snapshot]) -> list[Snapshot]:
    """Sessions, and those that grade their answers: a row has its score when both have ended.

    Args:
        inputs: The sessions.
    """
    sessions = list(inputs)
    for one in inputs:
        grading_id = one.head.get("grading_id")
        if isinstance(grading_id, str) and is_uuid(grading_id):
            root = f"{os.path.dirname(one.paths.root)}/{SESSION_PREFIX}{grading_id}"
            sessions += [read_session(root, tasks=False)] if os.path.isdir(root) else []
    return sessions


def is_over(session: Snapshot) -> bool:
    """Whether nothing more comes from a session; after a pilot, the other rows are still to come.

    Args:
        session: The session.
    """
    return session.state in states.ENDED_STATES and not _n_held(session)


def _n_held(session: Snapshot) -> int:
    """The tasks that wait until somebody runs the rest of a pilot."""
    pilot = session.head.get("pilot")
    n_held = pilot.get("n_held") if isinstance(pilot, dict) else 0
    return n_held if session.state == states.COMPLETED and isinstance(n_held, int) else 0


def waits_for(snapshot: Snapshot, *, counts: bool = False) -> str:
    """What a planned session waits for; empty if all its inputs have ended.

    Args:
        snapshot: The session.
        counts: Whether to say how many tasks of them have ended: that changes often.
    """
    parts = [
        f"{one.session_id[:8]} ({_progress(one, counts=counts)})"
        for one in read_inputs(snapshot)
        if not is_over(one)
    ]
    return f"waits for {' and '.join(parts)}" if parts else ""


def planned_notice(snapshot: Snapshot, program: str) -> str:
    """What a person should know of a planned session.

    Args:
        snapshot: The session.
        program: How the command is called here.
    """
    problem = snapshot.head.get("notice")
    resume = f"{program} resume {snapshot.short_id}"
    if isinstance(problem, str) and problem:
        return f"planned: {problem}; {resume} tries again"
    waiting = waits_for(snapshot)
    if not waiting:
        return f"planned: its input has ended, and it starts now; if it does not: {resume}"
    stuck = [one for one in read_inputs(snapshot) if one.state == states.INTERRUPTED]
    more = f"; {program} resume {stuck[0].short_id} continues that" if stuck else ""
    return f"planned: {waiting}{more}"


def why_stuck(snapshot: Snapshot) -> str:
    """Why a planned session does not start without a person; empty if it may.

    Args:
        snapshot: The session.
    """
    short = snapshot.short_id
    problem = snapshot.head.get("notice")
    if isinstance(problem, str) and problem:
        return f"session {short} is planned, and {problem}; s.resume() tries again"
    for one in read_inputs(snapshot):
        if one.state in _STUCK:
            more = f"; cpr resume {one.short_id} resumes it" if one.state in _STUCK[:1] else ""
            return f"session {short} waits for {one.session_id[:8]}, which is {one.state}{more}"
        if _n_held(one):
            return (
                f"session {short} waits for {one.session_id[:8]}: {_progress(one, counts=False)}; "
                f"s.resume() of {short} starts it with the rows of the pilot"
            )
        if one.state == states.PLANNED and (why := why_stuck(one)):
            return why
    return ""


def _progress(session: Snapshot, *, counts: bool) -> str:
    if n_held := _n_held(session):
        return f"its pilot has ended, and {n_held} tasks have not run: s.run_rest() runs them"
    if not counts or session.state == states.PLANNED:
        return session.state
    n_ended, n_tasks = session.count("completed"), session.count("total")
    return f"{session.state}, {n_ended} of {n_tasks} tasks have ended"
