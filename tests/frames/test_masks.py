"""A table of tasks or results as a command: .cpr.retry, .cancel, .follow_up, .merge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit import processes
from testkit.stub import Stub, plan

import cpr_nb as cpr
import cpr_nb.pandas

pytestmark = pytest.mark.usefixtures("stubbed")
LIMIT_S = 120.0
BAD = plan(result=None, exit=3)
Transcript = Callable[[str], Path]


def asked(session: cpr.Session) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(session.paths.session).read_text())
    return found


def mapped(*prompts: str, **options: Any) -> cpr.Session:
    df = pd.DataFrame({"do": prompts}, index=[f"r{n}" for n in range(len(prompts))])
    return cpr.map("{do}", df, attempts=1, **options).wait(LIMIT_S)


# -- retry ------------------------------------------------------------------------------------


def test_a_mask_is_retried() -> None:
    session = mapped(BAD, "good", BAD)
    again = session.tasks_df().query("not ok").cpr.retry(model="opus")
    assert [task.id for task in again.wait(LIMIT_S)] == [session[0].id, session[2].id]
    assert again.head["parent_session_id"] == session.id
    assert again.head["model"] == "opus"
    assert again.results_df().index.tolist() == ["r0", "r2"]


def test_a_mask_may_name_what_succeeded() -> None:
    session = mapped("good")
    again = pd.concat([session.results_df()] * 2).cpr.retry()
    assert [task.ok for task in again.wait(LIMIT_S)] == [True]


def test_rows_of_several_sessions_become_one(stub: Stub, work: Path) -> None:
    (work / "sub").mkdir()
    task = {"prompt": BAD, "id": "same"}
    one = cpr.launch([task], model="opus", attempts=1, env={"A": "1"}, name="one", max_parallel=1)
    two = cpr.launch([{**task, "id": "Same"}, BAD], cwd="sub", attempts=1)
    one.wait(LIMIT_S)
    two.wait(LIMIT_S)
    table = cpr.tasks_df()
    again = table[table["ok"] == False].cpr.retry(env={"A": "2"})  # noqa: E712 - nullable
    again.wait(LIMIT_S)
    parents = set(again.head["parent_session_id"].split(","))
    assert parents == {one.id, two.id} and len(again) == 3
    calls = stub.calls()
    of = {
        (task["parent"]["session_id"], task["parent"]["task_id"]): calls[task["id"]]
        for task in asked(again)["tasks"]
    }
    assert "opus" in of[one.id, "same"]["argv"] and of[one.id, "same"]["cwd"] == str(work)
    assert "opus" not in of[two.id, "Same"]["argv"]
    assert of[two.id, "Same"]["cwd"] == str(work / "sub")
    assert of[one.id, "same"]["env"]["A"] == "2"
    assert {task.id for task in again} >= {"Same", "same-2"} and again.name is None
    assert one.results_df()["session_id"].tolist() == [again.id]
    assert two.results_df()["session_id"].tolist() == [again.id] * 2


def test_frames_of_several_sessions_are_joined() -> None:
    one, two = mapped(BAD), mapped(BAD, BAD)
    table = pd.concat([two.results_df(), one.results_df()])
    again = table.cpr.retry().wait(LIMIT_S)
    assert again.results_df().index.tolist() == ["r0", "r1", "r0"]
    parents = [task["parent"]["session_id"] for task in asked(again)["tasks"]]
    assert parents == [two.id, two.id, one.id]


def test_an_option_of_the_session_must_be_passed_if_the_sessions_differ_in_it() -> None:
    one, two = mapped(BAD, budget_usd=1), mapped(BAD, budget_usd=2)
    table = pd.concat([one.tasks_df(), two.tasks_df()])
    with pytest.raises(cpr.InputError, match="budget_usd: the sessions have different values"):
        table.cpr.retry()
    assert len(cpr.sessions_df()) == 2
    assert table.cpr.retry(budget_usd=3).wait(LIMIT_S).done()


def test_what_has_not_ended_is_not_retried(stub: Stub) -> None:
    stub.fifos("held")
    session = cpr.launch([plan(here="held", gate="held")])
    stub.await_here("held")
    with pytest.raises(cpr.SessionNotUsable, match="has not ended"):
        session.tasks_df().cpr.retry()
    assert len(cpr.sessions_df()) == 1
    stub.release("held")
    session.wait(LIMIT_S)


@pytest.mark.parametrize("verb", ["retry", "cancel", "merge", "follow_up"])
def test_an_empty_mask_does_nothing_and_says_so(verb: str) -> None:
    table = mapped("good").tasks_df().query("not ok")
    words = ["more {nothing}"] if verb == "follow_up" else []
    with pytest.warns(UserWarning, match="the table has no rows: nothing is"):
        assert not getattr(table.cpr, verb)(*words)
    assert len(cpr.sessions_df()) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1]}, "the table: has no column 'session_id'"),
        ({"session_id": ["x"]}, "the table: has no column 'task_id'"),
        ({"session_id": [None], "task_id": ["x"]}, "rows without session_id"),
        ([["a", "b", "c"]], "the table: has 2 columns 'session_id'"),
    ],
)
def test_a_table_that_does_not_say_whose_rows_they_are(data: Any, words: str) -> None:
    names = ["session_id", "task_id", "session_id"] if isinstance(data, list) else None
    with pytest.raises(cpr.InputError, match=words):
        pd.DataFrame(data, columns=names).cpr.retry()


def test_a_session_that_is_gone_is_named() -> None:
    table = pd.DataFrame({"session_id": ["0" * 36], "task_id": ["x"]})
    with pytest.raises(cpr.SessionNotFound, match="0000"):
        table.cpr.retry()
    with pytest.raises(cpr.SessionNotFound, match="Session 3 not found"):
        table.assign(session_id=3).cpr.retry()


def test_a_task_is_known_by_its_whole_id() -> None:
    session = cpr.launch([{"prompt": "a", "id": "12"}, {"prompt": "b", "id": "docs-1"}])
    session.wait(LIMIT_S)
    table = pd.DataFrame({"session_id": session.id, "task_id": [12]})  # as a CSV file gives it
    assert [task.id for task in table.cpr.retry().wait(LIMIT_S)] == ["12"]
    for other in ("docs", 1):
        with pytest.raises(cpr.TaskNotFound, match=f"has no task {other!r}"):
            table.assign(task_id=other).cpr.retry()


def test_a_session_that_is_gone_has_no_results() -> None:
    session = mapped("a")
    processes.await_lock(session.path / "runner.lock")  # its runner lingers for a few ms
    shutil.rmtree(session.path)
    with pytest.raises(cpr.SessionNotUsable, match=r"can't read .*: no status.json"):
        session.results_df()


def test_cells_after_an_empty_mask_continue() -> None:
    table = mapped("good").results_df()
    with pytest.warns(UserWarning, match="no rows"):
        nothing = table[~table.ok].cpr.retry()
    assert nothing.wait().retry() is nothing
    assert nothing.score(len).empty and nothing.summary(by="model").empty
    assert "cost_usd" in nothing.summary()


@pytest.mark.parametrize("env", [None, {}])
def test_no_variables_are_no_variables(env: Any) -> None:
    assert mapped(BAD).retry(env=env).wait(LIMIT_S).done()


@pytest.mark.parametrize("name", ["ok", "do"])
def test_a_retry_may_not_ask_for_columns_that_are_there(name: str) -> None:
    session = mapped("a")
    with pytest.raises(cpr.InputError, match=f"{name!r}"):
        session.results_df().cpr.retry(schema={name: str})
    assert len(cpr.sessions_df()) == 1


@pytest.mark.parametrize("name", ["", "session.json"])
def test_what_others_may_write_is_not_run(name: str) -> None:
    session = mapped(BAD)
    (session.path / name).chmod(0o770)
    with pytest.raises(cpr.SessionNotUsable, match="writable by others"):
        session.results_df().cpr.retry()


# -- cancel -----------------------------------------------------------------------------------


def test_a_mask_is_cancelled(stub: Stub) -> None:
    stub.fifos("a", "b")
    prompts = [plan(here=name, gate=name) for name in "ab"]
    session = cpr.launch([*prompts, "quick"], max_parallel=3)
    for name in "ab":
        stub.await_here(name)
    session.wait_until(session[2].done, LIMIT_S, "the quick one")
    table = session.tasks_df()
    assert table[table["task_num"] != 2].cpr.cancel() == 1
    session.wait_until(session[0].done, LIMIT_S, "the cancelled one")
    stub.release("b")
    session.wait(LIMIT_S)
    assert [task.outcome for task in session] == ["cancelled", "succeeded", "succeeded"]


# -- follow-up --------------------------------------------------------------------------------


def test_a_follow_up_continues_each_conversation(
    stub: Stub, transcript: Transcript, work: Path
) -> None:
    (work / "sub").mkdir()
    session = mapped(plan(result={"result": "1"}), "good", model="opus", cwd="sub")
    for task in session:
        transcript(str(task.conversation_id))
    out = session.results_df()
    further = out[out["result"] == "1"].cpr.follow_up("You said {result}. {do}", effort="high")
    further.wait(LIMIT_S)
    (task,) = further
    call = stub.calls()[task.id]
    argv = call["argv"]
    at = argv.index("--resume")
    assert argv[at : at + 4] == [
        "--resume",
        session[0].conversation_id,
        "--fork-session",
        "--session-id",
    ]
    assert argv[at + 4] == task.conversation_id != session[0].conversation_id
    assert call["stdin"].startswith("You said 1. Do it.")
    assert call["cwd"] == str(work / "sub") and "opus" in argv and "high" in argv
    assert further.head["parent_session_id"] == session.id
    assert further.results_df().index.tolist() == ["r0"]
    assert list(further.results_df().columns[:2]) == ["do", "result"]


def test_a_follow_up_with_the_same_schema_counts_for_its_row(transcript: Transcript) -> None:
    def so(n: int) -> str:
        return plan(result={"structured_output": {"n": n}})

    session = mapped(so(1), so(2), so(3), schema={"n": int})
    for task in session:
        transcript(str(task.conversation_id))
    table = session.results_df().assign(say=[BAD, so(20), "in words"])
    failed = table[:1].cpr.follow_up("{say}", attempts=1, schema={"n": int})
    better = table[1:2].cpr.follow_up("{say}", schema={"n": int})
    words = table[2:].cpr.follow_up("{say}")
    for more in (failed, better, words):
        more.wait(LIMIT_S)
    out = session.results_df()
    assert out["n"].tolist() == [1, 20, 3]
    assert out["session_id"].tolist() == [session.id, better.id, session.id]
    assert better.results_df()["n"].tolist() == [20]
    assert words.results_df()[["n", "result"]].values.tolist() == [[3, "done"]]


def test_a_follow_up_with_another_schema_does_not_count(transcript: Transcript) -> None:
    so = plan(result={"structured_output": {"n": 1, "m": 2}})
    session = mapped(so, schema={"n": int})
    transcript(str(session[0].conversation_id))
    more = session.results_df().cpr.follow_up("{do}", schema={"m": int}).wait(LIMIT_S)
    assert more[0].ok and session.results_df()["session_id"].tolist() == [session.id]


def test_a_retry_of_a_follow_up_counts_for_the_follow_up(transcript: Transcript) -> None:
    session = mapped("a")
    transcript(str(session[0].conversation_id))
    failed = session.results_df().assign(say=BAD).cpr.follow_up("{say}", attempts=1)
    again = failed.wait(LIMIT_S).retry().wait(LIMIT_S)
    assert failed.results_df()["session_id"].tolist() == [again.id]
    assert session.results_df()["session_id"].tolist() == [session.id]


def test_a_follow_up_is_retried_from_the_same_conversation(
    stub: Stub, transcript: Transcript
) -> None:
    session = mapped("a")
    transcript(str(session[0].conversation_id))
    prompts = pd.DataFrame(session.results_df()).assign(say=BAD)
    failed = prompts.cpr.follow_up("{say}", attempts=1).wait(LIMIT_S)
    assert not failed[0].ok
    again = failed.retry().wait(LIMIT_S)
    argv = stub.calls()[again[0].id]["argv"]
    assert argv[argv.index("--resume") + 1] == session[0].conversation_id


def test_the_frame_of_a_follow_up_has_what_was_asked_and_factors_once(
    transcript: Transcript,
) -> None:
    df = pd.DataFrame({"prompt": ["a"], "state": ["open"]})
    session = cpr.map("{prompt} {tone}", df, vary={"tone": ["dry"], "effort": ["low"]})
    transcript(str(session.wait(LIMIT_S)[0].conversation_id))
    more = session.results_df().cpr.follow_up("{state} {tone}").wait(LIMIT_S)
    out = more.results_df()
    assert list(out.columns[:5]) == ["prompt", "state", "tone", "effort", "result"]
    assert out["prompt"].tolist() == ["a"] and more[0].prompt == "open dry"
    assert more.tasks_df()["tone"].tolist() == ["dry"]
    transcript(str(more[0].conversation_id))
    third = more.tasks_df().cpr.follow_up("{state}").wait(LIMIT_S)
    assert third[0].prompt == "ended" and third.results_df()["tone"].tolist() == ["dry"]
    assert list(third.results_df().columns) == list(out.columns)


def test_without_a_transcript_there_is_no_follow_up() -> None:
    session = mapped("a")
    with pytest.raises(
        cpr.SessionNotUsable, match=r"its conversation .* is no longer in .*projects"
    ):
        session.tasks_df().cpr.follow_up("more")
    assert len(cpr.sessions_df()) == 1


def test_a_conversation_that_lost_its_beginning_is_not_followed_up(transcript: Transcript) -> None:
    session = mapped("a")
    transcript(str(session[0].conversation_id)).write_text('{"type": "assistant"}\n')
    with pytest.raises(cpr.SessionNotUsable, match="has lost its beginning"):
        session.tasks_df().cpr.follow_up("more")
    assert len(cpr.sessions_df()) == 1


def test_the_transcript_is_searched_where_the_agents_environment_puts_it(
    transcript: Transcript, tmp_path: Path
) -> None:
    env = {"CLAUDE_CONFIG_DIR": str(tmp_path / "other")}
    session = cpr.launch(["a"], env=env).wait(LIMIT_S)
    path = transcript(str(session[0].conversation_id))
    with pytest.raises(cpr.SessionNotUsable, match=r"is no longer in .*other/projects"):
        session[0].follow_up("more", env=env)
    (tmp_path / "other/projects/here").mkdir(parents=True)
    path.rename(tmp_path / "other/projects/here" / path.name)
    assert session[0].follow_up("more", env=env).wait(LIMIT_S)[0].ok


@pytest.mark.parametrize("row", [1, -1, "x", None])
def test_a_row_that_is_not_in_the_frame_has_a_prompt(row: Any) -> None:
    session = mapped(BAD)
    told = asked(session)
    told["tasks"][0]["row"] = row
    Path(session.paths.session).write_text(json.dumps(told))
    assert list(session.results_df().columns[:2]) == ["prompt", "result"]
    if row in (-1, "x"):
        with pytest.raises(cpr.SessionNotUsable, match=r"tasks\[0\]\.row is .*, not a"):
            cpr.trust(session.id, yes=True)
        return
    cpr.trust(session.id, yes=True)
    again = session.retry().wait(LIMIT_S)
    assert list(again.results_df().columns[:2]) == ["prompt", "result"]


def test_a_follow_up_needs_a_value_in_each_place() -> None:
    session = mapped("a", BAD)
    with pytest.raises(cpr.InputError, match="the table's row 'r1': 'result' has no value"):
        session.results_df().cpr.follow_up("You said {result}")
    with pytest.raises(cpr.InputError, match="several rows of the task"):
        pd.concat([session.tasks_df()] * 2).cpr.follow_up("more")
    assert len(cpr.sessions_df()) == 1


def test_a_legacy_session_has_no_conversations(tmp_path: Path) -> None:
    legacy = Path(__file__).parents[1] / "store" / "legacy-results"
    table = cpr.tasks_df(legacy)
    with pytest.raises(cpr.SessionNotUsable, match=r"claude-parallel-runner\.pl kept only 50"):
        table.cpr.follow_up("more")


def test_a_follow_up_in_words_has_no_type(transcript: Transcript) -> None:
    so = plan(result={"structured_output": {"n": 1}})
    schema = {"n": int}
    session = cpr.launch([so, {"prompt": so, "schema": schema}], schema=schema).wait(LIMIT_S)
    for task in session:
        transcript(str(task.conversation_id))
        assert task.follow_up("why?").wait(LIMIT_S)[0].result() == "done"


def test_a_single_task_is_followed_up(stub: Stub, transcript: Transcript) -> None:
    session = mapped("a", "b")
    transcript(str(session[1].conversation_id))
    more = session[1].follow_up("And now {this}.").wait(LIMIT_S)
    assert stub.calls()[more[0].id]["stdin"] == "And now {this}."
    assert more.results_df().index.tolist() == ["r1"]
    with pytest.raises(cpr.InputError, match="is empty"):
        session[1].follow_up(" ")
