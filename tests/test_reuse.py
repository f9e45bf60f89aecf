"""Asked again, nothing is paid for again: launch, map, retry and follow-up attach."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit import processes
from testkit.command import Cpr, prompts
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.handles.session import Session
from cpr_nb.launching import defaults, reuse
from cpr_nb.launching.plan import LaunchPlan
from cpr_nb.launching.rerun import plan_rerun
from cpr_nb.launching.start import StartedSession
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views import lineage

LIMIT_S = 120.0
BAD = plan(result=None, exit=3)
EnterEnv = Callable[[dict[str, str]], None]
Transcript = Callable[[str], Path]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


@pytest.fixture
def by_default() -> Iterator[None]:
    """As once the notebook's extension is loaded."""
    defaults.reuse = True
    yield
    defaults.reuse = False


def n_sessions() -> int:
    return len(cpr.sessions_df())


def test_the_same_launch_attaches_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    session = cpr.launch(["a", BAD], attempts=1, model="opus").wait(LIMIT_S)
    again = cpr.launch(["a", BAD], attempts=1, model="opus", reuse=True, name="x", max_parallel=1)
    assert again.id == session.id and n_sessions() == 1
    told = capsys.readouterr()
    line = f"attached to {session.id[:8]}: 1 of 2 succeeded; fresh=True runs it again\n"
    assert told.out + told.err == line


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        (["a", "c"], {}),
        (["b", "a"], {}),
        (["a"], {}),
        (["a", "b"], {"model": "opus"}),
        (["a", "b"], {"env": {"A": "1"}}),
        (["a", {"prompt": "b", "model": "opus"}], {}),
        (["a", {"prompt": "b", "id": "mine"}], {}),
        (["a", "b"], {"repeats": 2}),
        (["a", "b"], {"fresh": True}),
        (["a", "b"], {"reuse": False}),
    ],
)
def test_another_launch_starts(asked: list[Any], options: dict[str, Any]) -> None:
    session = cpr.launch(["a", "b"])
    other = cpr.launch(asked, **{"reuse": True, **options})
    assert other.id != session.id and n_sessions() == 2
    session.wait(LIMIT_S)
    other.wait(LIMIT_S)


