"""Whatever a session's files hold: no traceback in any face, and no success that is none.

The length of the run is set by ``CPR_FUZZ_EXAMPLES`` (see testkit/examples.py).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broken import VALUES, broken_json
from testkit.examples import FUZZ

import cpr_nb as cpr
from cpr_nb.cli.commands.overview import overview_lines
from cpr_nb.cli.commands.status import status_lines
from cpr_nb.cli.mcp_pages import PAGE_CHARS, result_page, session_status
from cpr_nb.cli.session_list import list_texts
from cpr_nb.cli.session_summary import summary_lines
from cpr_nb.launching.rerun import plan_retry
from cpr_nb.launching.resume import resume
from cpr_nb.model import record, states
from cpr_nb.model.inputs import parse
from cpr_nb.model.record import first_head
from cpr_nb.runner import messages
from cpr_nb.runner.history import read_history
from cpr_nb.runner.request_inbox import RequestInbox
from cpr_nb.store import layout
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import read_session
from cpr_nb.views.notice import notice
from cpr_nb.views.rows import session_row, task_row

RECORDINGS = Path(__file__).parents[1] / "model" / "recordings"
ASKED: dict[str, Any] = {
    "session_id": "1", "name": "n", "created_at": "2026-01-01T00:00:00Z", "start_time": 1,
    "cwd": "/", "options": {"permissions": "read", "attempts": 2}, "env_names": ["HOME"],
    "own_environment": False, "max_parallel": 2, "claude_path": "/nowhere/claude",
    "executor": "local", "parent_session_id": None,
    "tasks": [
        {"id": "a", "prompt": "one", "options": {}},
        {"id": "b", "prompt": "two", "options": {"model": "m"}, "env_names": ["HOME"]},
    ],
}  # fmt: skip
ENDED = {
    "status": "completed", "success": 1, "duration": 3, "state": "ended", "outcome": "succeeded",
    "reason": "completed", "ended_at": "2026-01-01T00:00:03Z", "duration_s": 3.0, "attempts": 1,
    "cost_usd": 0.5, "input_tokens": 3, "n_denials": 1, "started_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
STATUS: dict[str, Any] = {
    **first_head(ASKED, 2), "waiting_for": "limit", "waiting_until": "2026-01-01T00:00:03Z",
    "notice": "so", "cost_usd": 0.5, "n_unknown_costs": 1, "end_time": 9, "error": "e",
    "tasks": [
        {**record.base_fields(1, "a", "one"), **ENDED},
        {**record.base_fields(2, "b", "two"), **record.running_fields(1, "c-1", "2026-01-01")},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "session-1"
    (folder / "requests").mkdir(parents=True)
    (folder / "runner.lock").touch()
    (folder / "task-a.jsonl").write_bytes((RECORDINGS / "tools.jsonl").read_bytes())
    (folder / "task-a.txt").write_text("done\n")
    return folder


def put(root: Path, name: str, data: bytes) -> None:
    """Replaces a file as a writer does: no older than the one before."""
    (root / name).unlink(missing_ok=True)
    (root / name).write_bytes(data)
    os.utime(root / name, (1e9, 1e9))


def look(root: Path) -> cpr.Session:
    """Everything that any face shows of a session."""
    session = cpr.Session(root)
    snapshot = session.snapshot
    json.dumps(session_row(snapshot))
    for lines in (
        status_lines(snapshot, "x"),
        summary_lines(snapshot),
        list_texts(str(root.parent)),
        overview_lines([snapshot]),
    ):
        assert all(isinstance(line, str) for line in lines)
    assert isinstance(notice(snapshot), str) and repr(session)
    for page in (session_status(session), result_page(session, 1)):
        assert len(json.dumps(page, ensure_ascii=False)) <= PAGE_CHARS
    for task in session:
        json.dumps(task_row(snapshot, task.fields, task.prompt))
        assert isinstance(task.text, str) and repr(task)
        assert task.outcome in (*states.OUTCOMES, None)
    return session


@FUZZ
@given(broken_json(STATUS), broken_json(ASKED) | st.just(json.dumps(ASKED).encode()))
def test_every_face_shows_whatever_is_there(root: Path, status: bytes, asked: bytes) -> None:
    put(root, "session.json", asked)
    put(root, "status.json", status)
    session = look(root)
    for task in session:
        told = task.fields
        if task.outcome == states.SUCCEEDED:
            assert told.get("outcome") == "succeeded" or told.get("success") == 1


@FUZZ
@given(broken_json(STATUS), broken_json(ASKED))
def test_a_retry_of_whatever_is_there_is_right_or_one_line(
    root: Path, status: bytes, asked: bytes
) -> None:
    put(root, "session.json", asked)
    put(root, "status.json", status)
    try:
        planned = plan_retry(
            cpr.Session(root).rerun_source(), all_tasks=True, options={"claude_path": "sh"}
        )
    except cpr.ForeignSession as error:
        assert "it is foreign" in str(error).splitlines()[0]
    except cpr.CprError as error:
        assert "\n" not in str(error)
    else:
        assert planned.tasks


@FUZZ
@given(broken_json(ASKED))
def test_a_resume_of_whatever_is_there_starts_nothing_wrong(root: Path, asked: bytes) -> None:
    put(root, "session.json", asked)
    put(root, "status.json", json.dumps(STATUS).encode())
    # The lock is not there, so that even a whole session.json can't start a runner.
    (root / "runner.lock").unlink(missing_ok=True)
    try:
        with pytest.raises(cpr.CprError):
            resume(cpr.Session(root).snapshot, {})
    finally:
        (root / "runner.lock").touch()


STREAMS = sorted(path for path in RECORDINGS.glob("*.jsonl") if path.stat().st_size)
JOURNAL = [
    {"event": "runner_started", "at": "2026-01-01T00:00:00Z", "pid": 1},
    {"event": "intent", "task_id": "a", "attempt": 1, "conversation_id": "c-1"},
    {"event": "started", "task_id": "a", "attempt": 1, "pid": 7, "at": "2026-01-01T00:00:00Z"},
    {"event": "stop", "task_id": "a", "cause": "cancelled"},
    {"event": "attempt_ended", "task_id": "a", "outcome": "failed", "reason": "network"},
    {"event": "request", "name": "max-parallel", "value": 3},
    {"event": "ended", "task_id": "a", **ENDED},
]


@FUZZ
@given(st.lists(st.sampled_from(JOURNAL).flatmap(broken_json), max_size=8), broken_json(STATUS))
def test_a_history_never_invents_an_end(root: Path, lines: list[bytes], status: bytes) -> None:
    journal = b"\n".join(lines)
    put(root, "journal.jsonl", journal)
    put(root, "status.json", status)
    history = read_history(SessionPaths(str(root)))
    for task_id, task in history.tasks.items():
        assert isinstance(task_id, str) and isinstance(task.attempt, int)
        assert all(isinstance(figure, int | float) for figure in task.figures.values())
        if task.ended is not None and task.ended["outcome"] == states.SUCCEEDED:
            assert b"succeeded" in journal + status
    (root / "journal.jsonl").unlink()


class Nothing:
    """A recorder that records nothing."""

    def journal(self, event: str, **fields: Any) -> None:
        json.dumps(fields)

    def number(self, task_id: str) -> int | None:
        return 0 if task_id == "a" else None

    def set_parallel(self, max_parallel: int) -> None:
        assert max_parallel >= 0


NAMES = st.sampled_from(
    [layout.CANCEL, "cancel-a", "cancel-b", "cancel-", "pause", "go-on", "max-parallel", ".x"]
) | st.binary(min_size=1, max_size=20).filter(lambda b: b"/" not in b and b"\0" not in b)


@FUZZ
@given(st.lists(st.tuples(NAMES, st.binary(max_size=100)), max_size=4))
def test_any_request_is_an_event_or_nothing(root: Path, requests: list[tuple[Any, bytes]]) -> None:
    folder = os.fsencode(root / "requests")
    for name, data in requests:
        name = os.fsencode(name)
        if name not in (b".", b".."):
            Path(os.fsdecode(folder + b"/" + name)).write_bytes(data)
    inbox = RequestInbox(str(root / "requests"), Nothing())  # type: ignore[arg-type]
    for event in inbox.drain(1.0):
        assert isinstance(event, messages.Event) and event.task in (-1, 0)
    left = list((root / "requests").iterdir())
    assert [path for path in left if not path.name.startswith(".")] == []
    for path in left:
        path.unlink()


@FUZZ
@given(
    st.sampled_from(["json", "jsonl", "csv"]),
    broken_json({"prompts": ["a", {"id": "b", "prompt": "p", "model": "m"}]})
    | VALUES.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60),
)
def test_any_input_is_tasks_or_one_line(form: str, data: bytes) -> None:
    try:
        tasks = parse(data.decode("utf-8", "replace"), "x", form).tasks
    except cpr.InputError as error:
        assert str(error)
    else:
        assert all(task.prompt.strip() for task in tasks)


@FUZZ
@given(st.sampled_from(STREAMS), st.data())
def test_a_stream_with_anything_in_it_is_shown(root: Path, path: Path, data: st.DataObject) -> None:
    lines = path.read_bytes().splitlines()
    at = data.draw(st.integers(0, len(lines)))
    lines.insert(at, data.draw(broken_json(json.loads(lines[min(at, len(lines) - 1)]))))
    put(root, "task-a.jsonl", b"\n".join(lines))
    put(root, "session.json", json.dumps(ASKED).encode())
    put(root, "status.json", json.dumps(STATUS).encode())
    session = look(root)
    session[0].activity()
    assert isinstance(session[0].denials, list)


def test_a_snapshot_of_nothing_is_unreadable(tmp_path: Path) -> None:
    assert read_session(str(tmp_path)).state == states.UNREADABLE
