"""What a person does with a session: the same on nodes as on this machine."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from testkit.command import LIMIT_S, prompts
from testkit.stub import plan

import cpr_nb as cpr
from executors.place import Both, Place


def named(**texts: str) -> str:
    """The text of a prompts file with these tasks: id → prompt."""
    return prompts(*[{"id": name, "prompt": text} for name, text in texts.items()])


def held(place: Place, *names: str) -> list[dict[str, Any]]:
    """Tasks that say that they are there, and wait until they are released."""
    place.stub.fifos(*names)
    return [{"id": name, "prompt": plan(here=name, gate=name)} for name in names]


def test_every_end_of_a_process(stubs: Both) -> None:
    ends: Mapping[str, Mapping[str, Any]] = {
        "good": {},
        "says": {"say": "I say.", "tool": ["Read", {"file_path": "x"}], "result": {"result": "ö"}},
        "wrong": {"result": {"is_error": True, "result": "no", "subtype": "error"}},
        "no-result": {"result": None},
        "code": {"result": None, "exit": 3, "stderr": "it broke"},
        "signal": {"result": None, "signal": int(signal.SIGKILL)},
        "code-after-result": {"exit": 1},
        "no-json": {"raw": "no JSON\x1b[31m", "result": {"result": "all the same"}},
        "long": {"raw": '{"type": "x", "text": "' + "ä" * 300_000 + '"}'},
        "left": {"spawn": ["setsid", "nohup"]},
        "writes": {"write": {"made.txt": "made"}},
    }
    elements = [{"id": name, "prompt": plan(**what)} for name, what in ends.items()]

    def scenario(place: Place) -> cpr.Session:
        return place.launch(prompts(*elements), "-j4", "--attempts", "1")

    for session in stubs.play(scenario):
        bad = {task.id for task in session if not task.ok}
        assert bad == {"wrong", "no-result", "code", "signal", "code-after-result"}
        assert "it broke" in (session.path / "task-code.err").read_text()
    for place in stubs:
        assert (place.work / "made.txt").read_text() == "made"
        for element in elements:
            call = place.stub.calls()[element["id"]]
            assert call["stdin"] == element["prompt"] and call["cwd"] == str(place.work)


def test_the_environment_of_a_task(stubs: Both) -> None:
    elements = [{"id": name, "prompt": name, "env": {"OWN": f"of {name}"}} for name in "ab"]

    def scenario(place: Place) -> cpr.Session:
        return place.launch(prompts(*elements), "--env", "ALL=everywhere", "--timeout-s", "100")

    sessions = stubs.play(scenario)
    seen = []
    for place, session in zip(stubs, sessions, strict=True):
        calls = place.stub.calls()
        assert {calls[name]["env"]["OWN"] for name in "ab"} == {"of a", "of b"}
        assert {calls[name]["env"]["ALL"] for name in "ab"} == {"everywhere"}
        assert {calls[name]["env"]["CPR_SESSION_ID"] for name in "ab"} == {session.id}
        seen.append({name: {*calls[name]["env"]} - {"CPR_NODE"} for name in "ab"})
    assert seen[0] == seen[1]


def test_attempts_after_a_passing_failure(stubs: Both) -> None:
    texts = {
        "killed": plan(result=None, signal=9),
        "silent": plan(here="silent", gate="silent"),
        "wrong": plan(result=None, exit=1),
        "good": "x",
    }

    def scenario(place: Place) -> cpr.Session:
        place.stub.fifos("silent")
        elements: list[dict[str, Any]] = [
            {"id": name, "prompt": text} for name, text in texts.items()
        ]
        elements[1]["silence_s"] = 1  # the others may need longer on a busy machine
        session = place.launch(prompts(*elements), "-j4", "--attempts", "2")
        for _ in range(2):
            place.stub.await_here("silent")
        return session

    for session in stubs.play(scenario):
        assert [task.attempts for task in session] == [2, 2, 2, 1]
        assert [task.reason for task in session] == ["signal", "silence", "unknown", "completed"]


def test_a_task_and_then_all_are_cancelled(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        session = place.launch(prompts(*held(place, "a", "b"), {"id": "c", "prompt": "c"}), "-j2")
        for name in "ab":
            place.stub.await_here(name)
        place.command.good("cancel", session.id, "--task", "a")
        session.wait_until(lambda: session[2].ok, LIMIT_S, "the task in the queue")
        place.command.good("cancel", session.id)
        return session

    for session in stubs.play(scenario):
        assert [task.outcome for task in session] == ["cancelled", "cancelled", "succeeded"]


def test_a_pause(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        session = place.launch(prompts(*held(place, "a"), {"id": "b", "prompt": "b"}), "-j1")
        place.stub.await_here("a")
        place.command.good("pause", session.id)
        session.wait_until(lambda: session.snapshot.state == "paused", LIMIT_S, "the pause")
        place.stub.release("a")
        session.wait_until(lambda: session[0].ok, LIMIT_S, "the first task")
        assert session[1].state == "pending"
        place.command.good("resume", session.id)
        return session

    for session in stubs.play(scenario):
        assert [task.ok for task in session] == [True, True]


def test_no_more_run_at_once_than_was_asked_for(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        names = ("a", "b", "c", "d")
        session = place.launch(prompts(*held(place, *names)), "-j2")
        assert {place.stub.await_here(name) for name in "ab"} == {"a", "b"}
        session.wait_until(lambda: session.snapshot.count("n_running") == 2, LIMIT_S, "two")
        assert {*place.stub.calls()} == {"a", "b"}
        place.command.good("set", session.id, "max-parallel=4")
        assert {place.stub.await_here(name) for name in "cd"} == {"c", "d"}
        for name in names:
            place.stub.release(name)
        return session

    stubs.play(scenario)


def test_checks(stubs: Both) -> None:
    check = 'echo "$CPR_TASK_ID in $(pwd)"; test "$CPR_TASK_ID" = made && test -e made'

    def scenario(place: Place) -> cpr.Session:
        text = named(made=plan(write={"made": "x"}), other="x")
        return place.launch(text, "--check", check, "--attempts", "1")

    for place, session in zip(stubs, stubs.play(scenario), strict=True):
        assert [task.outcome for task in session] == ["succeeded", "failed"]
        for task in session:
            log = (session.path / f"task-{task.id}.check.log").read_text()
            assert log == f"{task.id} in {place.work}\n"


def test_a_check_that_takes_too_long(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        options = ("--check", "sleep 600", "--check-timeout-s", "0.2", "--attempts", "1")
        return place.launch(named(a="x"), *options)

    for session in stubs.play(scenario):
        assert session[0].outcome == "failed" and "check" in (session[0].error or "")


def test_limits_of_time(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        (element,) = held(place, "a")
        session = place.launch(prompts({**element, "timeout_s": 3}, {"id": "b", "prompt": "b"}))
        place.stub.await_here("a")
        return session

    for session in stubs.play(scenario):
        assert [task.reason for task in session] == ["timeout", "completed"]


def test_a_budget(stubs: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        text = named(**dict.fromkeys("abcde", plan(result={"total_cost_usd": 0.5})))
        return place.launch(text, "-j1", "--budget-usd", "1.2")

    for session in stubs.play(scenario):
        assert {task.reason for task in session} == {"completed", "budget"}
