"""The runner's process: the standard library only, little memory, no descriptors of others."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.executors.base import RunnerInput
from cpr_nb.runner import __file__ as runner_file

PACKAGE = Path(runner_file).parents[1]
UNWANTED = {"asyncio", "dataclasses", "pathlib", "typing", "logging", "socket", "uuid", "tempfile"}

# What the runner's own __main__ does, up to a session that has ended.
_RUN = """
import json, os, sys
sys.path.append(sys.argv[1])
from cpr_nb.runner import bootstrap
from cpr_nb.runner.opening import OpenSession
lock_fd = os.open(sys.argv[2] + "/runner.lock", os.O_RDWR | os.O_CREAT)
bootstrap.build(OpenSession(sys.argv[2], lock_fd, sys.stdin.buffer.read())).run()
known = sys.stdlib_module_names
print(json.dumps(sorted(
    name for name in sys.modules if name.partition(".")[0] not in known and name != "__main__"
)))
print(json.dumps(sorted(sys.modules)))
"""


def test_a_whole_session_needs_the_standard_library_only(stub_cpr: Cpr, tmp_path: Path) -> None:
    text = prompts("a", plan(result=None, exit=1, stderr="no"), plan(result={"is_error": True}))
    done = stub_cpr.launch(text).wait(LIMIT_S)
    again = tmp_path / f"session-{done.id}"
    again.mkdir()
    session_json = (done.path / "session.json").read_bytes()
    (again / "session.json").write_bytes(session_json)
    sha256 = hashlib.sha256(session_json).hexdigest()
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-X", "utf8", "-c", _RUN, str(PACKAGE.parent), str(again)],
        env=stub_cpr.env,
        input=RunnerInput({}, sha256, "", "", f"{again}/requests", "").as_json(),
        capture_output=True,
        check=True,
        timeout=LIMIT_S,
    )
    strangers, modules = (json.loads(line) for line in told.stdout.splitlines())
    assert {name for name in strangers if name.partition(".")[0] != "cpr_nb"} == set()
    assert not set(modules) & UNWANTED
    status = json.loads((again / "status.json").read_text())
    assert (status["overall_status"], status["n_succeeded"], status["n_failed"]) == (
        "completed",
        1,
        2,
    )


def test_a_runner_is_isolated_and_holds_only_its_own(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    launcher = stub_cpr.start(
        "run",
        "--json",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(write_fd,),
    )
    os.close(write_fd)
    out, _ = launcher.communicate(prompts(plan(here="held", gate="held")).encode(), LIMIT_S)
    # Nobody holds the other end any more: not the runner, not the agent.
    stub.await_here("held")
    assert os.read(read_fd, 1) == b""
    os.close(read_fd)
    root = Path(json.loads(out)["path"])
    pid = json.loads((root / "runner.json").read_text())["pid"]
    argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert argv[1:5] == [b"-I", b"-S", b"-X", b"utf8"]
    agent = stub.calls()[next(iter(stub.calls()))]["pid"]
    opened = {fd.readlink() for fd in Path(f"/proc/{agent}/fd").iterdir()}
    names = {root / name for name in ("runner.lock", "journal.jsonl", "session.json")}
    assert not opened & names, "an agent holds what is the runner's"
    stub.release("held")
    cpr.Session(root).wait(LIMIT_S)


def test_a_runner_ignores_the_hangup_and_its_agents_do_not(stub_cpr: Cpr, stub: Stub) -> None:
    stub.fifos("held")
    session = stub_cpr.launch(prompts(plan(here="held", gate="held")))
    stub.await_here("held")
    pid = json.loads((session.path / "runner.json").read_text())["pid"]
    os.kill(pid, signal.SIGHUP)
    (call,) = stub.calls().values()
    ignored = [
        line
        for line in Path(f"/proc/{call['pid']}/status").read_text().splitlines()
        if line.startswith("SigIgn")
    ]
    mask = int(ignored[0].split()[1], 16)
    for number in (signal.SIGHUP, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        assert not mask & (1 << (number - 1)), f"{number} is ignored in the agent"
    stub.release("held")
    assert session.wait(LIMIT_S)[0].ok
