"""What ``cpr mcp`` says of sessions, tasks and answers, in pages that fit into a conversation."""

from __future__ import annotations

import json
from typing import Any

from cpr_nb.handles.session import Session
from cpr_nb.handles.task import Task
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.views.rows import session_row

#: The longest page of results, in characters of JSON: some 5,000 to 7,000 tokens.
PAGE_CHARS = 20_000
#: The most sessions, or tasks, that a status lists.
MAX_LISTED = 30
_LINE_CHARS = 200
_MAX_WARNINGS = 5
# What is left of a page for what stands around an answer.
_FRAME_CHARS = 2_000
_SESSION_FIELDS = (
    *("session_id", "name", "state", "created_at", "duration_s", "n_tasks", "n_pending"),
    *("n_running", "n_succeeded", "n_failed", "n_denials", "n_questions", "cost_usd"),
    *("waiting_for", "waiting_until", "notice"),
)


def session_facts(snapshot: Snapshot, *, full: bool = True) -> dict[str, Any]:
    """A session as a whole; what is unknown is left out.

    Args:
        snapshot: The session.
        full: Whether to say what it waits for and what a person should know of it, too.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> unreadable = Snapshot(SessionPaths("/r/session-1"), {}, [], "unreadable")
        >>> session_facts(unreadable, full=False)["state"]
        'unreadable'
    """
    row = session_row(snapshot, full=full)
    return {name: _short(row[name]) for name in _SESSION_FIELDS if row.get(name) is not None}


def session_status(session: Session) -> dict[str, Any]:
    """A session, its warnings, and its tasks that have not succeeded."""
    snapshot = session.refresh().snapshot
    open_tasks = [task for task in session.tasks if task.outcome != states.SUCCEEDED]
    listed = [_task_facts(task) for task in open_tasks[:MAX_LISTED]]
    return _without_none(
        {
            **session_facts(snapshot),
            "has_ended": snapshot.state in states.ENDED_STATES,
            "progress": _progress(snapshot),
            "warnings": [_short(line) for line in session.warnings[:_MAX_WARNINGS]] or None,
            "tasks_not_succeeded": listed or None,
            "n_tasks_not_listed": len(open_tasks) - len(listed) or None,
        }
    )


def result_page(session: Session, first_task: int) -> dict[str, Any]:
    """The answers of a session's tasks, as many as fit on a page.

    Args:
        session: The session.
        first_task: The number of the first one, from 1.

    Raises:
        InputError: If there is no such task.
    """
    n_tasks = len(session.refresh())
    if not 1 <= first_task <= max(n_tasks, 1):
        raise InputError(f"must be from 1 to {n_tasks}, not {first_task}", "first_task")
    entries: list[dict[str, Any]] = []
    n_chars = 0
    for task in session.tasks[first_task - 1 :]:
        entry = _answer(task, 0)
        n_chars += _length(entry)
        if entries and n_chars > PAGE_CHARS - _FRAME_CHARS:
            break
        entries.append(entry)
    last = first_task - 1 + len(entries)
    following = {"next_page": {"first_task": last + 1}} if last < n_tasks else {}
    return {**_head(session), "tasks": entries, **following}


def answer_page(session: Session, task: str | int, offset: int) -> dict[str, Any]:
    """A part of one task's answer.

    Args:
        session: The session.
        task: The task's number or id.
        offset: Where the part begins, in characters.

    Raises:
        InputError: If that is behind the answer's end.
        TaskNotFound: If there is no such task.
    """
    return {**_head(session.refresh()), "tasks": [_answer(session.task(task), offset)]}


def _progress(snapshot: Snapshot) -> str | None:
    """How far a live session is, and how long it will take, in one line; None for another."""
    if not snapshot.is_live or snapshot.state == states.PLANNED:
        return None
    from cpr_nb.views.wait_progress import ProgressFollower

    return one_line(ProgressFollower(snapshot.paths.root).poll().text, _LINE_CHARS) or None


def sendable(page: dict[str, Any]) -> dict[str, Any]:
    """The same without what strict JSON in UTF-8 can't hold: half characters, and no numbers.

    Args:
        page: What a tool says.

    Example:
        >>> sendable({"half": chr(0xD800), "n": float("nan")})
        {'half': '?', 'n': None}
    """
    text = json.dumps(page, ensure_ascii=False).encode("utf-8", "replace")
    sent: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return sent


def _head(session: Session) -> dict[str, Any]:
    return {"session_id": session.id, "state": session.snapshot.state}


def _answer(task: Task, offset: int) -> dict[str, Any]:
    """One task with its answer, or the part of it that fits on a page."""
    facts = _task_facts(task)
    structured = task.structured
    if structured is not None:
        if offset == 0 and _length(structured) <= PAGE_CHARS - _FRAME_CHARS:
            return {**facts, "answer": structured}
        text = json.dumps(structured, ensure_ascii=False)
    else:
        text = task.text
    if not text and not offset:
        return facts
    if not 0 <= offset < len(text):
        raise InputError(f"must be from 0 to {len(text) - 1}, not {offset}", "offset")
    part = _fitting(text, offset)
    end = offset + len(part)
    if not offset and end == len(text):
        return {**facts, "answer": part}
    following = {"next_part": {"task": task.num, "offset": end}} if end < len(text) else {}
    return {**facts, "answer_part": part, "n_chars": len(text), "offset": offset, **following}


def _fitting(text: str, offset: int) -> str:
    """As much of a text as fits on a page; a character may take six in JSON."""
    room = PAGE_CHARS - _FRAME_CHARS
    part = text[offset : offset + room]
    while (length := _length(part)) > room:
        part = part[: max(1, len(part) * room // length)]
    return part


def _task_facts(task: Task) -> dict[str, Any]:
    facts = {
        "task_num": task.num,
        "task_id": _short(task.id),
        "state": task.state if task.state != states.ENDED else None,
        "outcome": task.outcome,
        "reason": _short(task.reason) if task.outcome != states.SUCCEEDED else None,
        "error": _short(task.error) if task.error else None,
        "branch": _short(task.fields.get("branch")),
        "n_denials": _short(task.fields.get("n_denials")),
    }
    return _without_none(facts)


def _length(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False))


def _short(value: Any) -> Any:
    """A number as it is, anything else as a short line: whoever wrote the file could be anybody."""
    is_plain = value is None or isinstance(value, bool | int | float)
    return value if is_plain else one_line(str(value), _LINE_CHARS)


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
