"""A note beside a task's outcome is shown in every interface."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from testkit.command import Cpr
from testkit.session_folders import ENDED, write_session

import cpr_nb as cpr
from cpr_nb.display.cards import session_card
from cpr_nb.display.output import OutputFollower
from cpr_nb.display.row_deltas import Column
from cpr_nb.display.session_model import SessionModel
from cpr_nb.store.read import read_session

NOTE = "ended 900 s after its answer; a background command still ran: npm run <dev>"
FAILED = {**ENDED, "success": 0, "outcome": "failed", "reason": "check_failed", "error": "exit 1"}


@pytest.fixture(params=["succeeded", "failed"])
def folder(work: Path, request: pytest.FixtureRequest) -> Path:
    """A session of one task with an answer and a note."""
    state = ENDED if request.param == "succeeded" else FAILED
    folder = write_session(work / "results", {"a": [b""]}, state={**state, "note": NOTE})
    (folder / "task-a.txt").write_text("All is done.\n")
    return folder


def test_the_command_shows_a_note(stub_cpr: Cpr, folder: Path) -> None:
    session_id = cpr.Session(folder).id
    assert NOTE in stub_cpr.good("status", session_id)
    assert f"[{NOTE}]" in stub_cpr.good("results", session_id)
    assert json.loads(stub_cpr.good("results", "--json", session_id))[0]["note"] == NOTE
    assert json.loads(stub_cpr.good("status", "--json", session_id))["tasks"][0]["note"] == NOTE
    assert NOTE in stub_cpr.good("watch", session_id)
    with stub_cpr.on_terminal("watch", session_id, columns=200) as terminal:
        terminal.finish()
        assert "ended 900 s after its answer" in terminal.last_frame


def test_handles_and_tables_have_a_note(folder: Path) -> None:
    session = cpr.Session(folder)
    assert session[0].note == NOTE
    table = session.tasks_df(full=True)
    assert (list(table["note"]), table["note"].dtype) == ([NOTE], table["error"].dtype)


def test_a_notebook_shows_a_note(folder: Path) -> None:
    model = SessionModel(str(folder))
    model.refresh()
    now = model.rows[0][Column.NOW]
    answer = "exit 1" if "failed" in str(model.rows[0]) else "All is done."
    assert now.startswith(NOTE) and now.endswith(answer)
    assert NOTE in html.unescape(session_card(model))
    assert NOTE in html.unescape(cpr.Session(folder)[0]._repr_html_())
    output = OutputFollower(read_session(str(folder)), 0, "3f2a")
    (info,) = [m["info"] for m in output.poll(read_session(str(folder))) if "info" in m]
    assert info["note"] == NOTE


def test_without_a_note_nothing_is_shown(stub_cpr: Cpr, work: Path) -> None:
    session = cpr.Session(write_session(work / "results", {"a": [b""]}))
    assert session[0].note == "" and session.tasks_df(full=True)["note"].isna().all()
    assert json.loads(stub_cpr.good("results", "--json", session.id))[0]["note"] is None
    assert stub_cpr.good("results", session.id).count("[") == 0
