"""Which node gets the next task, and how many tasks all of them take."""

from __future__ import annotations

import pytest

from cpr_nb.model import states
from cpr_nb.runner.remote.node import Node
from cpr_nb.runner.remote.placement import best_node, n_slots


def node(name: str, state: str, n_running: int = 0, slots: int = 2, **more: object) -> Node:
    facts = {"name": name, "state": state, "slots": slots, "claude_path": "/bin/claude"}
    made = Node({"life": name, **facts, **more})
    made.tokens.update(f"{name}-{number}" for number in range(n_running))
    return made


@pytest.mark.parametrize("state", [states.SILENT, states.LEAVING, states.LOST, states.REFUSED])
def test_what_runs_on_a_node_that_takes_nothing_is_no_room(state: str) -> None:
    nodes = [node("n1", state, n_running=2)]
    assert best_node(nodes) is None
    assert n_slots(nodes) == 0, "a start without a node would be tried again at once, for ever"


def test_what_runs_on_a_silent_node_counts_beside_the_slots_of_others() -> None:
    nodes = [node("n1", states.SILENT, n_running=2), node("n2", states.LIVE, slots=3)]
    assert n_slots(nodes) == 5
    best = best_node(nodes)
    assert best is not None and best.name == "n2"


def test_the_node_with_the_most_free_slots_is_next() -> None:
    nodes = [node("n1", states.LIVE, n_running=1, slots=2), node("n2", states.LIVE, 2, slots=4)]
    best = best_node(nodes)
    assert best is not None and best.name == "n2"


def test_a_node_without_a_login_is_only_used_where_no_other_is() -> None:
    out, logged_in = node("n1", states.LIVE, login=False), node("n2", states.LIVE, 2)
    assert n_slots([out]) == 2
    assert n_slots([out, logged_in]) == 2
    best = best_node([out, logged_in])
    assert best is not None and best.name == "n2"


def test_a_node_without_a_cli_takes_nothing() -> None:
    nodes = [node("n1", states.LIVE, claude_path=None)]
    assert best_node(nodes) is None
    assert n_slots(nodes) == 0
