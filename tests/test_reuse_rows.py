"""A map with ``reuse`` runs only rows without an answer, and one table comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from testkit.command import Cpr
from testkit.stub import Stub, plan

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.display import reused_cells
from cpr_nb.display.row_deltas import Column
from cpr_nb.display.session_model import SessionModel

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def answer(word: str) -> str:
    return plan(result={"result": word})


def frame(words: str) -> pd.DataFrame:
    return pd.DataFrame({"do": [answer(word) for word in words], "word": list(words)})


def run(words: str, **options: object) -> cpr.Session:
    return cpr.map("{do}", frame(words), **{"reuse": True, **options}).wait(LIMIT_S)


def test_new_rows_run_and_the_others_are_reused(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run("abc")
    again = run("xaybc")
    assert "3 reused, 2 run; fresh=True runs all again" in "".join(capsys.readouterr())
    assert len(stub.calls()) == 5 and len(again) == 2
    out = again.results_df()
    assert out["result"].tolist() == out["word"].tolist() == list("xaybc")
    assert out["session_id"].eq(first.id).tolist() == [False, True, False, True, True]
    assert out["ok"].all() and len(out.columns) == len(first.results_df().columns)


def test_the_cost_is_what_this_call_spent() -> None:
    first, again = run("abc"), run("abcd")
    assert again.cost_usd is not None and first.cost_usd == pytest.approx(3 * again.cost_usd)
    assert cpr.tasks_df()["cost_usd"].sum() == pytest.approx(4 * again.cost_usd)


def test_the_same_table_comes_back_in_another_kernel() -> None:
    run("ab")
    again = run("abc")
    attached = cpr.attach(again.id)
    assert attached.results_df()["result"].tolist() == list("abc")
    assert attached.rows_frame()["word"].tolist() == list("abc")


def test_asked_again_it_attaches(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    run("ab")
    again = run("abc")
    capsys.readouterr()
    third = run("abc")
    assert third.id == again.id and third.results_df()["result"].tolist() == list("abc")
    assert "1 of 1 succeeded, 2 reused" in "".join(capsys.readouterr())
    assert len(stub.calls()) == 3


def test_fewer_rows_run_nothing(stub: Stub, capsys: pytest.CaptureFixture[str]) -> None:
    first = run("abcd")
    again = run("db")
    assert "2 reused, 0 run" in "".join(capsys.readouterr())
    assert again.id != first.id and again.done() and len(again) == 0 and again.cost_usd in (None, 0)
    assert again.results_df()["result"].tolist() == ["d", "b"]
    assert len(stub.calls()) == 4


def test_answers_of_several_sessions_make_one_table(stub: Stub) -> None:
    one, two = run("ab"), run("cd")
    again = run("dacbe")
    out = again.results_df()
    assert out["result"].tolist() == list("dacbe") and len(stub.calls()) == 5
    assert out["session_id"].tolist() == [two.id, one.id, two.id, one.id, again.id]
    assert run("ebdac").results_df()["result"].tolist() == list("ebdac")
    assert len(stub.calls()) == 5


def test_what_has_failed_runs_again(stub: Stub) -> None:
    df = pd.DataFrame({"do": [answer("a"), plan(exit=3, mended={"result": "b"})]})
    first = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    assert first.results_df()["ok"].tolist() == [True, False]
    stub.mend()
    again = cpr.map("{do}", df, attempts=1, reuse=True).wait(LIMIT_S)
    assert len(again) == 1 and again.results_df()["result"].tolist() == ["a", "b"]


def test_a_retry_is_an_answer_of_its_row(stub: Stub) -> None:
    df = pd.DataFrame({"do": [plan(exit=3, mended={"result": "b"})]})
    first = cpr.map("{do}", df, attempts=1).wait(LIMIT_S)
    stub.mend()
    retry = first.retry(model="opus").wait(LIMIT_S)
    bigger = pd.concat([df, frame("c")[["do"]]], ignore_index=True)
    out = cpr.map("{do}", bigger, attempts=1, reuse=True).wait(LIMIT_S).results_df()
    assert out["session_id"][0] == retry.id and out["result"].tolist() == ["b", "c"]
    asked = cpr.map("{do}", df, attempts=1, model="opus", reuse=True).wait(LIMIT_S)
    assert asked.results_df()["session_id"].item() == retry.id, "it has these options"


def test_equal_rows_and_repeats_have_an_answer_each(stub: Stub) -> None:
    run("a", repeats=2)
    again = run("a", repeats=3)
    assert len(stub.calls()) == 3 and again.results_df()["repeat"].tolist() == [1, 2, 3]
    assert again.summary()["n"].sum() == 3
    out = run("aaaa").results_df()
    assert len(stub.calls()) == 4 and out["task_id"].is_unique


def test_the_rows_of_factors_are_reused(stub: Stub) -> None:
    run("ab", vary={"model": ["opus"]})
    again = run("ab", vary={"model": ["sonnet", "opus"]})
    out = again.results_df()
    assert len(stub.calls()) == 4 and out["model"].tolist() == ["sonnet", "opus"] * 2
    assert list(out["model"].cat.categories) == ["sonnet", "opus"]
    assert len(again.summary(by="model")) == 2


def test_a_schema_keeps_its_columns(stub: Stub) -> None:
    def typed(n: int) -> str:
        return plan(result={"structured_output": {"n": n}})

    for numbers in ([1, 2], [1, 2, 3]):
        df = pd.DataFrame({"do": [typed(n) for n in numbers]})
        session = cpr.map("{do}", df, schema={"n": int}, reuse=True).wait(LIMIT_S)
    assert session.results_df()["n"].tolist() == [1, 2, 3] and len(stub.calls()) == 3


def test_a_row_that_still_runs_elsewhere_is_waited_for(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.fifos("held")
    held = plan(here="held", gate="held", result={"result": "late"})
    first = cpr.map("{do}", pd.DataFrame({"do": [held]}))
    stub.await_here("held")
    both = pd.DataFrame({"do": [held, answer("b")]})
    again = cpr.map("{do}", both, reuse=True)
    assert f"1 of them come from {first.id[:8]}, which is running" in "".join(capsys.readouterr())
    again.wait_until(again[0].done, LIMIT_S, "its own row")
    assert not again.done()
    with pytest.raises(cpr.WaitTimeout):
        again.wait(0.1)
    stub.release("held")
    assert again.wait(LIMIT_S).results_df()["result"].tolist() == ["late", "b"]
    assert again.done() and len(stub.calls()) == 2


def test_rows_outside_a_pilot_are_not_waited_for(
    stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    gates = ("one", "two", "three")
    stub.fifos(*gates)
    rows = pd.DataFrame({"do": [plan(gate=gate) for gate in gates]})
    first = cpr.map("{do}", rows, pilot=2, max_parallel=2)
    again = cpr.map("{do}", rows, reuse=True)
    assert "2 reused, 1 run; 2 of them come from" in "".join(capsys.readouterr())
    for gate in gates:
        stub.release(gate)
    assert again.wait(LIMIT_S).results_df()["ok"].all()
    first.wait(LIMIT_S)
    assert len(stub.calls()) == 3


def test_a_removed_session_leaves_its_rows_without_an_answer(stub: Stub) -> None:
    first, again = run("ab"), run("abc")
    shutil.rmtree(first.path)
    out = again.results_df()
    assert out["word"].tolist() == list("abc") and out["result"].isna().tolist() == [1, 1, 0]
    assert out["ok"].isna().tolist() == [True, True, False]
    assert run("abc").results_df()["result"].tolist() == list("abc")
    assert len(stub.calls()) == 5


def test_follow_ups_go_to_the_session_that_has_the_answer(
    transcript: Callable[[str], Path],
) -> None:
    first, again = run("ab"), run("abc")
    for task in [*first, *again]:
        transcript(str(task.conversation_id))
    more = again.results_df().cpr.follow_up("{word}").wait(LIMIT_S)
    parents = [more.task_spec(index)["parent"]["session_id"] for index in range(3)]
    assert parents == [first.id, first.id, again.id]


def test_no_answer_of_a_session_that_was_changed(stub: Stub) -> None:
    first = run("ab")
    spec = Path(first.paths.session)
    spec.write_bytes(spec.read_bytes().replace(b'"id"', b'"id" ', 1))
    assert run("abc").results_df()["session_id"].ne(first.id).all()
    assert len(stub.calls()) == 5


def test_what_runs_is_all_that_a_retry_runs(stub: Stub) -> None:
    run("ab")
    again = run("abc")
    retry = again.retry(all_tasks=True).wait(LIMIT_S)
    assert len(retry) == 1 and retry.results_df()["word"].tolist() == ["c"]


def test_a_file_that_was_changed_loses_no_row() -> None:
    run("ab")
    again = run("abc")
    spec = Path(again.paths.session)
    head, _, rest = spec.read_bytes().partition(b'"reused":')
    entries = json.loads(rest.splitlines()[0].rstrip(b","))
    entries[0]["position"] = 77
    spec.write_bytes(
        head + b'"reused":' + json.dumps(entries).encode() + b",\n" + b'"seal":null}\n'
    )
    assert cpr.attach(again.id).results_df()["result"].tolist() == ["c"]


def test_two_kernels_at_once_pay_each_row_once(stub: Stub) -> None:
    with ThreadPoolExecutor(2) as kernels:
        ask = [
            kernels.submit(cpr.map, "{do}", frame(words), reuse=True) for words in ("abc", "bcd")
        ]
    one, two = (future.result().wait(LIMIT_S) for future in ask)
    assert one.results_df()["result"].tolist() == list("abc")
    assert two.results_df()["result"].tolist() == list("bcd")
    assert len(stub.calls()) == 4


@pytest.mark.parametrize("words", ["abc", "b"], ids=["one runs", "none runs"])
def test_every_interface_says_what_is_reused(words: str, stub_cpr: Cpr) -> None:
    run("ab")
    again = run(words)
    n_reused = 2 if words == "abc" else 1
    text = f"{n_reused} reused"
    assert text in repr(again) and text in stub_cpr.good("list")
    assert text in stub_cpr.good("status", again.id) and text in stub_cpr.good("watch", again.id)
    assert text in again._repr_html_()
    assert again.sessions_df(full=True)["n_reused"].item() == n_reused
    assert f"Session: {again.id}" in stub_cpr.good("results", again.id)
    assert len(again.tasks_df()) == len(again) and again.summary()["n"].item() == len(words)
    assert "0/0" not in again._repr_html_()


def test_the_live_view_has_all_rows_and_their_outputs() -> None:
    first = run("ab")
    again = run("abc")
    model = SessionModel(str(again.path))
    model.refresh()
    rows = [(row[Column.NUM], row[Column.STATE], row[Column.COST]) for row in model.rows]
    assert [num for num, _, _ in rows] == [1, 2, 3]
    assert {state for _, state, _ in rows} == {"succeeded"}
    assert rows[0][2] == again.cost_usd and rows[1][2] is rows[2][2] is None
    keys = [row[Column.KEY] for row in model.rows]
    assert len(set(keys)) == 3 and f"reused from {first.id[:8]}" in model.rows[1][Column.NOW]
    snapshot, index = model.source(keys[2])
    assert snapshot.session_id == first.id and index == 1
    shutil.rmtree(first.path)
    with pytest.raises(LookupError):
        model.source(keys[2])


def test_the_live_view_follows_a_row_that_runs_elsewhere(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.fifos("held")
    held = plan(here="held", gate="held", result={"result": "late"})
    first = cpr.map("{do}", pd.DataFrame({"do": [held]}))
    stub.await_here("held")
    again = cpr.map("{do}", pd.DataFrame({"do": [held, answer("b")]}), reuse=True)
    model = SessionModel(str(again.path))
    model.refresh()
    assert model.rows[1][Column.STATE] == "running"
    stub.release("held")
    first.wait(LIMIT_S)
    again.wait(LIMIT_S)
    monkeypatch.setattr(reused_cells, "_EVERY_S", 0.0)
    model.refresh()
    assert [row[Column.STATE] for row in model.rows] == ["succeeded"] * 2


def test_a_dry_run_says_what_would_be_reused(own_home: Path) -> None:
    assert "reused_from" not in cpr.map("{do}", frame("a"), reuse=True, dry_run=True)[0]
    assert not own_home.exists() or not list(own_home.rglob("key")), "a dry run makes no key"
    first = run("a")
    planned = cpr.map("{do}", frame("ab"), reuse=True, dry_run=True)
    assert [task["reused_from"] for task in planned] == [first.id, None]


def test_a_retry_is_one_answer_although_it_asked_for_the_same_itself(stub: Stub) -> None:
    row = plan(exit=3, mended={"result": "b"})
    first = cpr.map("{do}", pd.DataFrame({"do": [row]}), attempts=1).wait(LIMIT_S)
    stub.mend()
    first.retry().wait(LIMIT_S)
    twice = cpr.map("{do}", pd.DataFrame({"do": [row] * 2}), attempts=1, reuse=True).wait(LIMIT_S)
    assert len(twice) == 1 and twice.results_df()["session_id"].nunique() == 2


def test_an_older_success_goes_before_a_newer_session_without_one(stub: Stub) -> None:
    stub.fifos("held")
    df = pd.DataFrame({"do": [plan(here="held", gate="held", result={"result": "a"})]})
    first = cpr.map("{do}", df)
    stub.await_here("held")
    stub.release("held")
    first.wait(LIMIT_S)
    newer = cpr.map("{do}", df, fresh=True)
    stub.await_here("held")
    newer.cancel()
    newer.wait(LIMIT_S)
    again = cpr.map("{do}", df, reuse=True)
    assert again.id == first.id and again.results_df()["result"].tolist() == ["a"]
