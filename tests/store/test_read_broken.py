"""Reading what is half written, wrong or a stranger's: never an error, never half a truth."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cpr_nb.model import record, states
from cpr_nb.model.record import first_head
from cpr_nb.store.read import read_session
from cpr_nb.store.write import StatusWriter

LEGACY = Path(__file__).parent / "legacy-results"
LEGACY_STATUS = (LEGACY / "session-eb0e8f55-b5b4-5144-08dc-d144fc4f1590/status.json").read_bytes()
LONG_AGO = 1_000_000_000


def our_status() -> bytes:
    asked = {"session_id": "s", "start_time": 1, "created_at": "", "cwd": "/", "max_parallel": 1}
    bases = [record.base_fields(number, f"t{number}", "prompt") for number in (1, 2)]
    return b"".join(StatusWriter("", first_head(asked, 2), bases).pieces())


def put(folder: Path, status: bytes | None, *, lock: bool = False) -> Path:
    """A session's folder that nobody writes to any more."""
    folder.mkdir(exist_ok=True)
    if lock:
        (folder / "runner.lock").touch()
    if status is not None:
        (folder / "status.json").write_bytes(status)
        os.utime(folder / "status.json", (LONG_AGO, LONG_AGO))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "session-1"


def state_of(folder: Path) -> str:
    """Its state, which must not depend on how much is read."""
    whole, head = read_session(str(folder)), read_session(str(folder), tasks=False)
    assert head.tasks is None
    assert (head.state, head.head) == (whole.state, whole.head)
    return whole.state


@pytest.mark.parametrize("status", [LEGACY_STATUS, our_status()], ids=["legacy", "ours"])
def test_a_status_cut_at_any_byte_is_unreadable_and_no_error(root: Path, status: bytes) -> None:
    put(root, None, lock=True)
    for cut in range(len(status.rstrip()) - 1):
        put(root, status[:cut])
        session = read_session(str(root))
        assert (session.state, session.head, session.tasks) == ("unreadable", {}, [])
        assert session.problem in ("status.json is empty", "status.json is not valid JSON")


@pytest.mark.parametrize("status", [LEGACY_STATUS, our_status()], ids=["legacy", "ours"])
def test_the_head_of_a_status_cut_at_any_byte_is_whole_or_not_there(
    root: Path, status: bytes
) -> None:
    whole = read_session(str(put(root, status, lock=True)), tasks=False).head
    for cut in range(len(status)):
        session = read_session(str(put(root, status[:cut])), tasks=False)
        assert session.head in ({}, whole)


def test_a_half_written_status_is_read_again_when_it_is_whole(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(root, b"") / "status.json"
    pieces = [LEGACY_STATUS[:100], LEGACY_STATUS[:300], LEGACY_STATUS]

    def the_writer_goes_on(_seconds: float) -> None:
        path.write_bytes(pieces.pop(0))

    path.write_bytes(b"")
    monkeypatch.setattr(time, "sleep", the_writer_goes_on)
    assert read_session(str(root)).state == "completed"
    assert pieces == []


def test_a_status_that_stays_half_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, None).joinpath("status.json").write_bytes(LEGACY_STATUS[:100])
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    session = read_session(str(root))
    assert (session.state, session.problem) == ("unreadable", "status.json is not valid JSON")
    assert 1 <= len(naps) < 10 and sum(naps) < 0.5


