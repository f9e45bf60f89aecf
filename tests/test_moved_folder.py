"""A results directory that is renamed while its session runs."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.launching.machine import runner_folders


@pytest.fixture
def moved(stub_cpr: Cpr, stub: Stub, token: str) -> Iterator[tuple[cpr.Session, Path]]:
    """A session with a running and a pending task, and the folder to which it was moved."""
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(here="held", gate="held")}
    session = stub_cpr.launch(prompts(held, {"id": "next", "prompt": "b"}), "-j1")
    stub.await_here("held")
    folder = session.path.parent.rename(session.path.parent.with_name("renamed"))
    yield session, folder
    if folder.joinpath(session.path.name).exists():
        processes.await_lock(folder / session.path.name / "runner.lock")
    for pid in processes.survivors(token):
        processes.end(pid)


def test_it_is_shown_where_it_is_and_ends_there(
    stub_cpr: Cpr, stub: Stub, moved: tuple[cpr.Session, Path]
) -> None:
    session, folder = moved
    (row,) = json.loads(stub_cpr.good("list", "--json", "--results-dir", str(folder)))
    assert row["state"] == "running"
    assert str(folder / session.path.name) in runner_folders()
    stub.release("held")
    again = cpr.Session(folder / session.path.name).wait(LIMIT_S)
    assert [(task.outcome, task.attempts, task.text) for task in again] == [
        ("succeeded", 1, "done")
    ] * 2
    assert not session.path.parent.exists()
    assert f"{folder}/**" in str(stub.calls()["next"]["argv"]), "it is kept off the new folder"


def test_it_can_be_cancelled_there(stub_cpr: Cpr, moved: tuple[cpr.Session, Path]) -> None:
    session, folder = moved
    stub_cpr.good("cancel", session.id, "--results-dir", str(folder))
    again = cpr.Session(folder / session.path.name).wait(LIMIT_S)
    assert [task.outcome for task in again] == ["cancelled", "cancelled"]


def test_who_waits_at_the_old_place_learns_that_it_is_gone(
    stub_cpr: Cpr, moved: tuple[cpr.Session, Path]
) -> None:
    session, folder = moved
    with pytest.raises(cpr.SessionInterrupted, match="its folder is gone") as error:
        session.wait(LIMIT_S)
    assert str(session.path) in str(error.value)
    stub_cpr.good("cancel", session.id, "--results-dir", str(folder))


def test_a_removed_folder_ends_its_agents(moved: tuple[cpr.Session, Path], token: str) -> None:
    session, folder = moved
    root = folder / session.path.name
    runner = json.loads((root / "runner.json").read_text())["pid"]
    pidfd = os.pidfd_open(runner)
    root.rename(root.with_name("removed"))
    for path in root.with_name("removed").iterdir():
        path.unlink()
    root.with_name("removed").rmdir()
    try:
        assert select.select([pidfd], [], [], LIMIT_S)[0], "the runner did not leave"
    finally:
        os.close(pidfd)
    assert not processes.survivors(token)
