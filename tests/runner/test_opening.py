"""What a launch waits for: its runner has opened the session, and loads the rest later."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.executors.base import RunnerInput
from cpr_nb.executors.local import LocalExecutor
from cpr_nb.runner import __file__ as runner_file
from cpr_nb.store.create import NewSession
from cpr_nb.views.notice import notice

PACKAGES = Path(runner_file).parents[2]
#: Each of these takes a good part of the time that Python itself needs to start.
HEAVY = {"collections", "enum", "functools", "json", "pathlib", "re", "signal", "typing"}
_IMPORT = """
import sys
sys.path.append(sys.argv[1])
import cpr_nb.runner.opening
print(*sys.modules)
"""
# The runner's own start; it can't load what it needs for its tasks.
_BROKEN = """
import os, sys
sys.path.append(sys.argv[1])
sys.modules["cpr_nb.runner.bootstrap"] = None
from cpr_nb.runner.__main__ import main
lock_fd = os.open(sys.argv[2] + "/runner.lock", os.O_RDWR | os.O_CREAT)
main([sys.argv[2], str(lock_fd), str(os.dup(1))])
"""


def python(code: str, *arguments: object, **more: object) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, *map(str, arguments)]
    return subprocess.run(argv, capture_output=True, timeout=LIMIT_S, **more)  # type: ignore[call-overload, no-any-return]


def test_what_a_launch_waits_for_loads_nothing_heavy() -> None:
    modules = python(_IMPORT, PACKAGES).stdout.decode().split()
    assert "cpr_nb.runner.recorder" in modules
    assert not HEAVY & set(modules)


def test_a_launch_that_gives_up_leaves_neither_a_folder_nor_a_runner(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), NewSession(str(tmp_path), "s-1") as new:
        runner = LocalExecutor().begin(new.paths.root, new.log, new.lock_fd, dict(os.environ))
        with runner.ended_on_error():
            raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == []
    end = time.monotonic() + LIMIT_S
    while any(new.paths.root.encode() in argv for argv in map(arguments, processes())):
        assert time.monotonic() < end, "its runner still waits"


def processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def arguments(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_runner_that_fails_once_it_is_up_says_why_and_can_be_resumed(
    stub_cpr: Cpr, tmp_path: Path
) -> None:
    done = stub_cpr.launch(prompts(plan(say="hello"))).wait(LIMIT_S)
    root = tmp_path / f"session-{done.id}"
    root.mkdir()
    session_json = (done.path / "session.json").read_bytes()
    (root / "session.json").write_bytes(session_json)
    sha256 = hashlib.sha256(session_json).hexdigest()
    given = RunnerInput({}, sha256, "", "", f"{root}/requests", "").as_json() + b"\n"
    broken = python(_BROKEN, PACKAGES, root, input=given)
    assert broken.stdout.startswith(b"ok ")
    assert b"cpr_nb.runner.bootstrap" in broken.stderr
    session = cpr.Session(root)
    assert session.state == "interrupted"
    assert "its runner failed at its start: ModuleNotFoundError" in notice(session.snapshot)
    assert json.loads((root / "status.json").read_bytes())["tasks"][0]["status"] == "pending"
