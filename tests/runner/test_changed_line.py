"""A runner runs what was launched: a task whose line in session.json has changed is refused."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr

LINE = "its line in session.json is not what was launched"
WARNING = "session.json was changed while the session ran"


def change(session: cpr.Session, old: str, new: str) -> None:
    """Changes session.json in place, as whoever can write it may: the runner's file has it too."""
    assert len(old) == len(new)
    path = session.path / "session.json"
    data = path.read_bytes()
    assert data.count(old.encode()) == 1
    with path.open("r+b") as file:
        file.write(data.replace(old.encode(), new.encode()))


def card(task: cpr.Task) -> str:
    """What a notebook shows of a task."""
    return html.unescape(task._repr_html_())


def held(stub: Stub, **more: object) -> dict[str, object]:
    stub.fifos("held")
    return {"id": "held", "prompt": plan(here="held", gate="held", **more)}


def launch(stub_cpr: Cpr, stub: Stub, *tasks: object, options: tuple[str, ...] = ()) -> cpr.Session:
    session = stub_cpr.launch(prompts(*tasks), "-j1", *options)
    stub.await_here("held")
    session.wait_until(lambda: session[0].state == "running", LIMIT_S, "the first task")
    return session


def test_a_pending_task_whose_line_was_changed_never_runs(stub_cpr: Cpr, stub: Stub) -> None:
    two = {"id": "two", "prompt": "say two", "permissions": "read"}
    session = launch(stub_cpr, stub, held(stub), two, {"id": "three", "prompt": "three"})
    change(session, "say two", "do evil")
    change(session, '"permissions":"read"', '"permissions": "all"')
    stub.release("held")
    session.wait(LIMIT_S)
    assert set(stub.calls()) == {"held", "three"}
    assert [(task.outcome, task.reason) for task in session] == [
        ("succeeded", "completed"),
        ("failed", "changed"),
        ("succeeded", "completed"),
    ]
    assert session[1].error == f"not run: {LINE}"
    assert [WARNING in warning for warning in session.warnings] == [True]
    with pytest.raises(cpr.TaskFailed, match=LINE):
        session[1].result()


def test_every_interface_says_so(stub_cpr: Cpr, stub: Stub) -> None:
    session = launch(stub_cpr, stub, held(stub), {"id": "two", "prompt": "say two"})
    change(session, "say two", "do evil")
    stub.release("held")
    session.wait(LIMIT_S)
    words = f"changed: not run: {LINE}"
    assert LINE in stub_cpr("watch", session.id).stdout
    status = stub_cpr.good("status", session.id)
    assert "Task 2 (ID: two): completed (failed: changed)" in status and WARNING in status
    assert LINE in stub_cpr.good("results", session.id)
    (row,) = [row for row in session.tasks_df().to_dict("records") if row["task_id"] == "two"]
    assert (row["outcome"], row["reason"]) == ("failed", "changed") and LINE in row["result"]
    (listed,) = json.loads(stub_cpr.good("list", "--json"))
    assert listed["n_failed"] == 1
    assert words in card(session[1])
    retry = stub_cpr("retry", session.id)
    assert retry.returncode == 2 and "changed after the launch" in retry.stderr


def test_another_attempt_is_not_made(stub_cpr: Cpr, stub: Stub) -> None:
    session = launch(stub_cpr, stub, held(stub, say="a first try", signal=9))
    change(session, "a first try", "another one")
    stub.release("held")
    session.wait(LIMIT_S)
    assert (session[0].outcome, session[0].reason) == ("failed", "changed")
    assert len(list((stub.folder / "calls").iterdir())) == 1


def test_its_check_is_not_run(stub_cpr: Cpr, stub: Stub, work: Path) -> None:
    check = {"check": "touch good.txt"}
    session = launch(stub_cpr, stub, {**held(stub), **check})
    change(session, "touch good.txt", "touch evil.txt")
    stub.release("held")
    session.wait(LIMIT_S)
    assert (session[0].outcome, session[0].reason) == ("failed", "changed")
    assert session[0].error == f"its check was not run: {LINE}"
    assert session[0].text.startswith("done\n"), "its answer is not lost"
    assert list(work.glob("*.txt")) == []


@pytest.fixture
def repo(work: Path) -> Checkout:
    work.rmdir()
    checkout = Checkout.new(work)
    checkout.write({".gitignore": "results/\n"})
    checkout.commit("first")
    return checkout


def test_its_worktree_is_neither_made_nor_harvested(
    repo: Checkout, stub_cpr: Cpr, stub: Stub, tmp_path: Path
) -> None:
    two = {"id": "two", "prompt": "say two", "setup": f"touch {tmp_path}/good"}
    first = held(stub, say="a first try", write={"a.txt": "work"})
    session = launch(stub_cpr, stub, first, two, options=("--worktree",))
    change(session, "a first try", "another one")
    change(session, f"touch {tmp_path}/good", f"touch {tmp_path}/evil")
    stub.release("held")
    session.wait(LIMIT_S)
    assert [(task.outcome, task.reason) for task in session] == [
        ("succeeded", "completed"),
        ("failed", "changed"),
    ]
    assert not (tmp_path / "evil").exists() and set(stub.calls()) == {"held"}
    worktree = Path(str(session[0].fields["worktree"]))
    assert (worktree / "a.txt").read_text() == "work", "what cannot be saved stays"
    assert session[0].fields["harvest_error"] == f"its worktree was left as it is: {LINE}"
    for shown in (
        stub_cpr.good("status", session.id),
        stub_cpr("watch", session.id).stdout,
        card(session[0]),
    ):
        assert f"its worktree was left as it is: {worktree}" in shown
    assert "two" not in repo.git("worktree", "list")
