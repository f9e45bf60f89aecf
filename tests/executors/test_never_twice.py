"""Nothing of an attempt runs any more when the next one begins, whatever is killed, stopped or cut.

Each promise has a guard of its own: `tests/boundary/mutations.py --only node` takes them out.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from testkit import processes
from testkit.command import LIMIT_S, prompts
from testkit.node_agents import JOIN_FILE
from testkit.relay import Relay
from testkit.stub import plan

from executors.place import Place

LEASE_S = "2"


class Held:
    """A task that waits at a gate on the node n1; n2 stands by.

    Args:
        place: Where.
        relay: Whether n1 reaches the runner by a relay.
        what: What the stub does besides.
    """

    def __init__(self, place: Place, *, relay: bool = False, **what: Any) -> None:
        self.place = place
        self._stack = ExitStack()
        place.stub.fifos("a")
        text = prompts({"id": "a", "prompt": plan(here="a", gate="a", say="I work.", **what)})
        options = ("--executor", "agents", "--lease-s", LEASE_S)
        self.session = place.command.launch(text, *options)
        ways: tuple[str, ...] = ()
        if relay:
            join = json.loads((self.session.path / JOIN_FILE).read_text())
            self.relay = self._stack.enter_context(Relay(join["port"]))
            ways = ("--address", self.relay.address)
        place.nodes.join(self.session, "n1", slots=1, options=ways)
        place.stub.await_here("a")
        place.nodes.join(self.session, "n2", slots=1)
        self.await_node("n2", "live")
        call = place.stub.calls()["a"]
        self.first = [call["pid"], *call["children"]]
        self.agent = place.nodes.processes["n1"].pid

    def __enter__(self) -> Held:
        """Its processes and the relay end with the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Ends them."""
        self.place.nodes.__exit__()
        self._stack.close()

    def await_node(self, name: str, state: str) -> None:
        """Waits until a node is in a state, as status.json tells it."""

        def is_there() -> bool:
            nodes = self.session.refresh().head.get("nodes", [])
            return any(node["name"] == name and node["state"] == state for node in nodes)

        self.session.wait_until(is_there, LIMIT_S, f"{name}: {state}")

    def await_next(self) -> None:
        """Waits for the second attempt; nothing of the first one may run then."""
        self.place.stub.await_here("a")
        assert not [pid for pid in self.first if is_alive(pid)]

    def finish(self) -> None:
        """Lets the second attempt end; the task has ended by it alone."""
        self.place.stub.release("a")
        (task,) = self.session.wait(LIMIT_S)
        processes.await_lock(self.session.path / "runner.lock")
        assert (task.outcome, task.fields["attempts"], task.fields["node"]) == (
            "succeeded",
            2,
            "n2",
        )
        ends = [line for line in self._journal() if line["event"] == "ended"]
        assert len(ends) == 1
        counted = [line for line in self._journal() if line.get("counted")]
        assert not counted, "a lost node is no failure"

    def _journal(self) -> list[dict[str, Any]]:
        text = (self.session.path / "journal.jsonl").read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def lives(self, name: str) -> set[str]:
        """The lives of the node agents of this name that have joined."""
        lines = [line for line in self._journal() if line["event"].startswith("node")]
        return {line["life"] for line in lines if line["name"] == name}

    def stream(self, name: str) -> str:
        """What is in a stream of the task."""
        return (self.session.path / name).read_text("utf-8")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in (b"Z", b"X")


def twin_of(agent: int) -> int:
    """The pid of the twin of a node agent: the one of its children that is its copy."""
    command = Path(f"/proc/{agent}/cmdline").read_bytes()
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    (twin,) = [pid for pid in children if Path(f"/proc/{pid}/cmdline").read_bytes() == command]
    return int(twin)


@pytest.fixture
def seen_place(tmp_path: Path, stub_env: dict[str, str]) -> Iterator[Place]:
    """A place with the stub, whose node agents the test starts: each sees what the other starts."""
    place = Place(tmp_path / "place", stub_env, 0)
    with place.nodes:
        yield place


@pytest.fixture
def place(tmp_path: Path, seen_place: Place) -> Place:
    """A place whose node agents don't see what the others start, as if on machines of their own.

    When the runner orders to end what is left of an attempt, every node agent looks for its token.
    Here the stub is without it.
    """
    unseen = tmp_path / "unseen"
    unseen.write_text(f'#!/bin/sh\nunset CPR_TASK_TOKEN\nexec "{seen_place.stub}" "$@"\n')
    unseen.chmod(0o755)
    seen_place.command.env["CPR_CLAUDE"] = str(unseen)
    return seen_place


def test_what_a_killed_node_agent_has_started_is_ended_by_its_twin(place: Place) -> None:
    with Held(place, spawn=["setsid", "nohup"]) as held:
        os.kill(held.agent, signal.SIGKILL)
        held.await_next()
        held.finish()


def test_a_task_dies_with_a_node_agent_whose_twin_is_killed_too(place: Place) -> None:
    with Held(place) as held:
        twin = twin_of(held.agent)
        processes.stop(twin)  # so that it can't do anything more
        os.kill(held.agent, signal.SIGKILL)
        os.kill(twin, signal.SIGKILL)
        held.await_next()
        held.finish()


def test_what_is_left_of_an_attempt_is_ended_and_the_next_one_goes_on(seen_place: Place) -> None:
    with Held(seen_place, spawn=["setsid"]) as held:
        twin = twin_of(held.agent)
        processes.stop(twin)
        os.kill(held.agent, signal.SIGKILL)
        seen_place.stub.await_here("a")
        for pid in held.first:
            processes.await_gone(pid)
        held.finish()
        os.kill(twin, signal.SIGKILL)
        processes.await_gone(twin)


def test_a_node_agent_that_hears_nothing_ends_its_task_before_another_begins(place: Place) -> None:
    with Held(place, relay=True, spawn=["setsid"]) as held:
        held.relay.cut()
        held.await_next()
        held.finish()


def test_the_twin_of_a_node_agent_that_stands_still_ends_its_task(place: Place) -> None:
    with Held(place, spawn=["setsid"]) as held:
        processes.stop(held.agent)
        held.await_next()
        held.finish()


def test_what_a_lost_node_tells_later_is_not_believed(place: Place) -> None:
    with Held(place, relay=True) as held:
        held.relay.cut()
        place.stub.release("a")  # the first attempt ends well, and nobody learns of it in time
        held.await_next()
        held.relay.mend()
        held.await_node("n1", "live")
        assert len(held.lives("n1")) == 2, "it has begun anew"
        assert held.session.refresh().head["n_running"] == 1, "the second attempt goes on"
        assert '"result"' not in held.stream("task-a.jsonl")
        held.finish()
        assert '"result"' in held.stream("task-a@2.jsonl")
