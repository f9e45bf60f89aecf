"""What a task does now: said for every recording, and for any stream without an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model.activity import Activity, tool_target
from cpr_nb.model.events import parse_line

RECORDINGS = Path(__file__).parent / "recordings"
STREAMS = {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl"))}


def follow(stream: bytes, cwd: str = "") -> tuple[Activity, list[str]]:
    """Feeds a stream; returns the activity and everything that it said on the way."""
    activity = Activity(cwd)
    said = [activity.now]
    for line in stream.splitlines():
        event = parse_line(line)
        if event is not None:
            activity.feed(event)
            if activity.now != said[-1]:
                said.append(activity.now)
    return activity, said


def call(tool_id: str, name: str = "Bash", at: object = None, **tool_input: object) -> dict:
    block = {"type": "tool_use", "id": tool_id, "name": name, "input": tool_input}
    return {"type": "assistant", "message": {"content": [block]}, "timestamp": at}


def answered(tool_id: str) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": tool_id, "content": "ok"}
    return {"type": "user", "message": {"content": [block]}}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plain", ["starting", "thinking", "Plain answer."]),
        (
            "tools",
            ["starting", "thinking", "I will run.", "Bash echo hi; echo err >&2; pwd",
             "I will run.", "Write a.txt", "I will run.", "Edit a.txt", "I will run.",
             "Bash cat a.txt; exit 3", "Read a.txt", "I will run.", "Done."],
        ),
        (
            "retry_429_ok",
            ["starting", "thinking", "API answered 429, retry 1 in 1 s",
             "API answered 429, retry 2 in 1 s", "ok"],
        ),
        ("cut_once", ["starting", "thinking", "API answered unknown, retry 1 in 1 s",
                      "a b c d e f g h"]),
        ("sigkill", ["starting", "thinking", "will sleep",
                     "Bash tail -f /dev/null & tail -f /dev/null; echo never"]),
        ("schema_ok", ["starting", "thinking", "working", "StructuredOutput", "working"]),
        ("perm_bypass_root_nosandbox", ["starting"]),
    ],
)  # fmt: skip
def test_a_recording_is_described_step_by_step(name: str, said: list[str]) -> None:
    assert follow(STREAMS[name], "/srv/cpr/w_tools")[1] == said


@pytest.mark.parametrize(
    ("name", "n_tool_calls", "n_denials", "running"),
    [
        ("plain", 0, 0, False),
        ("tools", 5, 0, False),
        ("sbx_default", 7, 0, False),
        ("perm_default", 5, 4, False),
        ("perm_acceptEdits", 5, 2, False),
        ("sigkill", 1, 0, True),
        ("sigterm", 1, 0, False),
        ("budget", 2, 0, True),
    ],
)
def test_a_recording_gives_its_calls_and_denials(
    name: str, n_tool_calls: int, n_denials: int, running: bool
) -> None:
    activity, _ = follow(STREAMS[name])
    assert activity.n_tool_calls == n_tool_calls
    assert activity.n_denials == n_denials
    assert activity.tool_running == running


def test_the_start_of_the_running_call_is_known_and_none_if_none_runs() -> None:
    assert follow(STREAMS["sigkill"])[0].tool_started_at == "2026-11-22T05:55:42.355Z"
    assert follow(STREAMS["plain"])[0].tool_started_at == ""


def test_of_several_running_calls_the_last_is_shown() -> None:
    activity = Activity()
    activity.feed(call("1", command="sleep 9", at="T1"))
    activity.feed(call("2", "Read", file_path="/a/b", at="T2"))
    assert (activity.now, activity.tool_started_at) == ("Read /a/b", "T2")
    activity.feed(answered("2"))
    assert (activity.now, activity.tool_started_at) == ("Bash sleep 9", "T1")
    activity.feed(answered("1"))
    assert (activity.now, activity.tool_running) == ("thinking", False)


def test_the_answer_of_another_call_ends_nothing() -> None:
    activity = Activity()
    activity.feed(call("1"))
    activity.feed(answered("2"))
    assert activity.tool_running


def test_files_below_the_folder_are_named_without_it() -> None:
    activity = Activity("/srv/repo/")
    activity.feed(call("1", "Read", file_path="/srv/repo/src/a.py"))
    assert activity.now == "Read src/a.py"
    activity.feed(call("2", "Read", file_path="/srv/repository/a.py"))
    assert activity.now == "Read /srv/repository/a.py"


def test_a_retry_is_shown_until_the_agent_speaks_again() -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 2, "error": "overloaded"}
    activity = Activity()
    activity.feed(call("1", command="make"))
    activity.feed(retry)
    assert activity.now == "API answered overloaded, retry 2"
    activity.feed({**retry, "error_status": 529, "retry_delay_ms": 1600})
    assert activity.now == "API answered 529, retry 2 in 2 s"
    activity.feed(call("2", command="ls"))
    assert activity.now == "Bash ls"


@pytest.mark.parametrize(
    ("tool_input", "target"),
    [
        ({"description": "d", "command": "ls"}, "ls"),
        ({"pattern": "*.py", "file_path": "/a"}, "/a"),
        ({"command": "", "url": "http://x"}, "http://x"),
        ({"command": ["ls"], "query": "q"}, "q"),
        ({"command": "a\n\tb\x1b[31m"}, "a b\\x1b[31m"),
        ({"command": "x" * 500}, "x" * 119 + "…"),
        ({}, ""),
        (None, ""),
        ("ls", ""),
    ],
)
def test_the_target_of_a_call_is_what_it_is_about(tool_input: object, target: str) -> None:
    assert tool_target(tool_input) == target


# -- any stream -------------------------------------------------------------------------------

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.just(10**400)
    | st.text(max_size=6)
    | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "id", "command"]), inner, max_size=3)
    ),
    max_leaves=5,
)
BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["tool_use", "tool_result", "text"]) | ODD,
        **dict.fromkeys(("id", "tool_use_id", "name", "input", "text"), ODD),
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["assistant", "user", "system", "result", "later"])},
    optional={
        "subtype": st.sampled_from(["api_retry", "permission_denied"]) | ODD,
        "message": st.fixed_dictionaries({"content": st.lists(BLOCKS, max_size=3) | ODD}) | ODD,
        **dict.fromkeys(("timestamp", "attempt", "error", "error_status", "retry_delay_ms"), ODD),
    },
)


@given(st.lists(EVENTS, max_size=6))
@example([{"type": "system", "subtype": "api_retry", "retry_delay_ms": 10**400}])
def test_events_of_any_kind_are_reported_on_one_line(events: list[dict[str, Any]]) -> None:
    activity, said = follow(b"\n".join(json.dumps(event).encode() for event in events))
    assert all(isinstance(text, str) and "\n" not in text for text in said)
    assert activity.n_tool_calls >= 0 and activity.n_denials >= 0
    assert isinstance(activity.tool_started_at, str)


@given(st.lists(EVENTS, max_size=6))
@example([call("1", "Tool\nwith a \x1b[31m name")])
@example([{"type": "system", "subtype": "api_retry", "error": "a\x1b[2J\n" + "x" * 9999}])
@example([{"type": "system", "subtype": "api_retry", "attempt": ["x" * 9999]}])
def test_descriptions_are_printable_and_short(events: list[dict[str, Any]]) -> None:
    _, said = follow(b"\n".join(json.dumps(event).encode() for event in events))
    assert all(text.isprintable() and len(text) <= 400 for text in said)


@given(st.sampled_from(sorted(STREAMS)), st.data())
def test_a_recording_cut_at_any_byte_reads_like_its_beginning(
    name: str, data: st.DataObject
) -> None:
    whole = STREAMS[name]
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    said = follow(whole[:cut])[1]
    assert said == follow(whole)[1][: len(said)]
