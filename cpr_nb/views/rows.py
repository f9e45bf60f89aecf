"""Sessions and tasks as flat rows: the values of the columns, the same in every interface."""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.record import task_state
from cpr_nb.store.files import open_regular, read_json
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.views.durations import between_s, iso_or_none, session_duration_s, task_duration_s
from cpr_nb.views.notice import notice, warnings_of
from cpr_nb.views.questions import questions_of
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cpr_nb.store.authorship import Marks

# Columns that are copied from status.json.
_SESSION_FIELDS = (
    "n_cancelled",
    "n_skipped",
    "n_reused",
    "started_at",
    "ended_at",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "n_unknown_costs",
    "max_parallel",
    "parallel_now",
    "parallel_why",
    "model",
    "permissions",
    "executor",
)
# What the lines of a stream contain that say more than status.json does.
_STREAM_MARKS = (b'"tool_use"', b'"result"')
_RUNNER_FIELDS = ("host", "claude_version", "git_commit", "git_tree")
_TASK_FIELDS = (
    "started_at",
    "ended_at",
    "api_duration_s",
    "attempts",
    "num_turns",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "n_unknown_costs",
    "model",
    "response_model",
    "api_retries",
    "api_error_status",
    "exit_code",
    "signal",
    "is_error",
    "subtype",
    "stop_reason",
    "error",
    "conversation_id",
    "node",
    "process",
    "branch",
    "worktree",
    "harvest_error",
    "kept_because",
    "n_files_changed",
    "lines_added",
    "lines_deleted",
    "n_commits",
    "peak_rss_bytes",
)


def session_row(
    snapshot: Snapshot, *, full: bool = True, marks: Marks | None = None
) -> dict[str, Any]:
    """Returns a session as one row; what is unknown is None.

    Args:
        snapshot: The session.
        full: Whether to fill all columns, not only those that a table shows by default.
        marks: What tells foreign sessions; None leaves out that they are.

    Example:
        >>> session_row(Snapshot(SessionPaths("/r/session-1"), {}, [], "unreadable"))["state"]
        'unreadable'
    """
    head, count = snapshot.head, snapshot.count
    row = {
        "session_id": snapshot.session_id,
        "name": head.get("name"),
        "state": snapshot.state,
        **({} if marks is None else {"foreign": marks.is_foreign(head, snapshot.session_id)}),
        "created_at": head.get("created_at") or iso_or_none(head.get("start_time")),
        "duration_s": session_duration_s(snapshot),
        "n_tasks": count("total"),
        "n_pending": count("n_pending"),
        "n_running": count("n_running"),
        "n_succeeded": count("n_succeeded"),
        "n_failed": count("n_failed"),
        # claude-parallel-runner.pl did not count them.
        "n_denials": None if snapshot.is_legacy else count("n_denials"),
        "cost_usd": head.get("cost_usd"),
    }
    if not full:
        return row
    runner = read_json(snapshot.paths.runner)
    return {
        **row,
        **{name: head.get(name) for name in _SESSION_FIELDS},
        **{name: runner.get(name) for name in _RUNNER_FIELDS},
        "n_questions": count("n_questions") if snapshot.is_live else None,
        "waiting_for": head.get("waiting_for") if snapshot.is_live else None,
        "waiting_until": head.get("waiting_until") if snapshot.is_live else None,
        "notice": notice(snapshot) or None,
        "warnings": "; ".join(warnings_of(snapshot)) or None,
        "cwd": head.get("cwd"),
        "parent_session_id": head.get("parent_session_id"),
        "path": snapshot.paths.root,
    }


def task_row(
    snapshot: Snapshot,
    task: dict[str, Any],
    prompt: str | None = None,
    *,
    streamed: bool = True,
    full: bool = True,
) -> dict[str, Any]:
    """Returns a task as one row; what is unknown is None.

    Args:
        snapshot: Its session.
        task: Its fields in status.json.
        prompt: The whole prompt, if it is known.
        streamed: Whether to read its stream for the columns that need it.
        full: Whether to fill all columns, not only those that a table shows by default.
    """
    state, outcome = task_state(task)
    task_id = str(task.get("transaction_id", ""))
    row = {
        "session_id": snapshot.session_id,
        "task_id": task_id,
        "task_num": task.get("task_num"),
        "prompt": prompt if prompt is not None else task.get("prompt"),
        "state": state,
        "outcome": outcome,
        "ok": outcome == states.SUCCEEDED if outcome else None,
        "reason": task.get("reason"),
        # Unknown in a legacy session; and what never ran had none to count.
        "n_denials": task.get("n_denials", 0 if task.get("attempts") else None),
        "duration_s": task_duration_s(task),
        "cost_usd": task.get("cost_usd"),
        "result": read_answer(snapshot.paths, task_id) if _has_answer(state, task) else None,
    }
    if not full:
        return row
    return {
        **row,
        **{name: task.get(name) for name in _TASK_FIELDS},
        "n_questions": len(questions_of(task)) if state != states.ENDED else None,
        "light": bool(task.get("light")),
        "note": task_note(task, snapshot.short_id) or None,
        "wait_s": between_s(snapshot.head.get("started_at"), task.get("started_at")),
        **(_stream_columns(snapshot.paths, task_id, task.get("attempts")) if streamed else {}),
    }


def _has_answer(state: str, task: dict[str, Any]) -> bool:
    """Whether a task has ended, or has answered while its process still runs."""
    return state == states.ENDED or bool(task.get("answered_at"))


def _stream_columns(paths: SessionPaths, task_id: str, attempt: object) -> dict[str, Any]:
    """Returns the columns that need the stream; None for each if there is no stream."""
    if isinstance(attempt, int) and attempt >= 1:
        try:
            with open_regular(paths.stream(task_id, attempt)) as stream:
                return _columns_of_lines(stream)
        except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
            pass
    return {"n_tool_calls": None, "structured": None, "output_bytes": None}


def _columns_of_lines(lines: Iterable[bytes]) -> dict[str, Any]:
    n_tool_calls, structured, size_bytes = 0, None, 0
    for line in lines:
        size_bytes += len(line)
        event = parse_line(line) if any(mark in line for mark in _STREAM_MARKS) else None
        if event is None:
            continue
        if event["type"] == "result":
            structured = event.get("structured_output")
        elif event["type"] == "assistant":
            blocks = content_blocks(event)
            n_tool_calls += sum(block.get("type") == "tool_use" for block in blocks)
    return {"n_tool_calls": n_tool_calls, "structured": structured, "output_bytes": size_bytes}
