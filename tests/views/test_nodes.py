"""The line of nodes of a session, as every interface shows it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.node_entries import node, silent

from cpr_nb.model import states
from cpr_nb.model.text import visible_line
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.views.node_line import node_pieces, nodes_text
from cpr_nb.views.nodes import n_without_node, node_rows, nodes_of, silent_nodes
from cpr_nb.views.notice import notice

NOW_S = 1_800_000_000.0
A, B = node("node-a", n_running=2), node("node-b", n_running=1)


def snapshot(*nodes: Any, state: str = "running", **head: Any) -> Snapshot:
    fields = {"schema_version": 1, "nodes": list(nodes), **head}
    return Snapshot(SessionPaths("/r/session-3f2a"), fields, [], state)


def line(*nodes: Any) -> str:
    return nodes_text(snapshot(*nodes), NOW_S)


def test_the_silent_node_comes_last_and_says_what_happens_and_when() -> None:
    assert line(silent("node-c", 3, NOW_S), A, B) == (
        "3 nodes   ● node-a 2 of 2 busy   ● node-b 1 of 2 busy   "
        "⚠ node-c silent for 0:42 · its 3 tasks move to other nodes in 0:18 unless it answers"
    )


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            silent("c", 1, NOW_S),
            "silent for 0:42 · its task moves to other nodes in 0:18 unless it answers",
        ),
        (silent("c", 0, NOW_S), "silent for 0:42"),
        (node("c", "silent"), "silent"),
        (node("c", "leaving", n_running=1), "leaving, 1 of 2 busy"),
        (node("c", "no_login"), "is not logged in, takes no tasks"),
        (node("c", "refused", why="wrong\nkey"), "refused: wrong key"),
        (node("c", "refused"), "refused"),
    ],
)
def test_what_is_said_of_a_node_that_does_not_work(one: dict[str, Any], words: str) -> None:
    assert line(A, one).endswith(f"c {words}")


def test_without_another_node_the_tasks_of_a_silent_one_wait() -> None:
    assert "its 2 tasks wait for another node in 0:18" in line(silent("c", 2, NOW_S))


def test_one_node_that_works_needs_no_line() -> None:
    assert line(A) == line() == ""
    for state in ("completed", "interrupted", "unreachable"):
        assert nodes_text(snapshot(A, B, state=state), NOW_S) == "", "nobody knows of them"


def test_nodes_that_are_gone_are_counted() -> None:
    gone = [node("d", "left"), node("e", "lost"), node("f", "left")]
    assert line(A, *gone) == "1 node   ● node-a 2 of 2 busy   2 left, 1 lost"


def test_many_nodes_are_folded() -> None:
    many = [node(f"n{number:02}", n_running=1) for number in range(20)]
    text = line(*many, silent("z", 1))
    assert text.count("●") == 6 and "and 14 more, 14 of 28 busy" in text
    assert text.startswith("21 nodes ") and text.endswith("unless it answers")


def test_what_is_unknown_is_not_shown() -> None:
    assert line({"name": "x", "state": "live"}, {"name": "y", "state": "live", "n_running": 1}) == (
        "2 nodes   ● x   ● y 1 busy"
    )
    (row,) = node_rows(snapshot({"name": "x", "state": "live", "slots": "two", "login": 1}))
    assert {field: value for field, value in row.items() if value is not None} == {
        "name": "x",
        "state": "live",
    }


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
FIELDS = ("why", "slots", "n_running", "silent_at", "moves_at", "login", "clock_offset_s")
ENTRIES = st.fixed_dictionaries(
    {"name": ODD, "state": st.sampled_from(states.NODE_STATES) | ODD},
    optional=dict.fromkeys(FIELDS, ODD),
)


@given(st.lists(ENTRIES | ODD, max_size=5) | ODD)
def test_whatever_the_file_holds_is_shown_in_one_line(entries: Any) -> None:
    odd = snapshot()
    odd.head["nodes"] = entries
    text = nodes_text(odd, NOW_S)
    assert visible_line(text) == text and len(nodes_of(odd)) == len(node_rows(odd))
    assert len(silent_nodes(odd)) <= len(nodes_of(odd))
    assert all(re.fullmatch(r"\S?", piece.symbol) for piece in node_pieces(odd))


def test_the_notice_says_that_no_node_is_connected_and_how_many_tasks_wait() -> None:
    waiting = snapshot(
        node("a", "lost"),
        state="waiting",
        waiting_for="nodes",
        notice="no node is connected",
        total=12,
        completed=5,
    )
    assert n_without_node(waiting) == 7
    assert notice(waiting) == (
        "no node is connected. 7 tasks are waiting; to add one: cpr nodes add 3f2a ssh:HOST; "
        "to see why: cpr doctor --nodes 3f2a"
    )
    waiting.head["nodes"] = [silent("a", 6), node("b", "no_login")]
    text = notice(waiting)
    assert text.startswith("no node answers. 1 task is waiting;"), "the other six may still run"


@pytest.mark.parametrize(
    ("executor", "command"),
    [
        ("slurm", "cpr nodes add 3f2a slurm;"),
        ("agents", "cpr agent /r/session-3f2a/join.json;"),
        ("dask", "s.add_nodes(client);"),
    ],
)
def test_the_notice_names_what_adds_one(executor: str, command: str) -> None:
    waiting = snapshot(state="waiting", waiting_for="nodes", executor=executor, total=1)
    assert f"1 task is waiting; to add one: {command}" in notice(waiting)


@pytest.mark.parametrize(
    ("found", "words"),
    [("no_login", "no node is logged in"), ("leaving", "all nodes are leaving")],
)
def test_the_notice_says_what_is_wrong_with_the_nodes(found: str, words: str) -> None:
    waiting = snapshot(node("a", found), node("b", "left"), state="waiting", waiting_for="nodes")
    assert notice(waiting).startswith(f"{words}. 0 tasks are waiting;")


def test_the_notice_names_a_missing_cli() -> None:
    lacking = {**node("a", "live"), "claude_path": None}
    waiting = snapshot(lacking, node("b", "left"), state="waiting", waiting_for="nodes")
    assert notice(waiting).startswith("no connected node has the Claude Code CLI. ")
