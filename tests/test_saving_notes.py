"""What of a task's work is not saved, or stays in its worktree, is shown in every interface."""

from __future__ import annotations

import html
import json
import shutil
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

WHY = "git read-tree: fatal: not a <git> repository"


@pytest.fixture
def worktree(tmp_path: Path) -> Path:
    path = tmp_path / "project-worktrees" / "main-task-a"
    path.mkdir(parents=True)
    return path


@pytest.fixture(params=["harvest_error", "kept_because"])
def folder(work: Path, worktree: Path, request: pytest.FixtureRequest) -> Path:
    """A session with a task of that kind; its head has the counters that its runner writes."""
    state = {**ENDED, "branch": "main-task-a", "worktree": str(worktree), request.param: WHY}
    folder = write_session(work / "results", {"a": [b""]}, state=state)
    status = json.loads((folder / "status.json").read_bytes())
    status["n_unsaved" if request.param == "harvest_error" else "n_kept"] = 1
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def says(folder: Path) -> tuple[str, str]:
    """The words about the task, and those about its session."""
    session = cpr.Session(folder)
    short, task = session.id[:8], session[0].fields
    path = task["worktree"]
    if task.get("harvest_error"):
        return (
            f"work not yet saved (it is in {path}): {WHY}; cpr resume {short} saves it",
            f"the work of 1 task is not yet saved: cpr resume {short} saves it",
        )
    return (
        f"its worktree {path} stays: {WHY}; cpr clean {short} --task 1 removes it",
        f"1 worktree stays, with what git can't save: cpr status {short} names it",
    )


def test_the_command_shows_it(stub_cpr: Cpr, folder: Path) -> None:
    session_id = cpr.Session(folder).id
    of_task, of_session = says(folder)
    shown = stub_cpr.good("status", session_id)
    plain = shown.replace(stub_cpr.path, "cpr")
    assert of_task in plain and f"Warning: {of_session}" in plain
    assert ("completed (succeeded, work not yet saved)" in shown) == ("saves it" in of_task)
    assert f"[{of_task}]" in stub_cpr.good("results", session_id)
    row = json.loads(stub_cpr.good("status", "--json", session_id))
    task, fields = row["tasks"][0], cpr.Session(folder)[0].fields
    names = ("harvest_error", "kept_because")
    assert [task[name] for name in names] == [fields.get(name) for name in names]
    assert (task["note"], row["warnings"]) == (of_task, of_session)
    (answer,) = json.loads(stub_cpr.good("results", "--json", session_id))
    assert [answer[name] for name in names] == [fields.get(name) for name in names]
    figure = "1 not yet saved" if fields.get("harvest_error") else "1 worktree kept"
    assert f"⚠ {figure}" in stub_cpr.good("list")
    summary = stub_cpr.good("watch", session_id).replace(stub_cpr.path, "cpr")
    assert f"succeeded; {of_task}" in summary and f"⚠ {of_session}" in summary


def test_handles_and_tables_show_it(folder: Path) -> None:
    of_task, of_session = says(folder)
    session = cpr.Session(folder)
    assert (session[0].note, session.warnings) == (of_task, [of_session])
    table = session.tasks_df(full=True)
    assert list(table["note"]) == [of_task]
    for name in ("harvest_error", "kept_because"):
        assert list(table[name].dropna()) == [WHY] * (name in session[0].fields)
        assert table[name].dtype == table["error"].dtype


def test_a_notebook_shows_it(folder: Path) -> None:
    of_task, of_session = says(folder)
    model = SessionModel(str(folder))
    model.refresh()
    assert of_task[:80] in model.rows[0][Column.NOW]
    assert of_session in html.unescape(session_card(model))
    assert of_task[:80] in html.unescape(cpr.Session(folder)[0]._repr_html_())
    output = OutputFollower(read_session(str(folder)), 0, model.short)
    (info,) = [m["info"] for m in output.poll(read_session(str(folder))) if "info" in m]
    assert info["note"] == of_task


def test_a_worktree_that_is_gone_no_longer_stays(
    stub_cpr: Cpr, folder: Path, worktree: Path
) -> None:
    shutil.rmtree(worktree)
    session = cpr.Session(folder)
    is_kept = "kept_because" in session[0].fields
    assert (session.warnings == []) == is_kept and (session[0].note == "") == is_kept
    assert "worktree kept" not in stub_cpr.good("list")
