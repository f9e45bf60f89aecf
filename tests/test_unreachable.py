"""A session whose runner may live on another machine: every face says so, and nothing runs twice.

Its folder is on this machine; its runner.json says that its runner sees it over a network, from a
machine with another boot.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.display.dashboard import SessionList
from cpr_nb.display.session_model import SessionModel
from cpr_nb.store.claims import SILENCE_S
from cpr_nb.views.notice import notice

ELSEWHERE = {"host": "node7", "boot_id": "another", "file_system": "nfs4"}


@pytest.fixture
def elsewhere(stub_cpr: Cpr, stub: Stub, token: str) -> Iterator[cpr.Session]:
    """An ended, a running and a pending task; the lock of their runner can't be seen."""
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(here="held", gate="held")}
    text = prompts({"id": "good", "prompt": "a"}, held, {"id": "left", "prompt": "c"})
    session = stub_cpr.launch(text, "-j1")
    stub.await_here("held")
    session.wait_until(lambda: session[1].state == "running", LIMIT_S, "the second task")
    file = session.path / "runner.json"
    runner = json.loads(file.read_text())
    os.kill(runner["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    file.write_text(json.dumps({**runner, **ELSEWHERE}))
    yield session
    for pid in processes.survivors(token):
        processes.end(pid)


def make_silent(session: cpr.Session) -> None:
    for path in session.path.iterdir():
        at = path.stat().st_mtime - SILENCE_S - 1
        os.utime(path, (at, at))


def test_the_command_shows_it(stub_cpr: Cpr, elsewhere: cpr.Session) -> None:
    short = elsewhere.id[:8]
    (row,) = json.loads(stub_cpr.good("list", "--json"))
    assert (row["state"], row["n_succeeded"], row["n_running"]) == ("unreachable", 1, 1)
    assert f"❓ {short} [unreachable]" in stub_cpr.good("--list")
    overview = stub_cpr.good("overview")
    assert "Unreachable: 1\n" in overview and "Running: 0\n" in overview
    status = stub_cpr.good("status", elsewhere.id)
    assert "Status: unreachable\n" in status
    assert "unreachable: its runner on node7 can't be seen from here;" in status
    assert f"cpr resume {short} continues it here once nothing was written for 15 min" in status


def test_notebooks_and_tables_show_it(elsewhere: cpr.Session) -> None:
    assert elsewhere.state == "unreachable"
    assert "unreachable" in repr(elsewhere)
    assert not elsewhere.done()
    frame = cpr.sessions_df(str(elsewhere.path.parent))
    assert list(frame["state"]) == ["unreachable"]
    model = SessionModel(str(elsewhere.path))
    model.refresh()
    assert not model.has_ended
    assert set(model.commands()) == {"resume", "cancel"}
    sessions = SessionList(str(elsewhere.path.parent))
    sessions.refresh()
    assert "unreachable" in json.dumps(sessions.rows)


def test_when_it_was_silent_for_a_while_the_notice_says_since_when(elsewhere: cpr.Session) -> None:
    assert "last sign" not in notice(elsewhere.refresh().snapshot)
    make_silent(elsewhere)
    assert "from here, last sign of life" in notice(elsewhere.refresh().snapshot)


def test_a_wait_goes_on(elsewhere: cpr.Session) -> None:
    with pytest.raises(cpr.WaitTimeout):
        elsewhere.wait(0)


def test_it_is_not_resumed_while_something_is_written(
    stub_cpr: Cpr, elsewhere: cpr.Session
) -> None:
    for args in (["resume", elsewhere.id], ["resume", "--all"]):
        done = stub_cpr(*args)
        assert done.returncode in (1, 2)
        said = done.stdout + done.stderr
        assert "it is unreachable: its runner on node7 can't be seen from here" in said
        assert "--force" in said
    assert not list(elsewhere.path.glob("owner.*"))


def test_it_is_resumed_after_a_silence(stub_cpr: Cpr, stub: Stub, elsewhere: cpr.Session) -> None:
    make_silent(elsewhere)
    assert ": resumed, 2 of 3 tasks left" in stub_cpr.good("resume", elsewhere.id)
    assert elsewhere.state == "running"
    assert [path.name for path in elsewhere.path.glob("owner.*")] == ["owner.1"]
    stub.release("held")
    elsewhere.wait(LIMIT_S)
    assert [(task.outcome, task.attempts) for task in elsewhere] == [("succeeded", 1)] * 3


def test_force_says_what_it_risks(stub_cpr: Cpr, stub: Stub, elsewhere: cpr.Session) -> None:
    done = stub_cpr("resume", elsewhere.id, "--force")
    assert done.returncode == 0, done.stderr
    assert "if the runner on node7 still lives, its tasks run twice until" in done.stderr
    stub.release("held")
    elsewhere.wait(LIMIT_S)
    again = stub_cpr("resume", elsewhere.id, "--force")
    assert again.returncode == 2 and "it is completed" in again.stderr
    assert "run twice" not in again.stderr


def test_a_cancel_is_left_for_whoever_can_carry_it_out(
    stub_cpr: Cpr, elsewhere: cpr.Session
) -> None:
    told = stub_cpr.good("cancel", elsewhere.id)
    assert "cancellation requested, for a runner that can't be seen from here" in told
    make_silent(elsewhere)
    stub_cpr.good("resume", elsewhere.id)
    elsewhere.wait(LIMIT_S)
    assert [task.outcome for task in elsewhere] == ["succeeded", "cancelled", "cancelled"]


def test_its_worktrees_are_in_use(elsewhere: cpr.Session) -> None:
    from cpr_nb.worktrees.records import is_live

    assert is_live(str(elsewhere.path))
