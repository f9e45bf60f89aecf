"""The check of a sandboxed task runs in bubblewrap: it can do no more than the agent could."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub

import cpr_nb as cpr

pytestmark = pytest.mark.skipif(
    not (shutil.which("bwrap") and shutil.which("socat")),
    reason="the sandbox needs bubblewrap and socat, which are not installed here",
)
SANDBOX = ("--permissions", "sandbox", "--attempts", "1")
NOT_MADE = (".git", ".claude", ".mcp.json")
NOT_WRITTEN = (".git/x", ".claude/x", ".mcp.json", "results/x", "state/x", "../outside")


def checked(stub_cpr: Cpr, check: str, *options: str) -> cpr.Session:
    text = prompts({"id": "one", "prompt": "a"})
    return stub_cpr.launch(text, *SANDBOX, "--check", check, *options).wait(LIMIT_S)


def lines(session: cpr.Session) -> list[str]:
    return (session.path / "task-one.check.log").read_text().splitlines()


@pytest.mark.parametrize("has_files", [True, False])
def test_it_writes_in_its_folder_only(stub_cpr: Cpr, has_files: bool) -> None:
    work = stub_cpr.cwd
    if has_files:
        for folder in NOT_MADE[:2]:
            (work / folder).mkdir()
            (work / folder / "there").touch()
        (work / ".mcp.json").write_text("{}")
    stub_cpr.env["CPR_STATE_DIR"] = str(work / "state")
    writes = "; ".join(f"echo x >> {name}" for name in NOT_WRITTEN)
    session = checked(stub_cpr, f"{writes}; echo x > fine && ls -A state && exit 3")
    assert session[0].error and "exit 3" in session[0].error
    assert "key" not in lines(session) and (work / "state" / "key").exists()
    made = {"fine", "results", "state", *(NOT_MADE if has_files else ())}
    assert {path.name for path in work.iterdir()} == made
    assert not [name for name in NOT_WRITTEN if (work / name).exists() and name != ".mcp.json"]
    assert not has_files or (work / ".mcp.json").read_text() == "{}"


def test_it_has_no_network_and_no_unix_sockets(stub_cpr: Cpr) -> None:
    connect = "import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
    unix = "import socket; socket.socket(socket.AF_UNIX)"
    pair = "import socket; socket.socketpair()"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        check = f'for code in "{connect.format(port=port)}" "{unix}" "{pair}"; do {sys.executable}'
        session = checked(stub_cpr, f'{check} -c "$code" 2>/dev/null; echo $?; done')
    assert lines(session) == ["1", "1", "0"]


def test_what_tests_need_is_there(stub_cpr: Cpr) -> None:
    (stub_cpr.cwd / "test_it.py").write_text(
        "import multiprocessing, pathlib, subprocess, tempfile\n"
        "def test_it(tmp_path):\n"
        "    (tmp_path / 'a').write_text('a')\n"
        "    tempfile.NamedTemporaryFile().write(b'a')\n"
        "    pathlib.Path('/tmp/a').write_text('a')\n"
        "    assert multiprocessing.Pool(2).map(abs, [-1, -2]) == [1, 2]\n"
        "    assert subprocess.check_output(['git', '--version'])\n"
    )
    session = checked(stub_cpr, f"{sys.executable} -m pytest -q test_it.py")
    assert session[0].ok, lines(session)
    assert not Path("/tmp/a").exists()


def test_it_ends_with_its_whole_tree(stub_cpr: Cpr, stub: Stub, token: str) -> None:
    check = "mkfifo never; setsid sh -c 'read x < never' & read x < never"
    session = checked(stub_cpr, check, "--check-timeout-s", "1")
    assert session[0].error == "the check took longer than 1 s"
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}
    assert sorted(path.name for path in stub_cpr.cwd.iterdir()) == ["never", "results"]


def test_what_it_leaves_running_ends_with_it(stub_cpr: Cpr, token: str) -> None:
    session = checked(stub_cpr, "mkfifo never; setsid sh -c 'read x < never' & exit 0")
    assert session[0].ok
    processes.await_lock(session.path / "runner.lock")
    assert processes.survivors(token) == {}


def test_its_task_can_be_cancelled(stub_cpr: Cpr, stub: Stub) -> None:
    text = prompts({"id": "one", "prompt": "a"})
    check = "mkfifo never; echo here > here; read x < never"
    os.mkfifo(stub_cpr.cwd / "here")
    session = stub_cpr.launch(text, *SANDBOX, "--check", check)
    with (stub_cpr.cwd / "here").open() as file:
        assert file.read() == "here\n"
    stub_cpr.good("cancel", session.id, "--task", "one")
    assert session.wait(LIMIT_S)[0].outcome == "cancelled"


@pytest.mark.parametrize("option", ["--check", "--setup"])
def test_a_machine_that_cannot_do_it_is_refused_before_the_launch(
    stub_cpr: Cpr, tmp_path: Path, option: str
) -> None:
    (tmp_path / "bin").mkdir()
    bwrap = tmp_path / "bin" / "bwrap"
    bwrap.write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n")
    bwrap.chmod(0o755)
    stub_cpr.env["PATH"] = f"{tmp_path / 'bin'}:{stub_cpr.env['PATH']}"
    done = stub_cpr("run", *SANDBOX, option, "true", stdin=prompts("a"))
    assert done.returncode == 2
    assert "here that can't be: bwrap: no permissions" in done.stderr
    assert not (stub_cpr.cwd / "results").exists()
    assert stub_cpr("run", *SANDBOX, "--dry-run", stdin=prompts("a")).returncode == 0
