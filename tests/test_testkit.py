"""The checks of what a test leaves behind, and that the real CLI was there; `tests/check.py`."""

from __future__ import annotations

import os
import runpy
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.relay import Relay

ROOT = Path(__file__).parents[1]


def test_what_a_test_leaves_behind_is_found_and_ended(token: str) -> None:
    before = processes.Footprint()
    assert before.left_since(token) == []
    # A child of ours, and one that has left us and all that could tell of us but the variable.
    forked = "import os, sys; os.fork() and os._exit(0); os.setsid(); sys.stdin.read()"
    read_fd, write_fd = os.pipe()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=read_fd)
    subprocess.run([sys.executable, "-c", forked], stdin=read_fd, check=True)
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left-over")
    thread.start()
    left = before.left_since(token)
    child.wait()
    end.set()
    thread.join()
    for fd in (read_fd, write_fd):
        os.close(fd)
    assert sum(word.startswith("process ") for word in left) == 2
    assert any(forked in word for word in left)
    assert "thread left-over" in left
    assert sum(word.startswith("descriptor ") for word in left) == 2
    assert before.left_since(token) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CPR_REQUIRE_CLI", "no test ran the real CLI"),
        ("CPR_REQUIRE_BROWSER", "no test drove a browser"),
    ],
)
def test_a_run_that_requires_something_fails_without_it(
    tmp_path: Path, name: str, message: str
) -> None:
    def run(**env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, "tests/test_import.py", "-k", "attribute_error"],
            cwd=ROOT,
            env={"PATH": os.defpath, "HOME": str(tmp_path), **env},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run().returncode == 0
    required = run(**{name: "1"})
    assert required.returncode == 1
    assert f"{name}=1, but {message}" in required.stdout


@pytest.mark.parametrize(("options", "is_whole"), [([], False), (["--all"], True)])
def test_a_quick_check_leaves_out_the_slow_tests_and_what_only_they_can_meet(
    monkeypatch: pytest.MonkeyPatch, options: list[str], is_whole: bool
) -> None:
    monkeypatch.setenv("CPR_REQUIRE_BROWSER", "1")
    runs: list[tuple[list[str], dict[str, str] | None]] = []

    def run(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[bytes]:
        runs.append((command, kwargs["env"]))
        return subprocess.CompletedProcess(command, 0)

    main = runpy.run_path(str(ROOT / "tests" / "check.py"))["main"]
    monkeypatch.setattr(subprocess, "run", run)
    assert main([*options, "-k", "words"]) == 0
    command, environ = runs[-1]
    assert command[-2:] == ["-k", "words"]
    assert ("not slow" in command) is not is_whole
    requirements = os.environ if environ is None else environ
    assert ("CPR_REQUIRE_BROWSER" in requirements) is is_whole


def test_a_relay_keeps_what_passes_and_can_be_cut() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        Relay(server.getsockname()[1]) as relay,
        socket.create_connection(("127.0.0.1", relay.port)) as near,
    ):
        far, _ = server.accept()
        with far:
            near.sendall(b"there")
            assert far.recv(9) == b"there"
            far.sendall(b"back")
            assert near.recv(9) == b"back"
            relay.cut()
            near.sendall(b"later")
            far.setblocking(False)
            with pytest.raises(BlockingIOError):
                far.recv(9)
            relay.mend()
            far.setblocking(True)
            assert far.recv(9) == b"later"
            assert relay.seen == b"therebacklater"
