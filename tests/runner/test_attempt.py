"""One attempt: the limit it ended at, and an attempt whose process is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.model.limits import LOGIN, USAGE
from cpr_nb.runner.attempt import Attempt, unseen_pid
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.spawning import create_stream
from cpr_nb.store.layout import SessionPaths

NOON_S = 1772366400  # 2026-03-01 12:00 UTC


def gone(folder: Path, *events: dict[str, Any]) -> Attempt:
    """An attempt of an earlier runner whose process is gone; these stand in its stream."""
    attempt = Attempt(LocalProcess(0, "s/a@1", -1), 0, "a", 1, SessionPaths(str(folder)))
    path = folder / "task-a.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    os.utime(path, (NOON_S, NOON_S))
    return attempt


def result(text: str = "", status: int | None = None, *, is_error: bool = True) -> dict[str, Any]:
    return {"type": "result", "is_error": is_error, "result": text, "api_error_status": status}


REJECTED = {
    "type": "rate_limit_event",
    "rate_limit_info": {"status": "rejected", "resetsAt": NOON_S + 77},
}
RETRY = {"type": "system", "subtype": "api_retry", "error_status": 429}
RETRY_LOGIN = {**RETRY, "error_status": 401}
ANSWER = {"type": "assistant", "message": {"id": "m", "model": "opus", "content": []}}
HIT = result("You've hit your limit · resets 1pm (UTC)", 429)


@pytest.mark.parametrize(
    ("events", "limit"),
    [
        ([], None),
        ([result(is_error=False)], None),
        ([result("usage limit reached", is_error=False)], None),
        ([HIT], (USAGE, NOON_S + 3600)),
        ([REJECTED, HIT], (USAGE, NOON_S + 77)),
        ([REJECTED], (USAGE, NOON_S + 77)),
        ([REJECTED, ANSWER], None),
        ([REJECTED, ANSWER, result("", 500)], None),
        ([RETRY_LOGIN], (LOGIN, None)),
        ([RETRY_LOGIN, HIT], (USAGE, NOON_S + 3600)),
        ([result("", 401)], (LOGIN, None)),
        ([result("", 429)], (USAGE, None)),
        ([RETRY, result("", 429)], None),
        ([result("", 500)], None),
    ],
)
def test_the_limit_at_which_an_attempt_ended_is_the_last_that_stands_in_its_stream(
    tmp_path: Path, events: list[dict[str, Any]], limit: tuple[str, float | None] | None
) -> None:
    attempt = gone(tmp_path, *events)
    attempt.collect(None)
    found = attempt.limit
    assert (None if found is None else (found.kind, found.until_s)) == limit


def test_a_stream_that_was_removed_reports_no_limit(tmp_path: Path) -> None:
    attempt = gone(tmp_path)
    (tmp_path / "task-a.jsonl").unlink()
    exit_, facts = attempt.collect(None)
    assert (exit_.exit_code, exit_.signal, facts.result, attempt.limit) == (None, None, None, None)


STOP = """
import sys
from cpr_nb.runner.attempt import Attempt, unseen_pid
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.spawning import create_stream
from cpr_nb.store.layout import SessionPaths
gone = LocalProcess(0, "no-such-session/a@1", -1)
attempt = Attempt(gone, 0, "a", 1, SessionPaths(sys.argv[1]))
attempt.terminate()
attempt.kill_tree()
print("lives")
"""


def test_to_stop_an_attempt_that_is_gone_harms_nobody(tmp_path: Path) -> None:
    """Signal 15 to process 0 would reach the runner itself and all of its group."""
    command = [sys.executable, "-c", STOP, str(tmp_path)]
    ran = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "lives\n"), ran.stderr


def test_an_attempt_that_can_not_be_seen_lives_as_long_as_its_output_is_open(
    tmp_path: Path,
) -> None:
    fd = create_stream(str(tmp_path / "task-a.jsonl"))
    paths = SessionPaths(str(tmp_path))
    attempt = Attempt(LocalProcess(unseen_pid(0), "s/a@1", -1), 0, "a", 1, paths)
    attempt.terminate()
    attempt.kill_tree()
    attempt.terminated = True
    assert not attempt.is_gone()
    os.write(fd, json.dumps(result("done", is_error=False)).encode() + b"\n")
    attempt.stream.poll(0.0)
    assert attempt.is_gone(), "its turn is over, and what keeps its output open can't be ended"
    attempt.terminated = False
    assert not attempt.is_gone()
    os.close(fd)
    assert attempt.is_gone()
    attempt.collect(None)