def test_nobody_waits_for_a_half_status_that_is_old(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: pytest.fail("it waited"))
    assert state_of(put(root, LEGACY_STATUS[:100])) == "unreadable"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (None, "no status.json"),
        (b"", "status.json is empty"),
        (b"[]", "status.json is not an object"),
        (b'"completed"', "status.json is not an object"),
        (b"null", "status.json is not an object"),
        (b"\xff\xfe\x00", "status.json is not valid JSON"),
        (b'{"overall_status": "completed"}}', "status.json is not valid JSON"),
        (b'{"a":' * 100_000, "status.json is not valid JSON"),
        (b'{"total": ' + b"9" * 5_000 + b"}", "status.json is not valid JSON"),
    ],
    ids=lambda value: ascii(value)[:30],
)
@pytest.mark.parametrize("tasks", [True, False])
def test_what_is_no_status_is_unreadable_and_says_why(
    root: Path, status: bytes | None, problem: str, tasks: bool
) -> None:
    session = read_session(str(put(root, status)), tasks=tasks)
    assert (session.state, session.problem) == ("unreadable", problem)
    assert session.head == {} and not session.tasks
    assert not session.is_legacy and not session.is_live


def test_a_status_that_is_a_folder_or_a_loop_is_unreadable(root: Path) -> None:
    (put(root, None) / "status.json").mkdir()
    assert read_session(str(root)).problem == "status.json: Is a directory"
    assert state_of(root) == "unreadable"
    (root / "status.json").rmdir()
    (root / "status.json").symlink_to("status.json")
    assert state_of(root) == "unreadable"


def test_a_lock_that_is_a_loop_holds_nothing(root: Path) -> None:
    put(root, our_status())
    (root / "runner.lock").symlink_to("runner.lock")
    assert state_of(root) == "interrupted"


@pytest.mark.timeout(10)  # else it would wait for a writer for ever
@pytest.mark.parametrize("name", ["status.json", "runner.lock"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(root: Path, name: str) -> None:
    put(root, our_status() if name == "runner.lock" else None)
    os.mkfifo(root / name)
    assert state_of(root) in ("unreadable", "interrupted")


def test_a_strangers_folder_a_file_and_a_loop_are_unreadable(tmp_path: Path) -> None:
    stranger = tmp_path / "session-theirs"
    stranger.mkdir()
    (stranger / "notes.txt").write_text("mine")
    (tmp_path / "session-file").write_text("no folder")
    (tmp_path / "session-loop").symlink_to("session-loop")
    for name in ("theirs", "file", "loop", "gone"):
        assert state_of(tmp_path / f"session-{name}") == "unreadable"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
WORDS = st.sampled_from(["running", "completed", "pending", "starting", "error"])
TASKS = st.dictionaries(
    st.sampled_from(["task_num", "transaction_id", "status", "success", "duration", "state"]),
    WORDS | VALUES,
)
STATUSES = st.dictionaries(
    st.sampled_from(
        ["session_id", "start_time", "end_time", "total", "completed", "successful", "error",
         "schema_version", "state", "n_failed", "name"]
    ),
    WORDS | VALUES,
)  # fmt: skip


@settings(max_examples=200)
@given(STATUSES, WORDS | VALUES, st.lists(TASKS | VALUES, max_size=3) | VALUES, st.booleans())
@example({"total": 10**400, "completed": -5, "successful": "x"}, "running", [{"status": []}], True)
def test_a_status_with_wrong_types_everywhere_is_read_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory,
    head: dict[str, Any],
    overall: Any,
    tasks: Any,
    lock: bool,
) -> None:
    status = {**head, "overall_status": overall, "tasks": tasks}
    root = tmp_path_factory.mktemp("r") / "session-1"
    put(root, json.dumps(status).encode(), lock=lock)
    for session in (read_session(str(root)), read_session(str(root), tasks=False)):
        assert session.state in states.SESSION_STATES
        assert isinstance(session.count("n_failed"), int)
        assert isinstance(session.is_live, bool) and isinstance(session.is_legacy, bool)
        assert all(isinstance(task, dict) for task in session.tasks or ())


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_reading_leaves_no_descriptor_open(root: Path) -> None:
    put(root, our_status(), lock=True)
    before = open_descriptors()
    for status in (b"", b"[]", our_status(), LEGACY_STATUS):
        assert state_of(put(root, status)) in states.SESSION_STATES
    assert open_descriptors() == before
