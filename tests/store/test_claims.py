"""Claims to a session, and signs of life in its folder."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cpr_nb.launching.takeover import Takeover
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.store import claims
from cpr_nb.store.layout import SessionPaths


@pytest.fixture
def paths(tmp_path: Path) -> SessionPaths:
    root = tmp_path / "session-1"
    root.mkdir()
    return SessionPaths(str(root))


def write(path: str, age_s: float, text: str = "") -> None:
    Path(path).write_text(text)
    at = time.time() - age_s
    os.utime(path, (at, at))


def test_only_one_can_make_a_claim(paths: SessionPaths) -> None:
    assert claims.newest_claim(paths) == 0
    claims.make_claim(paths, 1)
    with pytest.raises(FileExistsError):
        claims.make_claim(paths, 1)
    claims.make_claim(paths, 2)
    assert claims.newest_claim(paths) == 2
    claim = json.loads(Path(paths.claim(1)).read_bytes())
    assert (claim["host"], claim["pid"]) == (os.uname().nodename, os.getpid())
    claims.withdraw_claim(paths, 2)
    assert claims.newest_claim(paths) == 1


def test_of_two_that_found_silence_one_takes_over(paths: SessionPaths) -> None:
    rivals = [Takeover.of_silent(paths, "1", force=False) for _ in range(2)]
    with rivals[0] as number:
        assert number == 1
    with pytest.raises(SessionNotUsable, match="can't resume 1: another resume was faster"):
        rivals[1].__enter__()
    assert claims.newest_claim(paths) == 1


def test_a_takeover_whose_runner_does_not_come_up_leaves_no_claim(paths: SessionPaths) -> None:
    takeover = Takeover.of_silent(paths, "1", force=True)
    with pytest.raises(ZeroDivisionError), takeover:
        assert claims.newest_claim(paths) == 1
        _ = 1 / 0
    assert claims.newest_claim(paths) == 0


@pytest.mark.parametrize(
    "name", ["runner.lock", "status.json", "journal.jsonl", "runner.json", "owner.1"]
)
def test_whatever_a_runner_writes_is_a_sign_of_life(paths: SessionPaths, name: str) -> None:
    for file in ("runner.lock", "status.json", "journal.jsonl", "runner.json"):
        write(f"{paths.root}/{file}", 2 * claims.SILENCE_S)
    write(f"{paths.root}/{name}", claims.SILENCE_S - 61)
    with pytest.raises(SessionNotUsable, match=r"written 83\d s ago; .* or here in 2 min if"):
        Takeover.of_silent(paths, "1", force=False)
    write(f"{paths.root}/{name}", claims.SILENCE_S + 1)
    Takeover.of_silent(paths, "1", force=False)


def test_an_agent_without_a_runner_is_a_sign_of_life(paths: SessionPaths) -> None:
    head = {"schema_version": 1, "overall_status": "running"}
    tasks = [
        {"transaction_id": "a", "state": "ended", "attempts": 1},
        {"transaction_id": "b", "state": "running", "attempts": 2},
    ]
    write(paths.status, 2 * claims.SILENCE_S, json.dumps({**head, "tasks": tasks}))
    write(paths.stream("a"), 0.0)
    Takeover.of_silent(paths, "1", force=False)
    write(paths.stream("b", 2), 0.0)
    with pytest.raises(SessionNotUsable, match="it is unreachable: its runner on another machine"):
        Takeover.of_silent(paths, "1", force=False)
    Takeover.of_silent(paths, "1", force=True)


def test_the_clock_is_that_of_the_file_system_and_leaves_nothing(paths: SessionPaths) -> None:
    assert abs(claims.now_s(paths) - time.time()) < 60
    assert not list(Path(paths.root).iterdir())


def test_a_folder_that_can_not_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(SessionNotUsable, match="its folder can't be written: No such file"):
        Takeover.of_silent(SessionPaths(str(tmp_path / "none")), "1", force=False)
