"""A session that a newer cpr wrote is read and shown; nothing here resumes or rewrites it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.store.key import own_key
from cpr_nb.store.seal import sealed


def from_the_future(session: cpr.Session, version: Any = 4) -> None:
    """Makes a session what a newer cpr would have written, sealed by the same user's key."""
    status = json.loads((session.path / "status.json").read_bytes())
    status |= {"schema_version": version, "news": {"of": ["a", "newer", "cpr"]}}
    (session.path / "status.json").write_text(json.dumps(status))
    head, _, rest = (session.path / "session.json").read_text().partition('"schema_version":1')
    assert rest, "session.json says its version, too"
    body = f'{head}"schema_version":{json.dumps(version)}{rest}'.rpartition('"seal"')[0]
    (session.path / "session.json").write_bytes(sealed(body.encode(), own_key()))


def all_files(session: cpr.Session) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in session.path.iterdir() if path.is_file()}


@pytest.fixture
def cut_off(stub_cpr: Cpr, stub: Stub, token: str) -> cpr.Session:
    """A session whose runner and agent were killed while one task ran and one waited."""
    stub.fifos("a")
    session = stub_cpr.launch(prompts({"id": "a", "prompt": plan(here="a", gate="a")}, "b"), "-j1")
    stub.await_here("a")
    for pid in processes.survivors(token):
        processes.end(pid)
    return session


REFUSED = (["resume"], ["resume", "--skipped"], ["cancel"], ["cancel", "--task", "a"], ["retry"])


@pytest.mark.parametrize("lost", ["", "status.json", "session.json"])
def test_an_interrupted_one_is_shown_and_not_resumed_or_rewritten(
    stub_cpr: Cpr, stub: Stub, cut_off: cpr.Session, lost: str
) -> None:
    session = cut_off
    from_the_future(session)
    if lost:
        (session.path / lost).unlink()
    else:
        told = stub_cpr.good("status", session.id)
        assert "a newer cpr continues it" in told and "cpr resume" not in told
        assert "interrupted" in stub_cpr.good("list")
        (row,) = json.loads(stub_cpr.good("list", "--json"))
        assert row["state"] == "interrupted"
    before = all_files(session)
    for words in REFUSED:
        done = stub_cpr(words[0], session.id, *words[1:])
        assert done.returncode == 2 and done.stderr.count("\n") == 1, (words, done.stderr)
        if words == ["resume"]:
            assert "a newer cpr wrote it (schema_version 4; this one knows 3)" in done.stderr
    assert all_files(session) == before
    assert sorted(stub.calls()) == ["a"]


@pytest.mark.parametrize("version", ["1", None, 1.5, True])
def test_a_version_that_nobody_knows_is_no_version_of_ours(
    stub_cpr: Cpr, cut_off: cpr.Session, version: Any
) -> None:
    from_the_future(cut_off, version)
    done = stub_cpr("resume", cut_off.id)
    assert done.returncode == 2 and "a newer cpr wrote it (schema_version" in done.stderr


def test_an_ended_one_is_shown_with_all_that_is_known(
    stub_cpr: Cpr, in_env: Callable[[dict[str, str]], None], work: Path
) -> None:
    session = stub_cpr.launch(prompts({"id": "a", "prompt": plan(result={"is_error": True})}))
    session.wait(LIMIT_S)
    from_the_future(session)
    before = all_files(session)
    told = stub_cpr.good("status", session.id)
    assert "a newer cpr wrote this session" in told and "completed" in told
    in_env(stub_cpr.env)
    assert cpr.sessions_df().to_dict("records")[0]["state"] == "completed"
    assert len(session.tasks_df()) == 1
    assert "Task 1" in stub_cpr.good("results", session.id)
    done = stub_cpr("retry", session.id)
    assert done.returncode == 2 and "schema_version 4" in done.stderr
    assert all_files(session) == before
    assert len(list((work / "results").glob("session-*"))) == 1
