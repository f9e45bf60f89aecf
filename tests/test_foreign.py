"""Sessions that this user has not launched on this machine: readable, used once trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.model.record import first_head
from cpr_nb.runner.history import read_history
from cpr_nb.store.create import NewSession
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.seal import mark
from cpr_nb.views.lineage import newest_answers

FAILING = plan(result={"is_error": True, "subtype": "error_during_execution"})


@pytest.fixture(autouse=True)
def environment(stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]) -> None:
    in_env(stub_env)


@pytest.fixture
def state() -> Path:
    return Path(os.environ["HOME"], ".local", "state", "cpr")


@pytest.fixture
def foreign(stub_cpr: Cpr, state: Path) -> cpr.Session:
    """A session with a task that failed, of which the key is lost: as in a rebuilt container."""
    text = prompts({"id": "good", "prompt": "a"}, {"id": "bad", "prompt": FAILING})
    session = stub_cpr.launch(text, "--attempts", "1", "--name", "work", "--check", "true #1")
    session.wait(LIMIT_S)
    shutil.rmtree(state)
    return session


def make(
    results: Path,
    session_id: str,
    key: bytes | None,
    head: dict[str, Any] | None = None,
    **more: Any,
) -> Path:
    """A session that has ended, as a launch with this key would have made it."""
    spec: dict[str, Any] = {
        "session_id": session_id,
        "created_at": "2026-01-01T00:00:00.000Z",
        "start_time": 1767225600,
        "cwd": "/shop",
        "options": {},
        "max_parallel": 1,
        "claude_path": "/usr/bin/claude",
        "mark": mark(key, session_id) if key else None,
    } | more
    first = first_head(spec, 1) | {"overall_status": "completed", **(head or {})}
    tasks = [{"id": "a", "prompt": "first", "options": {}}]
    with NewSession(str(results), session_id) as new:
        new.complete(spec, tasks, first, key=key)
    return Path(new.paths.root)


# -- looking ----------------------------------------------------------------------------------


def test_it_is_shown_as_what_it_is_and_read_as_any_other(
    stub_cpr: Cpr, foreign: cpr.Session, work: Path
) -> None:
    short = foreign.id[:8]
    assert f"{short} [completed] (foreign) work" in stub_cpr.good("list")
    assert f"Foreign: not launched by you on this machine; to use it: cpr trust {short}" in (
        stub_cpr.good("status", "work")
    )
    assert "done" in stub_cpr.good("results", "work")
    for command in (["list", "--json"], ["status", "--json", short]):
        row = json.loads(stub_cpr.good(*command))
        assert (row[0] if isinstance(row, list) else row)["foreign"] is True
    assert cpr.sessions_df().foreign.tolist() == [True] == foreign.sessions_df().foreign.tolist()
    assert f"<Session {short} work completed, foreign: 2 tasks" in repr(foreign)
    assert "foreign" in foreign._repr_html_() and "foreign" in repr(cpr.dashboard())
    assert len(cpr.tasks_df()) == 2 and foreign[0].result() == "done"
    assert "1 foreign session of 1" in stub_cpr("doctor").stdout
    assert cpr.trust(work / "results", yes=True)
    assert cpr.sessions_df().foreign.tolist() == [False]
    assert "foreign" not in stub_cpr.good("list") + stub_cpr.good("status", short)
    assert "foreign" not in foreign._repr_html_() + repr(foreign) + stub_cpr("doctor").stdout


def test_what_nobody_can_tell_is_missing(work: Path) -> None:
    legacy = work / "results" / "session-1"
    legacy.mkdir(parents=True)
    head = {"session_id": "1", "overall_status": "completed", "start_time": 1, "tasks": []}
    (legacy / "status.json").write_text(json.dumps(head))
    make(work / "results", "s-1", own_key())
    make(work / "results", "s-2", bytes(32))
    found = cpr.sessions_df().set_index("session_id").foreign
    assert (found["s-1"], found["s-2"]) == (False, True) and found.isna()["1"]
    assert cpr.sessions_df(full=True).set_index("session_id").foreign.equals(found)


# -- trusting ---------------------------------------------------------------------------------


def test_what_would_run_is_shown_before_it_is_trusted(
    stub_cpr: Cpr, stub: Stub, foreign: cpr.Session, work: Path
) -> None:
    short, n_calls = foreign.id[:8], len(stub.calls())
    would = f"2 tasks: claude {stub} · permissions edits · check 'true #1' · in {work}\n"
    refused = stub_cpr("retry", "work")
    assert refused.returncode == 2 and refused.stderr == (
        f"cpr: can't retry {short}: it is foreign: this user, on this machine, has not launched it"
        " (there is no key on this machine to check its seal)\n"
        f"  It would run {would}"
        f"  cpr trust {short}   allows it, after you have looked"
        f"   (in Python: cpr.trust('{short}'))\n"
    )
    for act in (foreign.retry, foreign.merge, foreign.clean, lambda: foreign[0].follow_up("more")):
        with pytest.raises(cpr.ForeignSession, match="It would run 2 tasks"):
            act()
    asked = stub_cpr("trust", short)
    assert asked.returncode == 2 and "--yes" in asked.stderr and would in asked.stdout
    with pytest.raises(cpr.InputError, match="nobody can answer here"):
        cpr.trust(short)
    assert would in stub_cpr.good("trust", short, "--yes")
    assert len(stub.calls()) == n_calls
    assert foreign.retry().wait(LIMIT_S)[0].outcome == "failed"
    assert "nothing that needs your trust" in stub_cpr.good("trust", short)
    assert "no longer trusted" in stub_cpr.good("trust", "--forget", short)
    with pytest.raises(cpr.ForeignSession, match="sealed with another key"):
        foreign.retry()


@pytest.mark.parametrize("answer", ["y", ""])
def test_at_a_terminal_an_action_asks_once(
    stub_cpr: Cpr, foreign: cpr.Session, work: Path, answer: str
) -> None:
    with stub_cpr.on_terminal("retry", "work", "--wait") as terminal:
        terminal.read_until("[y/N]")
        assert len(list((work / "results").glob("session-*"))) == 1
        terminal.press(f"{answer}\n")
        terminal.finish()
    assert terminal.text.count("[y/N]") == 1
    assert len(list((work / "results").glob("session-*"))) == (2 if answer else 1)


def test_a_rebuilt_container_costs_one_question(stub_cpr: Cpr, work: Path) -> None:
    results = work / "results"
    for number in range(41):
        options = {"permissions": "all"} if number < 2 else {"check": "make test"}
        make(results, f"{number:08}", bytes(32), options=options)
    changed = make(results, "mine", own_key()) / "session.json"
    changed.write_bytes(changed.read_bytes().replace(b"first", b"other"))
    with stub_cpr.on_terminal("trust", "results", columns=200) as terminal:
        terminal.read_until("Trust these 41? Not those that come later. [y/N]")
        terminal.press("y\n")
        assert terminal.finish() == 0
    assert f"41 foreign sessions in {results}. They could run:" in terminal.text
    assert (
        "claude /usr/bin/claude (41) · permissions all (2: 00000000, 00000001), edits (39)"
        " · check 'make test' (39) · in /shop (41)"
    ) in terminal.text
    assert "1 more left out: its session.json was changed after the launch" in terminal.text
    make(results, "later", bytes(32))
    assert cpr.sessions_df().query("foreign").session_id.tolist() == ["later"]
    with pytest.raises(cpr.ForeignSession, match="was changed after the launch"):
        cpr.attach("mine").retry(all_tasks=True)
    assert not cpr.trust(results, forget=True)
    assert cpr.sessions_df().foreign.sum() == 42


def test_trust_is_for_what_was_shown(stub_cpr: Cpr, foreign: cpr.Session) -> None:
    assert cpr.trust(foreign.path, yes=True)
    file = foreign.path / "session.json"
    file.write_bytes(file.read_bytes().replace(b"true #1", b"true #2"))
    with pytest.raises(cpr.ForeignSession, match="true #2"):
        foreign.retry()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"id":"bad"', b'"id":"../bad"'),
        (b'"id":"bad"', b'"id":"bad","follows":"--continue"'),
        (b'"id":"bad"', b'"id":"bad","parent":{"session_id":"../..","task_id":"a"}'),
    ],
)
def test_what_could_lead_elsewhere_is_never_run(
    foreign: cpr.Session, old: bytes, new: bytes
) -> None:
    file = foreign.path / "session.json"
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(cpr.SessionNotUsable, match="can't be read, or is incomplete"):
        cpr.trust(foreign.path, yes=True)


def test_a_session_under_another_name_is_not_run(foreign: cpr.Session, work: Path) -> None:
    other = cpr.Session(shutil.copytree(foreign.path, foreign.path.with_name("session-other")))
    with pytest.raises(cpr.SessionNotUsable, match="is that of another session"):
        cpr.trust(other.path, yes=True)
    with pytest.raises(cpr.SessionNotUsable, match="is that of another session"):
        other.retry()


def test_a_session_is_named_by_its_folder_where_another_results_directory_is_usual(
    work: Path,
) -> None:
    root = make(work / "elsewhere" / "r", "s-1", bytes(32))
    with pytest.raises(cpr.ForeignSession, match=rf"cpr trust {root}   allows"):
        cpr.Session(root).retry(all_tasks=True)


def test_a_word_for_trust_that_fits_nothing_is_refused(work: Path) -> None:
    with pytest.raises(cpr.InputError, match="there is no folder no/such"):
        cpr.trust("no/such", yes=True)
    with pytest.raises(cpr.SessionNotFound):
        cpr.trust("no-such", yes=True)
    (work / "results").mkdir()
    assert cpr.trust("results", yes=True), "an empty results directory needs no trust"


def test_nothing_runs_from_a_folder_that_others_may_write(work: Path) -> None:
    root = make(work / "results", "s-1", own_key())
    root.chmod(0o777)
    session = cpr.Session(root)
    for act in (session.clean, session.merge, session.retry):
        with pytest.raises(cpr.SessionNotUsable, match="writable by others"):
            act()


# -- ours first -------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", ["abcd", "work", "session-work"])
def test_ours_go_before_foreign_ones(work: Path, reference: str) -> None:
    results = work / "results"
    ours = make(results, "abcd1111", own_key(), name="work")
    make(results, "abcd2222", bytes(32), {"start_time": 1767225700}, name="work")
    make(results, "work", bytes(32))
    expected = results / "session-work" if reference == "session-work" else ours
    assert cpr.attach(reference).path == expected
    assert cpr.attach("abcd2222").path == results / "session-abcd2222"


def test_a_forged_answer_replaces_none_of_ours(work: Path) -> None:
    ours = make(work / "results", "s-1", own_key())
    root = make(work / "results", "s-2", bytes(32), {"parent_session_id": "s-1"})
    for folder in (ours, root):
        file = folder / "status.json"
        ended = b'"transaction_id":"a","status":"completed","state":"ended","outcome":"succeeded"'
        file.write_bytes(file.read_bytes().replace(b'"transaction_id":"a"', ended))
    file = root / "session.json"
    parent = b'"id":"a","parent":{"session_id":"s-1","task_id":"a"}'
    file.write_bytes(file.read_bytes().replace(b'"id":"a"', parent))
    counts = newest_answers(cpr.Session(ours).snapshot)[0].ids
    assert counts == ("s-1", "a")
    assert cpr.trust(root, yes=True)
    counts = newest_answers(cpr.Session(ours).snapshot)[0].ids
    assert counts == ("s-2", "a"), "what is trusted counts"


def test_a_seal_of_another_request_does_not_bring_its_answers_here(stub: Stub, work: Path) -> None:
    first = cpr.launch(["one"], attempts=1).wait(LIMIT_S)
    other = cpr.launch(["two"], attempts=1).wait(LIMIT_S)
    status = other.path / "status.json"
    text = status.read_text()
    status.write_text(text.replace(other.head["identity"], first.head["identity"]))
    assert cpr.attach(other.id).head["identity"] == first.head["identity"]
    assert cpr.launch(["one"], attempts=1, reuse=True).id == first.id
    shutil.rmtree(first.path)
    assert cpr.launch(["one"], attempts=1, reuse=True).wait(LIMIT_S).id != other.id


# -- keys and state directories -----------------------------------------------------------------


def test_a_key_that_others_may_read_stops_launches_but_no_looking(
    stub_cpr: Cpr, state: Path, work: Path
) -> None:
    make(work / "results", "s-1", own_key())
    (state / "key").chmod(0o644)
    for command in (["list"], ["status", "s-1"], ["results", "s-1"], ["overview"]):
        assert "foreign" not in stub_cpr.good(*command), "nobody can tell"
    assert cpr.sessions_df().foreign.isna().all()
    refused = stub_cpr("run", stdin=prompts("a"))
    assert refused.returncode == 2 and "chmod 600" in refused.stderr
    with pytest.raises(cpr.StateDirError, match="chmod 600"):
        cpr.attach("s-1").retry(all_tasks=True)
    doctor = stub_cpr("doctor")
    assert doctor.returncode == 1 and "✕ state directory" in doctor.stdout
    assert "others may read it (chmod 600)" in doctor.stdout


def test_without_a_state_directory_everything_but_trust_works(
    stub_cpr: Cpr, stub: Stub, work: Path, tmp_path: Path
) -> None:
    """As in CI, without a HOME, or with one that can only be read."""
    (tmp_path / "file").touch()
    stub_cpr.env["CPR_STATE_DIR"] = os.environ["CPR_STATE_DIR"] = str(tmp_path / "file" / "state")
    stub.fifos("held")
    held = {"id": "held", "prompt": plan(here="held", gate="held")}
    cancelled = stub_cpr.launch(prompts(held), "--attempts", "1")
    stub.await_here("held")
    stub_cpr.good("cancel", cancelled.id)
    assert cancelled.wait(LIMIT_S).state == "cancelled"
    session = stub_cpr.launch(prompts(FAILING), "--attempts", "1").wait(LIMIT_S)
    assert (session.path / "session.json").read_bytes().endswith(b'"seal":null}\n')
    assert len(cpr.tasks_df()) == 2
    assert "foreign" not in stub_cpr.good("list") + repr(session), "nobody can tell"
    refused = stub_cpr("retry", session.id)
    assert refused.returncode == 2
    assert "launched where no state directory could be made" in refused.stderr
    trust = stub_cpr("trust", session.id, "--yes")
    assert trust.returncode == 2 and "nothing can be remembered" in trust.stderr
    doctor = stub_cpr("doctor").stdout
    assert "can't be made: new sessions have no seal" in doctor
    with stub_cpr.on_terminal("retry", session.id, "--wait") as terminal:
        terminal.read_until("[y/N]")
        terminal.press("y\n")
        terminal.finish()
    assert len(cpr.sessions_df()) == 3
    assert cpr.trust(session.path, yes=True), "for this process"
    assert session.retry().wait(LIMIT_S).state == "completed"


_AS_NOBODY = """
import os, sys
from cpr_nb.store.key import own_key
from cpr_nb.store.state_dir import can_make_state_dir
from cpr_nb.store.authorship import read_marks
if os.geteuid() == 0:  # whom no mode stops
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
os.environ["HOME"] = sys.argv[1]
os.environ.pop("CPR_STATE_DIR", None)
print(own_key(), can_make_state_dir(), read_marks().is_foreign({"schema_version": 1}, "s-1"))
"""


@pytest.mark.parametrize("home", ["read-only", "missing", ""])
def test_a_home_that_cannot_be_written_has_no_key(tmp_path: Path, home: str) -> None:
    folder = tmp_path / "read-only"
    folder.mkdir(0o555)
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(folder / home) if home else "/proc/1/none"],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.stdout == "None False None\n", done.stderr


def test_a_conversation_of_the_journal_cannot_become_an_option(tmp_path: Path) -> None:
    lines = [
        {"event": "intent", "task_id": id, "attempt": 1, "conversation_id": conversation}
        for id, conversation in (("a", "--continue"), ("b", "../x"), ("c", "00-ab"))
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    history = read_history(SessionPaths(str(tmp_path)))
    found = {id: task.conversation_id for id, task in history.tasks.items()}
    assert "00-ab" in found.values() and not {"--continue", "../x"} & set(found.values())
