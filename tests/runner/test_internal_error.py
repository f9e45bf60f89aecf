"""A bug of ours in the handling of one task costs that task only, in a real runner."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.executors.base import RunnerInput
from cpr_nb.runner import __file__ as runner_file
from cpr_nb.runner import process

PACKAGES = Path(runner_file).parents[2]
# A runner with a bug: once its agent is answered, task 1 (from 0) becomes pending again.
_RUN = """
import os, sys
sys.path.append(sys.argv[1])
from cpr_nb.runner import bootstrap
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.transitions import PENDING

class Broken(Schedule):
    def _responded(self, event):
        super()._responded(event)
        if event.task == 1:
            self._tasks.move(1, PENDING)

bootstrap.Schedule = Broken
bootstrap.prepare(sys.argv[2], os.open(sys.argv[2] + "/runner.lock", os.O_RDWR | os.O_CREAT)).run()
"""


def test_an_illegal_transition_fails_its_task_and_the_session_continues(
    stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    lock = stub.folder / "lock-held"
    lock.touch()
    text = prompts("a", plan(say="I work", lock="held", spawn=["setsid"]), "c")
    whole = stub_cpr.launch(text, "-j", "2").wait(LIMIT_S)
    assert [task.ok for task in whole] == [True] * 3
    root = tmp_path / f"session-{whole.id}"
    root.mkdir()
    session_json = (whole.path / "session.json").read_bytes()
    (root / "session.json").write_bytes(session_json)
    given = RunnerInput({}, hashlib.sha256(session_json).hexdigest(), "", f"{root}/requests", "")
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # its agent would never end
        runner = subprocess.run(
            [sys.executable, "-I", "-S", "-X", "utf8", "-c", _RUN, str(PACKAGES), str(root)],
            env=stub_cpr.env,
            input=json.dumps(given._asdict()).encode(),
            capture_output=True,
            check=True,
            timeout=LIMIT_S,
        )
    session = cpr.Session(root)
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
    assert story == ["Admitted: starting", "Started: running"]
    call = stub.calls()[session[1].id]
    assert [process.start_time(pid) for pid in (call["pid"], *call["children"])] == [None, None]
    journal = [json.loads(line) for line in (root / "journal.jsonl").read_bytes().splitlines()]
    ends = [line["task_id"] for line in journal if line["event"] == "ended"]
    assert sorted(ends) == sorted(task.id for task in session), "each end is recorded once"
