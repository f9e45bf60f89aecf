"""What the real CLI does for a task: the same on nodes as on this machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sharing.scenarios import SCENARIOS
from testkit.command import LIMIT_S, kill_agent, prompts, script
from testkit.repository import Checkout

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import RequestRecord
from executors.place import Both, Place

pytestmark = pytest.mark.real_cli

#: Every answer costs the same, whatever the cache holds.
USAGE = {
    "input_tokens": 1000,
    "output_tokens": 100,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
#: A sample of what a task can do; `python tests/executors/compare.py` plays all.
SAMPLE = (
    "tools",
    "file written",
    "denied",
    "error 500 once",
    "error 529",
    "a command in the background",
    "structure",
    "check fails",
)


def says(text: str = "done", **more: Any) -> dict[str, Any]:
    return {"text": text, "usage": USAGE, **more}


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command}, "usage": USAGE}


def task(name: str, *steps: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"id": name, "prompt": script(*steps), **options}


def test_what_tasks_do_and_how_they_end(reals: Both) -> None:
    elements = [SCENARIOS[name].element(name) for name in SAMPLE]

    def scenario(place: Place) -> cpr.Session:
        (place.work / "given.txt").write_text("x\n")
        return place.launch(prompts(*elements), "-j4")

    reals.play(scenario)


def test_a_killed_agent_goes_on_with_its_conversation(reals: Both) -> None:
    element = task("a", bash("true"), bash(kill_agent()), says("at last"), permissions="all")

    def scenario(place: Place) -> cpr.Session:
        return place.launch(prompts(element))

    for place, session in zip(reals, reals.play(scenario), strict=True):
        assert (session[0].attempts, session[0].text) == (2, "at last")
        assert [request.step for request in place.api.requests] == [0, 1, 2], (
            "nothing is paid twice"
        )


def test_one_leads_where_a_warm_start_is_asked_for(reals: Both) -> None:
    elements = [task(f"t{number}", says(hang_s=0.1)) for number in range(5)]

    def scenario(place: Place) -> cpr.Session:
        return place.launch(prompts(*elements), "-j4", "--warm-start")

    reals.play(scenario)
    for place in reals:
        assert place.api.cache_use.n_anew == 1 and place.api.cache_use.n_reads == 4


def test_a_conversation_is_followed_up(reals: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        session = place.finish(place.launch(prompts(task("a", says("one")))))
        return place.follow_up(session, "a", script(says("two")))

    for session in reals.play(scenario):
        assert [one.text for one in session] == ["two"]
    for place in reals:
        first, second = place.api.requests
        assert second.conversation_id != "" and second.n_messages > first.n_messages


def test_questions_are_answered(reals: Both) -> None:
    def wants(name: str) -> dict[str, Any]:
        return bash(f'python3 -c \'open("{name}", "w")\'')

    def scenario(place: Place) -> cpr.Session:
        elements = [task(name, wants(name), says()) for name in ("yes", "no")]
        session = place.launch(prompts(*elements), "--ask")
        session.wait_until(lambda: len(session.questions) == 2, LIMIT_S, "the questions")
        for question in session.questions:
            decision = ("--deny",) if question.task_id == "no" else ("--once",)
            place.command.good("answer", session.id, question.key, *decision)
        return session

    for place, session in zip(reals, reals.play(scenario), strict=True):
        assert [one.ok for one in session] == [True, True]
        assert (place.work / "yes").exists() and not (place.work / "no").exists()


def test_processes_are_shared(reals: Both) -> None:
    # The first two are held until both run, so that either place needs two processes.
    held = [{"wait": "go"} if number < 2 else {} for number in range(6)]
    elements = [task(f"t{n}", bash("true"), says(f"n{n}", **held[n])) for n in range(6)]

    def scenario(place: Place) -> cpr.Session:
        flags = ("-j2", "--share-process", "--permissions", "all")
        session = place.launch(prompts(*elements), *flags)
        asking = set[str]()

        def are_both_held(record: RequestRecord) -> bool:
            if record.step == 1:
                asking.add(record.conversation_id)
            return len(asking) == 2

        place.api.wait_for(are_both_held, LIMIT_S)
        place.api.release("go")
        return session

    for place, session in zip(reals, reals.play(scenario), strict=True):
        assert [one.text for one in session] == [f"n{number}" for number in range(6)]
        lines = map(json.loads, (session.path / "journal.jsonl").read_text().splitlines())
        served = [line["process"] for line in lines if line["event"] == "intent"]
        assert len(served) == 6 and len({*served}) == 2
        assert len(place.api.requests) == 12


def test_a_usage_limit_is_waited_out(subscribers: Both) -> None:
    elements = [task(f"t{number}", says()) for number in range(3)]

    def scenario(place: Place) -> cpr.Session:
        place.api.limit_usage(3600)
        session = place.launch(prompts(*elements), "-j1")
        waits = lambda: session.refresh().head.get("waiting_for") == "limit"  # noqa: E731
        session.wait_until(waits, LIMIT_S, "the wait")
        place.api.lift_limit()
        place.command.good("resume", session.id)
        return session

    for session in subscribers.play(scenario):
        assert [one.outcome for one in session] == ["succeeded"] * 3


def test_a_lost_login_is_waited_for(with_helpers: Both) -> None:
    elements = [task(f"t{number}", says()) for number in range(2)]

    def scenario(place: Place) -> cpr.Session:
        place.api.lose_login()
        session = place.launch(prompts(*elements), "-j1")

        def waits() -> bool:  # also for the end of the attempt, which might see the login again
            is_waiting = session.refresh().head.get("waiting_for") == "login"
            return is_waiting and not any(one.state == "running" for one in session)

        session.wait_until(waits, LIMIT_S, "the wait")
        place.api.restore_login()
        return session  # it tries again by itself

    for session in with_helpers.play(scenario):
        assert [one.outcome for one in session] == ["succeeded"] * 2


def test_work_of_worktrees_comes_back(reals: Both) -> None:
    def scenario(place: Place) -> cpr.Session:
        place.work.rmdir()
        checkout = Checkout.new(place.work)
        checkout.commit("first", {"a.txt": "one\n", ".gitignore": "results/\n"})
        writes = {"file_path": "{cwd}/b.txt", "content": "new\n"}
        write = {"tool": "Write", "input": writes, "usage": USAGE}
        copy = bash("cat set-up.txt > c.txt; git add c.txt; git commit -qm copied c.txt")
        elements = [task("writes", write, copy, says()), task("idle", says())]
        options = ("--worktree", "--setup", "echo $CPR_BRANCH > set-up.txt")
        options += ("--permissions", "all")
        return place.launch(prompts(*elements), *options)

    for place, session in zip(reals, reals.play(scenario), strict=True):
        assert [one.outcome for one in session] == ["succeeded"] * 2
        checkout = Checkout(place.work)
        branch = session[0].fields["branch"]
        assert checkout.git("show", f"{branch}:b.txt") == "new"
        assert checkout.git("show", f"{branch}:c.txt") == branch
