"""How many run at once by default: every interface says the number, and why."""

from __future__ import annotations

import fcntl
import json

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

from cpr_nb.launching.machine import default_parallel
from cpr_nb.runner.growth import BUSY, MEMORY, MOST, WAITING
from cpr_nb.store.resources import MOST_TASKS, TASKS_PER_CORE, usable_cores

N_TASKS = 30


def held(n_tasks: int) -> str:
    """So many tasks whose agents have answered and go on, until the gate is open."""
    return prompts(*[plan(say="I work.", lock="all") for _ in range(n_tasks)])


def test_the_default_grows_or_says_why_it_does_not(stub_cpr: Cpr, stub: Stub) -> None:
    default = default_parallel(N_TASKS)
    text = stub_cpr.good("run", "--dry-run", stdin=held(N_TASKS))
    assert f" at first, while they wait for the API up to {default.most}\n" in text
    lock = (stub.folder / "lock-all").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    session = stub_cpr.launch(held(N_TASKS))
    spec = json.loads((session.path / "session.json").read_text())
    first = spec["first_parallel"]
    assert (
        spec["max_parallel"]
        == default.most
        == min(N_TASKS, MOST_TASKS, TASKS_PER_CORE * round(usable_cores()))
    )
    session.wait_until(
        lambda: session.head.get("parallel_why") in (BUSY, MEMORY, MOST, WAITING), LIMIT_S, "a word"
    )
    head = session.refresh().head
    assert first <= head["parallel_now"] <= default.most
    assert default_parallel(N_TASKS).first <= default.first, "what it may yet start counts"
    shown = stub_cpr.good("status", session.id)
    assert f"; at most {default.most})" in shown
    assert '"event":"parallel"' in (session.path / "journal.jsonl").read_text().replace(" ", "")
    stub_cpr.good("set", session.id, "max-parallel=1")
    session.wait_until(lambda: "parallel_now" not in session.refresh().head, LIMIT_S, "the set")
    assert session.max_parallel == 1
    lock.close()
    session.cancel()
    session.wait(LIMIT_S)


def test_a_number_that_is_given_is_obeyed_as_it_is(stub_cpr: Cpr) -> None:
    text = prompts(*["x"] * 9)
    assert "At once: 7\n" in stub_cpr.good("run", "-j7", "--dry-run", stdin=text)
    session = stub_cpr.launch(text, "-j7").wait(LIMIT_S)
    spec = json.loads((session.path / "session.json").read_text())
    assert spec["max_parallel"] == 7 and "first_parallel" not in spec
    assert "parallel_now" not in session.head
