"""The lines about a session that a person must not miss: its notice and its warnings."""

from __future__ import annotations

import os
import shlex
import time

from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.model.text import one_line
from cpr_nb.store.claims import BEAT_S, SILENCE_S, last_sign_s
from cpr_nb.store.read import Snapshot, runner_host
from cpr_nb.store.times import parse_iso
from cpr_nb.views.formatting import plural
from cpr_nb.views.nodes import n_without_node, why_no_node
from cpr_nb.views.work_left import saving_warnings

#: The command, as it is typed on this machine.
PROGRAM = "cpr"
_NEWER = "a newer cpr wrote this session: what this one does not know of it is not shown"


def notice(snapshot: Snapshot, program: str = PROGRAM) -> str:
    """Returns what a person should know now: what it waits for, why it stopped, what to do.

    Args:
        snapshot: The session.
        program: How the command is called here.

    Returns:
        One line; empty if there is nothing to say.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> head = {"schema_version": 1, "notice": "so"}
        >>> notice(Snapshot(SessionPaths("/r/session-1"), head, [], "running"))
        'so'
    """
    text = snapshot.head.get("notice")
    text = text if isinstance(text, str) else ""
    resume = "a newer cpr" if snapshot.is_newer else f"{program} resume {snapshot.short_id}"
    if snapshot.state == states.INTERRUPTED:
        reason = (
            text if text.startswith("its runner") else "its runner ended before the session did"
        )
        return f"interrupted: {reason}; {resume} continues it"
    if snapshot.state == states.PLANNED:
        from cpr_nb.views.planned_text import planned_notice  # few sessions need it

        return planned_notice(snapshot, program)
    if snapshot.state == states.UNREACHABLE:
        return _unreachable(snapshot, resume)
    if snapshot.state == states.PAUSED:
        return f"paused: no more tasks are started; {resume} continues it"
    if snapshot.state == states.STALE:
        return "no sign of life for 10 minutes: its runner is probably gone"
    if snapshot.is_live and not snapshot.is_legacy:
        if problem := disk_problem(snapshot.paths.root):
            return problem
        if snapshot.head.get("waiting_for") == "nodes":
            return _no_node(snapshot, program)
        return text + _until(snapshot.head) or _awaited(snapshot) or _pilot(snapshot, program)
    if snapshot.state == states.COMPLETED and (held := _pilot(snapshot, program)):
        return held
    error = snapshot.head.get("error")
    return error if isinstance(error, str) else snapshot.problem


def _pilot(snapshot: Snapshot, program: str) -> str:
    """What waits until somebody has seen what a pilot cost; empty without any."""
    pilot = snapshot.head.get("pilot")
    n_held = integer(pilot.get("n_held")) if isinstance(pilot, dict) else None
    if not n_held:
        return ""
    tasks = plural(n_held, "task")
    if snapshot.is_live:
        return f"pilot: {tasks} outside it wait for s.run_rest()"
    return (
        f"the pilot has ended: s.forecast() says what the other {tasks} will cost; s.run_rest() or "
        f"{program} resume {snapshot.short_id} --skipped runs them"
    )


def warnings_of(snapshot: Snapshot, program: str = PROGRAM) -> list[str]:
    """Returns what its runner warned of, and what of its tasks' work is not saved.

    Args:
        snapshot: The session.
        program: How the command is called here.

    Returns:
        One line each, fit for a terminal.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> head = {"warnings": ["the MCP server db failed", None]}
        >>> warnings_of(Snapshot(SessionPaths("/r/session-1"), head, [], "running"))
        ['the MCP server db failed']
    """
    return [*saving_warnings(snapshot, program), *runner_warnings(snapshot, program)]


def runner_warnings(snapshot: Snapshot, program: str = PROGRAM) -> list[str]:
    """Returns what its runner warned of, and which notices it could not send: one line each."""
    warnings = snapshot.head.get("warnings")
    texts = warnings if isinstance(warnings, list) else []
    lines = [one_line(text) for text in texts if isinstance(text, str)]
    if snapshot.head.get("notices"):
        from cpr_nb.views.notice_problems import notice_warnings  # few sessions send any

        lines += notice_warnings(snapshot, program)
    return [*([_NEWER] if snapshot.is_newer else []), *lines]


def disk_problem(root: str) -> str:
    """Returns why nothing can be written there: the runner itself can't write it down."""
    try:
        disk = os.statvfs(root)
    except OSError:
        return ""
    if disk.f_flag & os.ST_RDONLY:
        return "the disk is read-only: the session waits until it can write again"
    if disk.f_bavail == 0:
        return "the disk is full: the session waits until there is space"
    return ""


def _unreachable(snapshot: Snapshot, resume: str) -> str:
    last_s = last_sign_s(snapshot.paths, [])
    is_silent = last_s is not None and time.time() - last_s > 3 * BEAT_S
    seen = f", last sign of life {_local(last_s)}" if last_s and is_silent else ""
    return (
        f"unreachable: its runner on {runner_host(snapshot.paths)} can't be seen from here{seen}; "
        f"{resume} continues it here once nothing was written for {SILENCE_S / 60:.0f} minutes"
    )


def _no_node(snapshot: Snapshot, program: str) -> str:
    n_tasks, short = n_without_node(snapshot), snapshot.short_id
    waiting = "1 task is waiting" if n_tasks == 1 else f"{n_tasks} tasks are waiting"
    add = {
        "slurm": f"{program} nodes add {short} slurm",
        "dask": "s.add_nodes(client)",
        "agents": f"{program} agent {shlex.quote(snapshot.paths.join)}",
    }.get(str(snapshot.head.get("executor")), f"{program} nodes add {short} ssh:HOST")
    why = f"{program} doctor --nodes {short}"
    return f"{why_no_node(snapshot)}. {waiting}; to add one: {add}; to see why: {why}"


def _awaited(snapshot: Snapshot) -> str:
    """What a session that grades waits for."""
    n_awaited = snapshot.count("n_awaited")
    if not n_awaited:
        return ""
    graded = one_line(str(snapshot.head.get("parent_session_id") or ""))[:8]
    answers = "1 answer" if n_awaited == 1 else f"{n_awaited} answers"
    return f"waits for {answers} of session {graded}, to grade {'it' if n_awaited == 1 else 'them'}"


def _until(head: dict[str, object]) -> str:
    until_s = parse_iso(head.get("waiting_until"))
    if until_s is None:
        return ""
    return f", waits until {_local(until_s)}"


def _local(time_s: float) -> str:
    """A time as people here write it: to the minute, with the day if that is not today."""
    same_day = time.localtime(time_s)[:3] == time.localtime()[:3]
    form = "%H:%M" if same_day else "%a %d %b %H:%M"
    return time.strftime(form, time.localtime(time_s))