def test_it_attaches_whatever_the_state(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    stub.fifos("held")
    prompt = plan(here="held", gate="held")
    session = cpr.launch([prompt])
    stub.await_here("held")
    session.wait_until(session[0].running, LIMIT_S, "the task")
    assert cpr.launch([prompt], reuse=True).id == session.id
    assert "0 of 1 succeeded, it is running" in "".join(capsys.readouterr())
    session.cancel()
    session.wait(LIMIT_S)
    assert cpr.launch([prompt], reuse=True).id == session.id


def test_nothing_attaches_unless_it_is_asked_to() -> None:
    ids = {cpr.launch(["a"]).wait(LIMIT_S).id for _ in range(2)}
    assert len(ids) == 2


def test_the_folder_of_the_results_may_be_new(work: Path) -> None:
    where = work / "not" / "yet" / "there"
    session = cpr.launch(["a"], reuse=True, results_dir=where).wait(LIMIT_S)
    assert session.path.parent == where
    assert cpr.launch(["a"], reuse=True, results_dir=where).id == session.id


def test_values_of_variables_count_and_are_not_stored() -> None:
    session = cpr.launch(["a"], env={"A": "secret-1"}).wait(LIMIT_S)
    assert cpr.launch(["a"], env={"A": "secret-1"}, reuse=True).id == session.id
    other = cpr.launch(["a"], env={"A": "secret-2"}, reuse=True).wait(LIMIT_S)
    assert other.id != session.id
    stored = [file.read_bytes() for file in session.path.iterdir() if file.is_file()]
    assert not any(b"secret-1" in content for content in stored)


def test_the_newest_one_counts() -> None:
    sessions = [cpr.launch(["a"]).wait(LIMIT_S) for _ in range(2)]
    assert cpr.launch(["a"], reuse=True).id == sessions[1].id


@pytest.mark.parametrize("options", [{"reuse": "yes"}, {"fresh": 3}])
def test_it_is_yes_or_no(options: dict[str, Any]) -> None:
    with pytest.raises(cpr.InputError, match="must be True or False"):
        cpr.launch(["a"], **options)


def test_a_changed_repository_is_reported_and_not_paid_for(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Checkout.new(work / "repo")
    monkeypatch.chdir(repo.path)
    repo.write({"a.txt": "1\n", ".gitignore": "results/\n"})
    repo.commit("first")
    before = repo.git("rev-parse", "--short=7", "HEAD")
    session = cpr.launch(["a"]).wait(LIMIT_S)
    repo.git("commit", "-q", "--allow-empty", "-m", "nothing")
    assert cpr.launch(["a"], reuse=True).id == session.id
    assert "changed" not in "".join(capsys.readouterr())
    repo.write({"a.txt": "2\n"})
    repo.commit("second")
    after = repo.git("rev-parse", "--short=7", "HEAD")
    assert cpr.launch(["a"], reuse=True).id == session.id
    told = "".join(capsys.readouterr())
    assert f"1 of 1 succeeded; the repository changed since ({before} → {after}); fresh" in told


def test_what_can_not_be_read_is_not_attached_to() -> None:
    session = cpr.launch(["a"]).wait(LIMIT_S)
    status = Path(session.paths.status)
    status.write_bytes(status.read_bytes()[:-9])
    assert cpr.launch(["a"], reuse=True).wait(LIMIT_S).id != session.id


def test_the_same_prompts_of_other_rows_and_factors_are_not_the_same() -> None:
    df = pd.DataFrame({"n": ["a", "a"]})
    one = cpr.launch(["a", "a"]).wait(LIMIT_S)
    two = cpr.launch(["a"], repeats=2, reuse=True).wait(LIMIT_S)
    three = cpr.map("{n}", df, reuse=True).wait(LIMIT_S)
    assert len({one.id, two.id, three.id}) == 3
    assert cpr.launch(["a"], repeats=2, reuse=True).id == two.id


def test_a_frame_keeps_its_objects() -> None:
    df = pd.DataFrame({"n": [1], "path": [Path("/x")]})
    cpr.map("{n}", df).wait(LIMIT_S)
    again = cpr.map("{n}", df, reuse=True)
    assert again.results_df()["path"].tolist() == [Path("/x")] and n_sessions() == 1


def test_a_schema_keeps_its_type() -> None:
    @dataclasses.dataclass
    class Bugs:
        n: int

    prompt = plan(result={"structured_output": {"n": 3}})
    cpr.launch([prompt], schema=Bugs).wait(LIMIT_S)
    assert cpr.launch([prompt], schema=Bugs, reuse=True)[0].result() == Bugs(3)
    assert n_sessions() == 1


def test_run_all_again_runs_what_has_failed_and_nothing_else(
    by_default: None, transcript: Callable[[str], Path], stub: Stub
) -> None:
    more_ids, map_ids = [], []
    df = pd.DataFrame({"do": ["good", BAD, plan(result={"result": "R"})]}, index=list("abc"))
    for _ in range(3):
        s = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
        for task in s:
            transcript(str(task.conversation_id))
        out = s.results_df()
        assert out.ok.tolist() == [True, False, True]
        out[~out.ok].cpr.retry(effort="low").wait(LIMIT_S)
        out = s.results_df()
        more = out[out.ok].cpr.follow_up("shorter: {result}").wait(LIMIT_S)
        for task in more:
            transcript(str(task.conversation_id))
        map_ids.append(s.id)
        more_ids.append(more.id)
    assert len(set(map_ids)) == 3 and len(set(more_ids)) == 1
    assert len(list((stub.folder / "calls").iterdir())) == 3 + 1 + 2 + 2 * (1 + 1)


def test_run_all_twice(by_default: None, transcript: Callable[[str], Path], stub: Stub) -> None:
    ids: list[list[str]] = []
    df = pd.DataFrame({"do": ["good", plan(exit=3, mended={}), "other"]}, index=list("abc"))
    s = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    stub.mend()
    out = s.results_df()
    out[~out.ok].cpr.retry(effort="low").wait(LIMIT_S)
    for task in s:
        transcript(str(task.conversation_id))
    for _ in range(3):
        s = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
        out = s.results_df()
        assert out.ok.all()
        for answered in out.itertuples():
            transcript(str(cpr.attach(answered.session_id).task(answered.task_id).conversation_id))
        more = out.loc[["a", "c"]].cpr.follow_up("shorter: {result}").wait(LIMIT_S)
        whole = s.retry().wait(LIMIT_S)
        ids.append([session.id for session in (s, more, whole)])
    assert ids[0] == ids[1] == ids[2]
    assert n_sessions() == 4


def test_a_retry_that_has_helped_leaves_nothing_to_do(by_default: None, stub: Stub) -> None:
    (stub.folder / "lock-once").touch()
    s = cpr.map("{do}", pd.DataFrame({"do": [plan(exit=3)]}), attempts=1).wait(LIMIT_S)
    assert not s[0].ok
    stub.path.write_text(stub.path.read_text().replace('plan.get("exit", 0)', "0"))
    again = s.results_df().query("not ok").cpr.retry().wait(LIMIT_S)
    assert again[0].ok
    out = s.results_df()
    with pytest.warns(UserWarning, match="no rows"):
        nothing = out[~out.ok].cpr.retry()
    assert not nothing.wait() and nothing.results_df().empty and list(nothing) == []
    assert n_sessions() == 2


def test_other_words_are_another_request(by_default: None) -> None:
    s = cpr.launch([BAD], attempts=1).wait(LIMIT_S)
    one = s.retry(model="opus").wait(LIMIT_S)
    two = s.retry(model="sonnet").wait(LIMIT_S)
    assert len({s.id, one.id, two.id, s.retry(fresh=True).wait(LIMIT_S).id}) == 4
    assert s.retry(model="opus", results_dir=s.path.parent).id == one.id


def answered(n: int) -> str:
    return plan(result={"structured_output": {"n": n}, "result": f"R{n}"})


@pytest.fixture
def done(transcript: Callable[[str], Path]) -> cpr.Session:
    """Three rows that succeeded, with a column beside the prompts."""
    df = pd.DataFrame({"do": [answered(n) for n in range(3)], "note": list("pqr")})
    session = cpr.map("{do}", df).wait(LIMIT_S)
    for task in session:
        transcript(str(task.conversation_id))
    return session


def test_rows_in_another_order_keep_their_answers(by_default: None, done: cpr.Session) -> None:
    out = done.results_df()
    more = out.cpr.follow_up("{do}").wait(LIMIT_S)
    expected = more.results_df()["result"].tolist()
    assert expected == ["R0", "R1", "R2"]
    again = out[::-1].cpr.follow_up("{do}")
    assert again.id == more.id
    pd.testing.assert_frame_equal(again.results_df(), more.results_df())
    assert out[1:].cpr.follow_up("{do}").results_df()["result"].tolist() == expected


def test_what_a_person_says_counts(by_default: None, done: cpr.Session) -> None:
    out = done.results_df()
    more = out.cpr.follow_up("{note}").wait(LIMIT_S)
    assert out.assign(note=list("pqx")).cpr.follow_up("{note}").wait(LIMIT_S).id != more.id
    assert out.cpr.follow_up(lambda row: row["note"]).id == more.id
    assert out.cpr.follow_up("{do}").wait(LIMIT_S).id != more.id
    assert done[2].follow_up("r").id == more.id
    assert done[2].follow_up("q").wait(LIMIT_S).id != more.id


def test_answers_and_scores_may_change_meanwhile(by_default: None, done: cpr.Session) -> None:
    scored = done.score(lambda row: 1)
    more = scored.cpr.follow_up("{result} {score} {outcome}").wait(LIMIT_S)
    changed = done.score(lambda row: 2).assign(outcome="failed", result="other")
    assert changed.cpr.follow_up("{result} {score} {outcome}").id == more.id


def test_a_better_answer_is_no_other_row(by_default: None, transcript: Transcript) -> None:
    df = pd.DataFrame({"do": [answered(1)], "say": [answered(2)]})
    for _ in range(2):
        session = cpr.map("{do}", df, schema={"n": int}).wait(LIMIT_S)
        transcript(str(session[0].conversation_id))
        out = session.results_df()
        more = out.cpr.follow_up("You found {n}; {say}", schema={"n": int}).wait(LIMIT_S)
        transcript(str(more[0].conversation_id))
    assert session.results_df()["n"].tolist() == [2]
    assert n_sessions() == 2


def test_a_type_that_has_changed_is_another_request(by_default: None) -> None:
    def bugs(name: str) -> type:
        return dataclasses.make_dataclass("Bugs", [(name, int)])

    session = cpr.launch([plan(result={"structured_output": {"n": 3}})]).wait(LIMIT_S)
    retry = session.retry(all_tasks=True, schema=bugs("n")).wait(LIMIT_S)
    again = session.retry(all_tasks=True, schema=bugs("n"))
    assert again.id == retry.id and again[0].result().n == 3
    assert session.retry(all_tasks=True, schema=bugs("m")).wait(LIMIT_S).id != retry.id


def test_a_type_is_known_of_the_task_that_helped(by_default: None) -> None:
    @dataclasses.dataclass
    class Bugs:
        n: int

    session = cpr.launch([answered(0), answered(1)], schema=Bugs).wait(LIMIT_S)
    session.retry(all_tasks=True).wait(LIMIT_S)
    again = Session.from_plan(plan_rerun([session[1].to_rerun()], {}), reuse=True)
    assert again[1].result() == Bugs(1) and again.answer_types.keys() == {again[1].id}
    assert n_sessions() == 2


def test_an_interrupted_one_says_so(
    by_default: None, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.fifos("held")
    prompt = plan(here="held", gate="held")
    session = cpr.launch([prompt])
    stub.await_here("held")
    os.kill(json.loads(Path(session.paths.runner).read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    again = cpr.launch([prompt])
    assert again.id == session.id
    assert "it is interrupted; .resume() resumes it" in "".join(capsys.readouterr())
    stub.release("held")
    assert again.resume().wait(LIMIT_S).done()


def test_sessions_are_read_once_however_many_rows(
    by_default: None, done: cpr.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = done.results_df().cpr.follow_up("{note}").wait(LIMIT_S)
    reads: list[str] = []

    def read(root: str) -> Snapshot:
        reads.append(root)
        return read_session(root)

    monkeypatch.setattr(lineage, "read_session", read)
    assert done.results_df().cpr.follow_up("{note}").id == more.id
    assert len(reads) <= 3


def test_two_kernels_at_once_pay_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2)
    find_same = reuse._find_same

    def find_both(plan: LaunchPlan) -> StartedSession | None:
        session = find_same(plan)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)  # both have looked, if nothing keeps the second from it
        return session

    monkeypatch.setattr(reuse, "_find_same", find_both)
    with ThreadPoolExecutor(2) as kernels:
        futures = [kernels.submit(cpr.launch, ["a"], reuse=True) for _ in range(2)]
    assert len({future.result().wait(LIMIT_S).id for future in futures}) == 1
    assert n_sessions() == 1


def test_a_task_that_continues_itself_does_not_loop_forever(done: cpr.Session) -> None:
    told = json.loads(Path(done.paths.session).read_text())
    ids = done.id, done[0].id
    told["tasks"][0]["parent"] = {"session_id": ids[0], "task_id": ids[1]}
    Path(done.paths.session).write_text(json.dumps(told))
    assert lineage.ancestors(str(done.path.parent), [ids]) == [{ids}]


def test_the_command_reuses_too(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a"), "--reuse").wait(LIMIT_S)
    (stub_cpr.cwd / "p.json").write_text(prompts("a"))
    run = stub_cpr("run", "p.json", "--reuse")
    assert f"attached to {session.id[:8]}: 1 of 1 succeeded" in run.stderr
    assert run.stderr.endswith("; --fresh runs it again\n")
    run = stub_cpr("run", "p.json", "--reuse", "--json")
    assert json.loads(run.stdout)["session_id"] == session.id
    assert f"attached to {session.id[:8]}" in run.stderr
    assert n_sessions() == 1
