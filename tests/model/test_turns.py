"""The turns of a run: in tables, logs and steps; and whose words they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.streams_draw import RECORDINGS

from cpr_nb.cli.commands.logs import steps
from cpr_nb.display.steps import StepFollower
from cpr_nb.frames.calls import CallReader, DenialReader
from cpr_nb.frames.events import EventRowReader
from cpr_nb.model.activity import Activity
from cpr_nb.model.events import RunFacts, parse_line
from cpr_nb.model.model_usage import ModelUsage
from cpr_nb.model.turns import WAKE_TEXT, TurnCounter

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in RECORDINGS.glob("*/*.jsonl"))


def path_of(name: str) -> Path:
    return RECORDINGS / f"{name}.jsonl"


def events_of(name: str) -> list[dict[str, Any]]:
    lines = path_of(name).read_bytes().splitlines()
    return [event for line in lines if (event := parse_line(line))]


def rows(name: str) -> list[dict[str, Any]]:
    reader = EventRowReader()
    reader.feed(path_of(name).read_bytes())
    columns = reader.lists
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("name", NAMES)
def test_each_result_line_belongs_to_a_turn_of_its_own(name: str) -> None:
    turns = [row["result_index"] for row in rows(name) if row["type"] == "result"]
    assert turns == list(range(len(turns)))


def test_a_late_result_line_is_in_its_own_turn_and_words_in_theirs() -> None:
    found = {row["text"]: row for row in rows("2.1.332/schema_agent") if row["subtype"] == "text"}
    assert found["Done."]["result_index"] == 1
    assert found["sub words"]["result_index"] == 0
    assert found["sub words"]["parent_tool_use_id"] == "toolu_000001_0"
    assert found["Done."]["parent_tool_use_id"] is None


def test_a_subagents_calls_are_marked() -> None:
    call = {"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "ls"}}
    event = {
        "type": "assistant",
        "parent_tool_use_id": "t1",
        "message": {"id": "m", "model": "opus", "content": [call]},
    }
    reader, activity = CallReader(), Activity()
    reader.feed(json.dumps(event).encode() + b"\n")
    activity.feed(event)
    assert [row["parent_tool_use_id"] for row in reader.calls] == ["t1"]
    assert steps(event) == ["↳ ▸ Bash ls"]
    assert activity.now == "↳ Bash ls"


@pytest.mark.parametrize(("name", "n_more_turns"), [("two_at_once", 2), ("max_turns", 0)])
def test_steps_show_where_a_turn_begins(name: str, n_more_turns: int) -> None:
    follower = StepFollower(str(path_of(f"2.1.332/{name}")))
    shown = [step for step in follower.poll(1 << 20) if step.name == "Turn"]
    assert [step.brief for step in shown] == [WAKE_TEXT] * n_more_turns


def test_steps_keep_a_subagents_words_apart() -> None:
    follower = StepFollower(str(path_of("2.1.332/schema_agent")))
    targets = [step.target for step in follower.poll(1 << 20)]
    assert "↳ sub words" in targets and "Done." in targets
    assert not any("sub words" in text for text in follower.texts)


def test_steps_show_an_old_versions_limit_as_an_error() -> None:
    follower = StepFollower(str(path_of("2.0.45/max_turns")))
    assert [step.brief for step in follower.poll(1 << 20) if step.name == "Error"] == [
        "error_max_turns"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_tables_count_as_the_runner_does(name: str) -> None:
    facts, usage, denials = RunFacts(), ModelUsage(), DenialReader()
    denials.feed(path_of(name).read_bytes())
    for line in path_of(name).read_bytes().splitlines():
        facts.feed(line)
    for event in events_of(name):
        usage.feed(event)
    assert len(denials.denials) == facts.n_denials
    costs = [figures.get("cost_usd") or 0 for figures in usage.by_model.values()]
    assert sum(costs) == pytest.approx(facts.cost_usd or 0)
    inputs = [figures.get("input_tokens") or 0 for figures in usage.by_model.values()]
    assert sum(inputs) == facts.tokens.get("input_tokens", 0)


def test_a_turn_that_goes_on_counts_its_denials() -> None:
    stream = path_of("2.1.332/denied_then_background").read_bytes()
    denied = {"type": "system", "subtype": "permission_denied", "tool_name": "Write"}
    reader = DenialReader()
    reader.feed(stream + json.dumps(denied).encode() + b"\n")
    assert len(reader.denials) == 2


def test_an_odd_result_index_is_not_believed() -> None:
    for odd in ("1", -1, True, None, [1]):
        assert TurnCounter().turn_of("result", None, odd) == 0
