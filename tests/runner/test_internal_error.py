"""A bug of ours, in a real runner: in the handling of one task it costs that task only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.executors.base import RunnerInput
from cpr_nb.runner import __file__ as runner_file
from cpr_nb.runner import process

PACKAGES = Path(runner_file).parents[2]
# What the runner's own __main__ does, with a bug.
_RUN = """
import os, sys
sys.path.append(sys.argv[1])
from cpr_nb.runner import bootstrap, messages
from cpr_nb.runner.opening import OpenSession
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.transitions import PENDING

class Broken(Schedule):
BUG

bootstrap.Schedule = Broken
lock_fd = os.open(sys.argv[2] + "/runner.lock", os.O_RDWR | os.O_CREAT)
loop = bootstrap.build(OpenSession(sys.argv[2], lock_fd, sys.stdin.buffer.read()))
try:
    loop.run()
except BaseException as error:
    loop.abort(f"{type(error).__name__}: {error}")
    raise
"""
# Once its agent is answered, task 1 (from 0) becomes pending again.
_ILLEGAL = """
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self._handlers[messages.Responded] = self._wrong

    def _wrong(self, event):
        self._refusals.responded(event)
        if event.task == 1:
            self._tasks.move(1, PENDING)
"""
# No end of an agent can be handled.
_FATAL = """
    def _ended(self, event):
        raise RuntimeError("a bug")
"""


def run_again(
    whole: cpr.Session, stub_cpr: Cpr, tmp_path: Path, bug: str
) -> tuple[cpr.Session, subprocess.CompletedProcess[bytes]]:
    """Runs the tasks of a session again in another folder, by a runner with a bug."""
    root = tmp_path / f"session-{whole.id}"
    root.mkdir()
    session_json = (whole.path / "session.json").read_bytes()
    (root / "session.json").write_bytes(session_json)
    sha256 = hashlib.sha256(session_json).hexdigest()
    code = _RUN.replace("BUG", bug)
    runner = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, str(PACKAGES), str(root)],
        env=stub_cpr.env,
        input=RunnerInput({}, sha256, "", "", f"{root}/requests", "").as_json(),
        capture_output=True,
        timeout=LIMIT_S,
    )
    return cpr.Session(root), runner


def test_an_illegal_transition_fails_its_task_and_the_session_continues(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    lock = stub.folder / "lock-held"
    lock.touch()
    text = prompts("a", plan(say="I work", lock="held", spawn=["setsid"]), "c")
    whole = stub_cpr.launch(text, "-j", "2").wait(LIMIT_S)
    assert [task.ok for task in whole] == [True] * 3
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # its agent would never end
        session, runner = run_again(whole, stub_cpr, tmp_path, _ILLEGAL)
    assert runner.returncode == 0
    assert session.state == "completed"
    assert [(task.outcome, task.reason) for task in session] == [
        ("succeeded", "completed"),
        ("failed", "internal"),
        ("succeeded", "completed"),
    ]
    error = "an error in cpr: Responded must not make it pending while it is running"
    assert session[1].error == f"{error}; see runner.log"
    lines = runner.stderr.decode().splitlines()  # a real runner's stderr is runner.log
    assert lines[0].endswith(f"Z task {session[1].id}: {error.partition(': ')[2]}")
    story = [re.sub(r"^ *\d+\.\d\d s  ", "", line) for line in lines[2:]]
    assert lines[1:2] == ["Its recent events:"]
    assert story == ["Admitted: starting", "Started: running", "Began: running"]
    call = stub.calls()[session[1].id]
    assert [process.start_time(pid) for pid in (call["pid"], *call["children"])] == [None, None]
    journal = [
        json.loads(line) for line in (session.path / "journal.jsonl").read_bytes().splitlines()
    ]
    ends = [line["task_id"] for line in journal if line["event"] == "ended"]
    assert sorted(ends) == sorted(task.id for task in session), "each end is recorded once"


def test_a_runner_that_cannot_continue_ends_all_and_says_so(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path, token: str
) -> None:
    lock = stub.folder / "lock-held"
    lock.touch()
    text = prompts("a", plan(say="I work", lock="held", spawn=["setsid", "nohup"]), "c")
    whole = stub_cpr.launch(text, "-j", "2").wait(LIMIT_S)
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        session, runner = run_again(whole, stub_cpr, tmp_path, _FATAL)
    assert runner.returncode == 1 and "RuntimeError: a bug" in runner.stderr.decode()
    assert processes.survivors(token) == {}
    assert (session.state, session.head["error"]) == ("error", "RuntimeError: a bug")
    assert [task.outcome for task in session] == ["failed", "failed", "skipped"]
    assert session[1].error == "the runner failed: RuntimeError: a bug"
    status = stub_cpr.good("status", str(session.path))
    assert "Status: error\n" in status and "Error: RuntimeError: a bug" in status
    listed = stub_cpr.good("list", "--results-dir", str(tmp_path))
    assert f"❌ {session.id[:8]} [error]" in listed
    watched = stub_cpr("watch", "--exit-code", str(session.path))
    assert watched.returncode == 1 and "RuntimeError: a bug" in watched.stdout
    with pytest.raises(cpr.TaskSkipped):
        session[2].result()
