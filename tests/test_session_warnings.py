"""What a runner warned of, in every interface."""

from __future__ import annotations

from pathlib import Path

import pytest
from testkit.command import Cpr
from testkit.session_folders import RUNNING, write_session

import cpr_nb as cpr
from cpr_nb.display.dashboard import SessionList

WARNINGS = ["the first\x1b[31m cause", "the second cause"]
LINES = ["the first\\x1b[31m cause", "the second cause"]


@pytest.fixture
def warned(work: Path) -> cpr.Session:
    """An ended session with two warnings."""
    return cpr.Session(write_session(work / "results", {"a": [b""]}, warnings=WARNINGS))


def test_the_command_shows_warnings(stub_cpr: Cpr, warned: cpr.Session) -> None:
    status = stub_cpr.good("status", warned.id).splitlines()
    assert [line for line in status if line.startswith("Warning: ")] == [
        f"Warning: {line}" for line in LINES
    ]
    assert "⚠ 2 warnings" in stub_cpr.good("list")
    watched = stub_cpr.good("watch", warned.id).splitlines()
    assert [line for line in watched if "cause" in line] == [f"  ⚠ {line}" for line in LINES]
    with stub_cpr.on_terminal("watch", warned.id) as terminal:
        assert terminal.finish() == 0
        assert [terminal.text.count(line) for line in LINES] == [1, 1]


def test_a_live_session_shows_its_warnings_while_it_runs(stub_cpr: Cpr, work: Path) -> None:
    folder = write_session(work / "results", {"a": [b""]}, state=RUNNING, warnings=WARNINGS)
    (folder / "runner.lock").touch()
    import fcntl

    with (folder / "runner.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with stub_cpr.on_terminal("watch", cpr.Session(folder).id) as terminal:
            for line in LINES:
                terminal.read_until(f"▌ {line}")
            terminal.press_ctrl_c()
            terminal.finish()


def test_the_library_has_warnings(warned: cpr.Session, work: Path) -> None:
    assert warned.warnings == LINES
    frame = cpr.sessions_df(results_dir=work / "results", full=True)
    assert frame["warnings"].tolist() == ["; ".join(LINES)]
    sessions = SessionList(str(work / "results"))
    sessions.refresh()
    assert "⚠ 2 warnings" in sessions.rows[0][4]
    quiet = cpr.Session(write_session(work / "results", {"a": [b""]}, number=2, warnings="odd"))
    assert quiet.warnings == []
