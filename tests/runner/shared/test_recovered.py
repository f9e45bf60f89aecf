"""What an earlier runner left of a shared process: the streams of its tasks, and its files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.runner.history import Place, read_history
from cpr_nb.runner.leftovers import Leftovers
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.shared.recovered import RecoveredAttempt, RecoveredProcess
from cpr_nb.store.layout import SessionPaths


def line(kind: str, session: str, **fields: Any) -> bytes:
    return json.dumps({"type": kind, **fields, "session_id": session}).encode() + b"\n"


def init(session: str) -> bytes:
    return line("system", session, subtype="init")


def result(session: str, text: str = "Yes.") -> bytes:
    return line("result", session, subtype="success", is_error=False, num_turns=1, result=text)


CLEAR = [line("conversation_reset", "x"), init("c1"), line("result", "c1", num_turns=0)]
FIRST = init("c1") + result("c1", "One.")
BORDER = line("conversation_reset", "c1") + init("c2") + line("result", "c2", num_turns=0)
SECOND = init("c2") + line("assistant", "c2", message={"content": []})
BEGIN = len(b"".join(CLEAR))
STREAM = b"".join(CLEAR) + FIRST + BORDER + SECOND
PLACES = [
    Place(1, BEGIN, "a", 1, "c1"),
    Place(1, BEGIN + len(FIRST) + len(BORDER), "b", 1, "c2"),
]


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    paths = SessionPaths(str(tmp_path))
    Path(paths.process_stream(1)).write_bytes(STREAM)
    Path(paths.process_stderr(1)).write_bytes(b"a word\n")
    return paths


@pytest.fixture
def shared(paths: SessionPaths) -> RecoveredProcess:
    return RecoveredProcess(1, paths, "no process has this token", PLACES)


@pytest.fixture
def other_pid() -> Iterator[int]:
    """A process that lives until the end of the test."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield process.pid
    assert process.stdin is not None
    process.stdin.close()
    process.wait()


def attempt(shared: RecoveredProcess, task: int, pid: int = 0) -> RecoveredAttempt:
    return shared.attempt(PLACES[task], LocalProcess(pid, shared.token, -1), task, {})


def collect(one: RecoveredAttempt) -> dict[str, Any] | None:
    one.clean_up(Leftovers(), None)
    return one.collect(None)[1].result


@pytest.mark.parametrize("copied", [b"", FIRST[:7], FIRST, b"of another run", None])
def test_each_task_gets_its_lines_whatever_was_copied(
    paths: SessionPaths, shared: RecoveredProcess, copied: bytes | None
) -> None:
    if copied is not None:
        Path(paths.stream("a")).write_bytes(copied)
    first, second = attempt(shared, 0), attempt(shared, 1)
    assert (collect(first) or {})["result"] == "One."
    assert not second.is_unasked and collect(second) is None
    assert shared.discard()
    assert Path(paths.stream("a")).read_bytes() == FIRST
    assert Path(paths.stream("b")).read_bytes() == SECOND
    assert not Path(paths.process_stream(1)).exists()
    assert Path(paths.stderr("b")).read_text() == "a word\n"  # it ended with this task
    assert not Path(paths.stderr("a")).exists()


def test_a_task_that_is_over_does_not_end_the_process_of_the_next_one(
    paths: SessionPaths, shared: RecoveredProcess, other_pid: int
) -> None:
    first, second = attempt(shared, 0, other_pid), attempt(shared, 1, other_pid)
    assert (first.process.pid, second.process.pid, shared.busy_pid) == (0, other_pid, other_pid)
    assert (collect(first) or {})["result"] == "One."
    assert not shared.discard()  # it still writes
    with Path(paths.process_stream(1)).open("ab") as file:
        file.write(result("c2", "Two.") + b'{"torn')
    assert (collect(second) or {})["result"] == "Two."
    assert not shared.busy_pid and shared.discard()
    assert Path(paths.stream("b")).read_bytes() == SECOND + result("c2", "Two.") + b'{"torn'


def test_a_task_whose_prompt_nobody_read_was_not_asked(paths: SessionPaths) -> None:
    place = Place(1, len(STREAM), "c", 1, "c3")
    shared = RecoveredProcess(1, paths, "no process has this token", [place])
    one = shared.attempt(place, LocalProcess(0, shared.token, -1), 0, {})
    assert one.is_unasked
    one.terminated = True
    assert not one.is_unasked  # it was cancelled: that is its end
    assert collect(one) is None


def test_the_files_stay_until_each_part_is_whole(
    paths: SessionPaths, shared: RecoveredProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "copy_file_range", full)
        assert not shared.discard()
        assert Path(paths.process_stream(1)).exists()
    assert shared.discard()
    assert Path(paths.stream("a")).read_bytes() == FIRST


def test_the_journal_names_the_places_of_the_processes_that_have_files(
    paths: SessionPaths, tmp_path: Path
) -> None:
    def intent(task_id: str, **fields: Any) -> dict[str, Any]:
        return {
            "event": "intent",
            "task_id": task_id,
            "attempt": 1,
            "conversation_id": "c",
            **fields,
        }

    lines = [
        {"event": "process_intent", "process": 7},
        intent("a", process=1, offset=5),
        intent("b", process=7, offset=9),
        intent("own"),
        intent("odd", process=True, offset=-1),
        {"event": "ended", "task_id": "a", "outcome": "succeeded"},
    ]
    journal = "".join(json.dumps(one) + "\n" for one in lines)
    Path(paths.journal).write_text(journal)
    history = read_history(paths)
    assert history.last_process == 7
    assert {number: len(places) for number, places in history.places.items()} == {1: 1}
    place = history.places[1][0]
    assert (place.task_id, place.offset, place.conversation_id) == ("a", 5, "c")
    assert history.tasks["b"].place is not None and history.tasks["own"].place is None
    assert history.tasks["odd"].place is None
    (tmp_path / "process-12.jsonl").touch()
    assert read_history(paths).last_process == 12  # its name is taken
