"""Reading a session's folder: a legacy one, ours, half of one, a stranger's; never an error."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.model import record, states
from cpr_nb.model.record import first_head
from cpr_nb.store import read
from cpr_nb.store.files import is_locked, read_json
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import STALE_AFTER_S, Snapshot, read_answer, read_session
from cpr_nb.store.spec_file import read_spec
from cpr_nb.store.write import StatusWriter

LEGACY = Path(__file__).parent / "legacy-results"
ALL_GOOD = LEGACY / "session-58f2a8e6-135c-0d34-8ae6-f30afe254fb0"
ONE_FAILED = LEGACY / "session-eb0e8f55-b5b4-5144-08dc-d144fc4f1590"
LEGACY_STATUS = (ONE_FAILED / "status.json").read_bytes()
LONG_AGO = 1_000_000_000


def our_status(*, n_tasks: int = 2, **head: Any) -> bytes:
    asked = {"session_id": "s", "start_time": 1, "created_at": "", "cwd": "/", "max_parallel": 1}
    bases = [record.base_fields(n, f"t{n}", "prompt") for n in range(1, n_tasks + 1)]
    writer = StatusWriter("", {**first_head(asked, n_tasks), "state": "running", **head}, bases)
    return b"".join(writer.pieces())


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


@pytest.fixture
def hold() -> Iterator[Callable[[Path], int]]:
    """Holds a session's lock, as its runner does."""
    held: list[int] = []

    def take(folder: Path) -> int:
        fd = os.open(folder / "runner.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.append(fd)
        return fd

    yield take
    for fd in held:
        try:
            os.close(fd)
        except OSError:
            pass  # the test has let it go


def state_of(folder: Path) -> str:
    """Its state, which must not depend on how much is read."""
    whole, head = read_session(str(folder)), read_session(str(folder), tasks=False)
    assert head.tasks is None
    assert (head.state, head.head) == (whole.state, whole.head)
    return whole.state


# -- legacy sessions --------------------------------------------------------------------------


def test_a_legacy_session_is_read_as_the_script_shows_it() -> None:
    session = read_session(str(ONE_FAILED))
    assert session.session_id == "eb0e8f55-b5b4-5144-08dc-d144fc4f1590"
    assert (session.state, session.is_legacy, session.is_live) == ("completed", True, False)
    assert [session.count(name) for name in ("total", "completed", "successful")] == [3, 3, 2]
    assert session.tasks is not None
    assert [(task["transaction_id"][:8], task["success"]) for task in session.tasks] == [
        ("e13026e9", 1),
        ("c0b18a7d", 0),
        ("3ae7dfb1", 1),
    ]
    assert [task["prompt"] for task in session.tasks] == ["Say UNI", "This one will FAIL", "ok"]


@pytest.mark.parametrize(("folder", "n_failed"), [(ALL_GOOD, 0), (ONE_FAILED, 1)])
def test_a_legacy_session_gets_the_counters_that_ours_have(folder: Path, n_failed: int) -> None:
    for session in (read_session(str(folder)), read_session(str(folder), tasks=False)):
        counts = [session.count(f"n_{what}") for what in ("succeeded", "failed", "running")]
        assert counts == [3 - n_failed, n_failed, 0]
        assert session.count("n_pending") == 0


def test_a_legacy_session_in_its_midst_is_counted(root: Path) -> None:
    tasks = [{"status": "completed", "success": 0}, {"status": "running"}, {"status": "pending"}]
    status = {"overall_status": "running", "total": 3, "completed": 1, "successful": 0}
    session = read_session(str(put(root, json.dumps({**status, "tasks": tasks}).encode())))
    names = ("n_succeeded", "n_failed", "n_running", "n_pending")
    assert [session.count(name) for name in names] == [0, 1, 1, 1]


def test_a_legacy_sessions_answers_are_read_as_they_are() -> None:
    paths = SessionPaths(str(ONE_FAILED))
    answer = read_answer(paths, "e13026e9-4978-1a34-6591-09f2ac95e591")
    assert answer == "h\u00e9llo \u2705 <b>not bold</b> \x1b[31mred\x1b[0m\n"
    failed = read_answer(paths, "c0b18a7d-d588-20cc-f6b6-a256f505e4ba")
    assert failed == "partial words\nError: something broke\n"
    assert read_answer(paths, "no-such-task") is None
    assert read_answer(paths, "a\0b") is None
    assert read_spec(paths) == {}


def put_running_legacy(folder: Path, age_s: float) -> Path:
    status = {"overall_status": "running", "total": 1, "completed": 0, "successful": 0, "tasks": []}
    put(folder, json.dumps(status).encode())
    (folder / "task-a.txt").write_text("so far")
    then = time.time() - age_s
    for path in folder.iterdir():
        os.utime(path, (then, then))
    return folder


def test_a_legacy_session_that_nobody_touched_for_long_is_stale(root: Path) -> None:
    assert state_of(put_running_legacy(root, STALE_AFTER_S + 5)) == "stale"


def test_a_legacy_session_that_was_touched_lately_is_running(root: Path) -> None:
    assert state_of(put_running_legacy(root, STALE_AFTER_S - 60)) == "running"


def test_one_sign_of_life_is_enough_for_a_legacy_session(root: Path) -> None:
    put_running_legacy(root, STALE_AFTER_S + 5)
    (root / "task-b.txt").write_text("a new one")
    assert state_of(root) == "running"


def test_a_clock_that_was_put_back_makes_no_session_stale(root: Path) -> None:
    assert state_of(put_running_legacy(root, -99_999)) == "running"


def test_a_link_to_nowhere_makes_no_legacy_session_stale(root: Path) -> None:
    put_running_legacy(root, 5)
    (root / "latest").symlink_to(root / "gone")
    assert state_of(root) == "running"


def test_a_legacy_session_that_ended_is_never_stale() -> None:
    assert state_of(ONE_FAILED) == "completed"


# -- ours -------------------------------------------------------------------------------------


def test_a_session_with_a_runner_is_running(root: Path, hold: Callable[[Path], int]) -> None:
    put(root, our_status())
    hold(root)
    assert state_of(root) == "running"
    session = read_session(str(root))
    assert session.is_live and not session.is_legacy
    assert session.tasks is not None
    assert [task["transaction_id"] for task in session.tasks] == ["t1", "t2"]


@pytest.mark.parametrize("state", states.LIVE_STATES)
def test_a_live_sessions_own_word_is_taken(
    root: Path, hold: Callable[[Path], int], state: str
) -> None:
    put(root, our_status(state=state))
    hold(root)
    assert state_of(root) == state


@pytest.mark.parametrize("state", ["completed", "interrupted", "later", "", None, 3, ["running"]])
def test_a_live_sessions_word_that_cannot_be_is_running(
    root: Path, hold: Callable[[Path], int], state: Any
) -> None:
    put(root, our_status(state=state))
    hold(root)
    assert state_of(root) == "running"


@pytest.mark.parametrize("state", states.LIVE_STATES)
def test_a_session_whose_runner_is_gone_is_interrupted(root: Path, state: str) -> None:
    assert state_of(put(root, our_status(state=state), lock=True)) == "interrupted"


@pytest.mark.parametrize("overall", states.ENDED_STATES)
@pytest.mark.parametrize("held", [True, False])
def test_a_session_that_ended_has_ended_whoever_holds_the_lock(
    root: Path, hold: Callable[[Path], int], overall: str, held: bool
) -> None:
    put(root, our_status(overall_status=overall), lock=True)
    if held:
        hold(root)
    assert state_of(root) == overall


@pytest.mark.parametrize("overall", ["", "Completed", "later", None, 3, ["completed"], {}])
def test_a_session_that_says_something_else_is_unreadable(root: Path, overall: Any) -> None:
    assert state_of(put(root, our_status(overall_status=overall), lock=True)) == "unreadable"


@pytest.mark.parametrize("name", ["s", "x" * 9_000], ids=["short head", "long head"])
@pytest.mark.parametrize("tasks", [True, False])
def test_a_session_that_ends_between_our_two_looks_has_ended_as_a_whole(
    root: Path,
    hold: Callable[[Path], int],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    tasks: bool,
) -> None:
    """It said running, then the lock was free: the end was written in between."""
    put(root, our_status(n_tasks=1, name=name))
    lock_fd = hold(root)

    def end_then_look(paths: SessionPaths) -> bool | None:
        head = {"overall_status": "completed", "state": "completed", "completed": 1, "n_failed": 1}
        ended = our_status(n_tasks=1, name=name, **head)
        (root / "status.json").write_bytes(ended.replace(b'"pending"', b'"ended"'))
        os.close(lock_fd)
        return is_locked(paths)

    monkeypatch.setattr(read, "is_locked", end_then_look)
    session = read_session(str(root), tasks=tasks)
    assert session.state == "completed"
    assert (session.head["state"], session.count("n_failed")) == ("completed", 1)
    if tasks:
        assert session.tasks is not None
        assert [task["state"] for task in session.tasks] == ["ended"], "tasks from another time"


def test_who_looks_at_a_lock_is_not_taken_for_its_holder(root: Path) -> None:
    put(root, None, lock=True)
    paths = SessionPaths(str(root))
    with Path(paths.lock).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert is_locked(paths) is False
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_locked(paths) is True
    assert is_locked(paths) is False
    Path(paths.lock).unlink()
    assert is_locked(paths) is None


def test_a_look_at_a_lock_leaves_it_free(root: Path, hold: Callable[[Path], int]) -> None:
    put(root, None, lock=True)
    assert is_locked(SessionPaths(str(root))) is False
    os.close(hold(root))


@pytest.mark.parametrize("name", ["x" * 4_000, "x" * 9_000, "\u2028\ud800", ',\n"tasks":[\n'])
def test_a_head_of_any_length_is_read_alone_as_with_its_tasks(root: Path, name: str) -> None:
    put(root, our_status(overall_status="completed", name=name), lock=True)
    assert state_of(root) == "completed"
    assert read_session(str(root), tasks=False).head["name"] == name


def test_the_id_is_in_the_folders_name_whatever_the_file_says(root: Path) -> None:
    put(root, our_status(session_id="../../elsewhere"), lock=True)
    assert read_session(str(root)).session_id == "1"


# -- single files -----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_a_file_that_is_no_json_object_is_an_empty_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f").write_bytes(data)
    assert read_json(str(tmp_path / "f")) == {}
    assert read_json(str(tmp_path / "gone")) == {}
    assert read_json(str(tmp_path)) == {}


def test_an_answer_that_is_no_utf8_is_read_as_far_as_it_can_be(tmp_path: Path) -> None:
    (tmp_path / "task-a.txt").write_bytes(b"a\xffb\r\n")
    assert read_answer(SessionPaths(str(tmp_path)), "a") == "a\ufffdb\r\n"


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("3f2a9c1e-6b7d", "3f2a9c1e"),
        ("$(id)", "'$(id)'"),
        ("-f", "-f"),
        ("a b", "'a b'"),
        ("", "''"),
    ],
)
def test_a_short_id_can_be_pasted(name: str, short: str) -> None:
    assert Snapshot(SessionPaths(f"/r/session-{name}"), {}, [], "running").short_id == short


def test_a_count_is_a_number_or_nothing() -> None:
    head = {"a": 3, "b": True, "c": "3", "d": 1.5, "e": None}
    session = Snapshot(SessionPaths("/r/session-1"), head, [], "running")
    assert [session.count(name) for name in "abcdef"] == [3, 0, 0, 0, 0, 0]
