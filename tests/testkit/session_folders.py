"""Session folders written by a test, with figures added up as the runner does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cpr_nb.model import record
from cpr_nb.model.events import RunFacts

ENDED = {"status": "completed", "success": 1, "state": "ended", "outcome": "succeeded"}
RUNNING = {"status": "running", "success": 0, "state": "running"}


def write_session(
    results: Path,
    streams: dict[str, list[bytes]],
    *,
    number: int = 1,
    state: dict[str, Any] = ENDED,
    **head: Any,
) -> Path:
    """Writes a session's folder.

    Args:
        results: The results directory; made if it isn't there.
        streams: The streams of the attempts of each task.
        number: Tells sessions apart; the higher, the newer.
        state: The fields of the tasks' state.
        **head: Fields of the head of status.json.
    """
    folder = results / f"session-00000000-0000-4000-8000-{number:012}"
    folder.mkdir(parents=True)
    tasks = []
    for num, (task_id, attempts) in enumerate(streams.items(), 1):
        figures: dict[str, Any] = {}
        for attempt, stream in enumerate(attempts, 1):
            suffix = "" if attempt == 1 else f"@{attempt}"
            (folder / f"task-{task_id}{suffix}.jsonl").write_bytes(stream)
            figures = {
                **stream_fields(stream),
                **record.add_figures(stream_fields(stream), figures),
            }
        figures = figures if state["state"] == "ended" else {}
        base = record.base_fields(num, task_id, f"prompt of {task_id}")
        tasks.append({**base, **state, "attempts": len(attempts), **figures})
    overall = "completed" if state["state"] == "ended" else "running"
    usual = {"schema_version": 1, "overall_status": overall, "start_time": number}
    status = {**usual, "total": len(tasks), **head, "tasks": tasks}
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def stream_fields(stream: bytes) -> dict[str, Any]:
    """Returns what the runner records of the stream of an attempt."""
    facts = RunFacts()
    for line in stream.splitlines(keepends=True):
        facts.feed(line)
    return {k: v for k, v in record.facts_fields(facts).items() if v is not None}
