"""The library: launch, attach, handles on sessions and tasks."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import signal
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.stub import Stub, plan

import cpr_nb as cpr

LIMIT_S = 120.0
LEGACY = Path(__file__).parent / "store" / "legacy-results"
BAD = plan(result=None, exit=3, stderr="something broke")
EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def held_session(stub: Stub) -> cpr.Session:
    """A session whose only task runs until the test releases it."""
    stub.fifos("held")
    session = cpr.launch([plan(here="held", gate="held")])
    stub.await_here("held")
    session.wait_until(session[0].running, LIMIT_S, "the task")
    return session


# --- launch -------------------------------------------------------------------------------------


def test_launch_runs_tasks_and_wait_returns_the_session(work: Path, stub: Stub) -> None:
    session = cpr.launch(["one", {"id": "two", "prompt": "2"}], max_parallel=2, name="mine")
    assert session.wait(timeout=LIMIT_S) is session
    assert session.done() and session.state == "completed" and len(session) == 2
    assert session.path == work / "results" / f"session-{session.id}"
    assert (session.name, session.cost_usd) == ("mine", 0.5)
    assert [task.num for task in session] == [1, 2]
    assert [task.prompt for task in session] == ["one", "2"]
    assert [task.result() for task in session] == ["done", "done"]
    assert repr(session) == (
        f"<Session {session.id[:8]} mine completed: 2 tasks, 2 succeeded, USD 0.50 estimate>"
    )
    assert repr(session[1]) == "<Task 2 two succeeded>"


def test_launch_takes_any_iterable_of_prompts() -> None:
    session = cpr.launch(text for text in ("a", "b", "c"))
    assert len(session.wait(LIMIT_S)) == 3


@pytest.mark.parametrize(
    ("prompts", "options", "error", "words"),
    [
        ("one text", {}, cpr.InputError, "prompts: must be a list"),
        ([], {}, cpr.InputError, "has no prompts"),
        (["a", " "], {}, cpr.InputError, r"prompts\[1\]: is empty"),
        (["a"], {"modle": "opus"}, cpr.UnknownOption, "unknown option 'modle'; did you mean model"),
        (["a"], {"max_parallel": "3"}, cpr.InputError, "max_parallel: must be a whole number"),
        (["a"], {"permissions": "root"}, cpr.InputError, "permissions: must be one of read"),
        (["a"], {"claude_path": "/nope"}, cpr.ClaudeNotFound, "/nope is not a program"),
        (["a"], {"results_dir": "/proc/x"}, cpr.ResultsDirError, "can't write to the results"),
        (["a"], {"schema": {"n": complex}}, cpr.InputError, "schema: 'n' has a type that JSON"),
        (["a"], {"schema": {"n": "int"}}, cpr.InputError, "schema: must be .*'n' is 'int'"),
        ([{"prompt": "a", "schema": int}], {}, cpr.InputError, r"prompts\[0\].schema: must be"),
        ([{"prompt": "a", "id": "../x"}], {}, cpr.InputError, r"prompts\[0\].id: '../x' can't be"),
    ],
)
def test_launch_refuses_what_cannot_be_right_and_creates_nothing(
    prompts: Any, options: dict[str, Any], error: type[Exception], words: str, work: Path
) -> None:
    with pytest.raises(error, match=words):
        cpr.launch(prompts, **options)
    assert not any(work.iterdir())


def test_an_option_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(cpr.UnknownOption) as caught:
        cpr.launch(["a"], timeout=3)
    assert caught.value.name == "timeout" and "timeout_s" in caught.value.nearest
    assert isinstance(caught.value, ValueError)


def test_a_dry_run_says_what_would_run(work: Path, stub: Stub) -> None:
    rows = cpr.launch(
        ["a", {"id": "x", "prompt": "b", "env": {"B": "s"}}],
        dry_run=True,
        model="opus",
        env={"A": "s"},
    )
    assert [row["prompt"] for row in rows] == ["a", "b"]
    assert (rows[1]["task_id"], rows[1]["model"], rows[1]["env"]) == ("x", "opus", ["A", "B"])
    assert not any(work.iterdir()) and stub.calls() == {}


def test_a_slash_command_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"prompts\[0\]: begins with '/'"):
        rows = cpr.launch(["/help"], dry_run=True)
    assert len(rows) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cpr.launch(["what does /help do?"], dry_run=True)


# --- tasks --------------------------------------------------------------------------------------


def test_a_task_is_found_by_index_number_and_id() -> None:
    names = ("alpha", "beta", "7")
    session = cpr.launch([{"id": name, "prompt": name} for name in names]).wait(LIMIT_S)
    assert [session[0].id, session[-1].id] == ["alpha", "7"]
    ids = {"alpha": "alpha", "be": "beta", 2: "beta", "3": "7", "7": "7"}
    assert {key: session.task(key).id for key in ids} == ids
    for missing in (0, 4, "gamma", "", -1):
        with pytest.raises(cpr.TaskNotFound):
            session.task(missing)
    with pytest.raises(IndexError):
        session[3]


def test_a_failure_is_raised_where_its_result_is_asked_for() -> None:
    session = cpr.launch(["a", {"id": "bad", "prompt": BAD}]).wait(LIMIT_S)
    assert session[0].exception() is None
    error = session[1].exception()
    assert isinstance(error, cpr.TaskFailed)
    assert (error.task_id, error.reason) == ("bad", "usage_error")
    assert str(error) == "task 2 (bad) failed: usage_error: something broke"
    with pytest.raises(cpr.TaskFailed):
        session[1].result()
    with pytest.raises(cpr.TaskError, match="something broke"):
        session.raise_for_failures()
    assert (session[1].ok, session[1].outcome, session[1].error) == (
        False,
        "failed",
        "something broke",
    )
    good = cpr.launch(["a"]).wait(LIMIT_S)
    assert good.raise_for_failures() is good


def test_a_result_is_the_object_if_there_was_a_schema() -> None:
    answer = plan(result={"result": "In words.", "structured_output": {"n": 3}})
    session = cpr.launch([answer], schema={"type": "object"})
    assert session[0].result(LIMIT_S) == {"n": 3}
    assert session[0].text == "In words."


@dataclass
class Found:
    n: int
    day: date | None = None


def test_a_result_is_of_the_type_that_its_own_handle_was_given() -> None:
    answer = plan(result={"structured_output": {"n": 3, "day": "2026-05-01"}})
    own = {"id": "own", "prompt": answer, "schema": {"day": date}}
    wrong = {"id": "wrong", "prompt": plan(result={"structured_output": {"n": "many"}})}
    session = cpr.launch([answer, own, wrong], schema=Found).wait(LIMIT_S)
    assert session[0].result() == Found(3, date(2026, 5, 1))
    assert session[1].result() == {"day": date(2026, 5, 1)}
    assert session[0].structured == {"n": 3, "day": "2026-05-01"}
    with pytest.raises(cpr.AnswerError, match=r"^task 3 \(wrong\): .* not fit Found: .*`\$\.n`"):
        session[2].result()
    assert session[2].ok and session[2].exception() is None
    # On the disk there is the JSON schema, and so another handle gives what the CLI gave.
    assert cpr.attach(session.id)[0].result() == session[0].structured
    spec = json.loads((session.path / "session.json").read_text())
    assert spec["options"]["schema"]["properties"]["n"] == {"type": "integer"}
    again = session.retry(all_tasks=True).wait(LIMIT_S)
    assert again[0].result() == Found(3, date(2026, 5, 1))
    assert again[1].result() == {"day": date(2026, 5, 1)}
    plain = session.retry(all_tasks=True, schema={"type": "object"}).wait(LIMIT_S)
    assert plain[0].result() == plain[1].result() == session[0].structured


def test_a_timeout_ends_the_wait_and_not_the_work(stub: Stub) -> None:
    session = held_session(stub)
    for wait in (session.wait, session[0].result, session[0].exception):
        with pytest.raises(cpr.WaitTimeout) as caught:
            wait(timeout=0)
        assert isinstance(caught.value, TimeoutError)
    with pytest.raises(cpr.WaitTimeout):
        list(session.as_completed(timeout=0))
    assert session[0].running() and not session[0].done() and not session.done()
    stub.release("held")
    assert session[0].result(timeout=LIMIT_S) == "done"
    session.wait(LIMIT_S)


def test_tasks_come_as_they_complete(stub: Stub) -> None:
    names = ("first", "second", "third")
    stub.fifos(*names)
    session = cpr.launch([{"id": n, "prompt": plan(here=n, gate=n)} for n in names], max_parallel=0)
    for name in names:
        stub.await_here(name)
    seen = []
    stub.release("third")
    for task in session.as_completed(LIMIT_S):
        seen.append(task.id)
        if len(seen) < 3:
            stub.release(names[2 - len(seen)])
    assert seen == ["third", "second", "first"]
    session.wait(LIMIT_S)
    assert sorted(task.id for task in session.as_completed()) == sorted(names)


def test_a_session_can_be_awaited_while_others_run(stub: Stub) -> None:
    stub.fifos("held")
    elements = [plan(here="held", gate="held"), {"id": "quick", "prompt": "b"}]
    session = cpr.launch(elements, max_parallel=2)
    stub.await_here("held")

    async def main() -> list[str]:
        seen = []

        async def follow() -> None:
            async for task in session.as_completed(LIMIT_S):
                seen.append(task.id)
                if task.id == "quick":
                    await asyncio.to_thread(stub.release, "held")

        _, awaited = await asyncio.gather(follow(), _await(session))
        assert awaited is session
        return seen

    assert asyncio.run(main()) == ["quick", session[0].id]
    assert session.state == "completed"


async def _await(session: cpr.Session) -> cpr.Session:
    return await session


def test_cancel_ends_a_task_or_the_session(stub: Stub) -> None:
    stub.fifos("one", "two")
    session = cpr.launch(
        [plan(here="one", gate="one"), plan(here="two", gate="two"), "c"], max_parallel=0
    )
    stub.await_here("one")
    stub.await_here("two")
    assert session[2].result(LIMIT_S) == "done"
    assert session[0].cancel() is True
    with pytest.raises(cpr.TaskCancelled):
        session[0].result(LIMIT_S)
    assert session[0].cancelled() and session[0].cancel() is False
    assert session[1].running()
    assert session.cancel() is True
    assert session.wait(LIMIT_S).state == "cancelled"
    assert session.cancel() is False
    assert [task.outcome for task in session] == ["cancelled", "cancelled", "succeeded"]


def test_retry_runs_what_failed_again(stub: Stub) -> None:
    session = cpr.launch(["a", {"id": "bad", "prompt": BAD}], env={"KEY": "k"}).wait(LIMIT_S)
    with pytest.raises(cpr.InputError, match="the session set KEY"):
        session.retry()
    new = session.retry(env={"KEY": "new"}, model="opus").wait(LIMIT_S)
    assert [task.id for task in new] == ["bad"]
    assert new.head["parent_session_id"] == session.id
    assert stub.calls()["bad"]["env"]["KEY"] == "new"
    assert len(session.retry(all_tasks=True, env={"KEY": "x"}).wait(LIMIT_S)) == 2
    with pytest.raises(cpr.UnknownOption):
        session.retry(modle="opus", env={"KEY": "x"})


# --- attach -------------------------------------------------------------------------------------


def test_attach_opens_a_session_by_id_prefix_or_name(work: Path) -> None:
    session = cpr.launch(["a"], name="my work").wait(LIMIT_S)
    for word in (session.id, session.id[:4], "my work", f"session-{session.id}"):
        assert cpr.attach(word).id == session.id
    assert cpr.attach("my work", results_dir=work / "results").path == session.path
    for missing in ("nope", session.id[:3], ""):
        with pytest.raises(cpr.SessionNotFound):
            cpr.attach(missing)
    cpr.launch(["a"], name="my work").wait(LIMIT_S)
    with pytest.raises(cpr.AmbiguousSession) as caught:
        cpr.attach("my work")
    assert session.id in caught.value.candidates and len(caught.value.candidates) == 2


def test_attach_follows_a_session_that_runs(stub: Stub) -> None:
    stub.fifos("held")
    first = cpr.launch([plan(here="held", say="so far", gate="held")])
    stub.await_here("held")
    second = cpr.attach(first.id)
    second.wait_until(second[0].running, LIMIT_S, "the task")
    assert second[0].text == "so far"
    stub.release("held")
    assert second.wait(LIMIT_S)[0].result() == "done" == first[0].result(LIMIT_S)


def test_attach_reads_legacy_sessions(work: Path) -> None:
    shutil.copytree(LEGACY, work / "results")
    session = cpr.attach("eb0e")
    assert session.wait().state == "completed" and len(session) == 3
    assert [task.ok for task in session] == [True, False, True]
    assert session[2].result() == "[ID: x] Answer to: ok"
    with pytest.raises(cpr.TaskFailed):
        session[1].result()
    with pytest.raises(
        cpr.SessionNotUsable, match=r"claude-parallel-runner\.pl kept only 50 characters"
    ):
        session.retry()
    assert session.cancel() is False
    assert cpr.attach("58f2").task("docs-task").prompt == "Add documentation"


# --- charts -------------------------------------------------------------------------------------


def test_charts_show_a_session_that_runs_and_one_that_ended(stub: Stub, work: Path) -> None:
    session = held_session(stub)
    assert "1 task · running" in session.timeline().text
    assert "1 unknown" in session.cost_chart().text
    stub.release("held")
    session.wait(LIMIT_S)
    timeline = session.timeline()
    assert "1: succeeded" in timeline.svg and "USD 0.25 estimate" in timeline.text
    timeline.save(work / "timeline.svg")
    assert (work / "timeline.svg").read_text().startswith("<svg ")
    shutil.copytree(LEGACY, work / "results", dirs_exist_ok=True)
    with pytest.raises(
        cpr.SessionNotUsable, match=r"claude-parallel-runner\.pl wrote this session"
    ):
        cpr.attach("eb0e").timeline()


# --- a handle is only a view --------------------------------------------------------------------


def test_to_drop_a_handle_leaves_the_work(stub: Stub, work: Path) -> None:
    session = held_session(stub)
    session_id = session.id
    del session
    gc.collect()
    again = cpr.attach(session_id)
    assert again.state == "running"
    stub.release("held")
    assert again.wait(LIMIT_S)[0].ok


def test_ctrl_c_in_a_wait_leaves_the_work(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    session = held_session(stub)
    waiting = threading.Event()
    refresh = session.refresh

    def looked() -> cpr.Session:
        waiting.set()
        return refresh()

    monkeypatch.setattr(session, "refresh", looked)

    def press() -> None:
        waiting.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        session.wait(LIMIT_S)
    presser.join()
    assert session.state == "running"
    stub.release("held")
    assert session.wait(LIMIT_S)[0].result() == "done"


def test_a_launch_leaves_no_process_of_ours(stub: Stub) -> None:
    before = processes.children()  # such as the server of the browser's tests
    session = held_session(stub)
    assert processes.children() == before, "a runner is nobody's child, and no zombie either"
    stub.release("held")
    session.wait(LIMIT_S)
