"""Result lines add up to one result: recordings of several versions, and any lines at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.streams_draw import RECORDINGS

from cpr_nb.model.events import RunFacts, parse_line
from cpr_nb.model.merged_result import Results, is_good
from cpr_nb.model.outcome import Exit, derive, trouble_note

DONE = ("succeeded", "completed")


@dataclass(frozen=True)
class Row:
    """A recording, and what must come of it."""

    name: str  # of the folder, which is the version, and of the file
    exit_code: int
    end: tuple[str, str]
    text: str
    num_turns: int
    n_lines: int = 1
    n_denials: int = 0
    schema: bool = False
    fail_on_denied: bool = False
    note: str = ""
    error: str = ""


def limited(version: str, name: str, code: int, num_turns: int, error: str = "reports") -> Row:
    reason = {"max_turns": "max_turns", "budget": "budget"}[name]
    return Row(f"{version}/{name}", code, ("failed", reason), "", num_turns, error=error)


def unreachable(version: str, text: str) -> Row:
    name = f"{version}/err_refused"
    return Row(name, 1, ("failed", "network"), f"API Error: {text}", 1, error=text)


HOOK = "UserPromptSubmit operation blocked by hook"
BLOCKED = "Connection refused \u2014 a firewall or proxy may be blocking it"
ROWS = [
    Row("2.1.332/denied_then_background", 0, DONE, "Noted.", 4, 2, n_denials=1),
    Row("2.1.332/denied_then_background", 0, ("failed", "denied"), "Noted.", 4, 2, n_denials=1,
        fail_on_denied=True, error="denied: "),
    Row("2.1.332/schema_agent", 0, DONE, "Done.", 5, 2, schema=True),
    Row("2.1.332/schema_background", 0, DONE, "Done.", 5, 2, schema=True),
    Row("2.1.332/later_api_error", 1, DONE, "The answer.", 3, 2,
        note="a later turn failed (api_error): API Error: 400 bad"),
    # The turn of a notification does not answer the prompt, whose turn was cut off.
    Row("2.1.332/max_turns_then_background", 0, ("failed", "max_turns"), "Noted.", 4, 2,
        error="number of turns (2)"),
    Row("2.1.332/api_error_then_background", 0, ("failed", "api_error"), "API Error: 400 bad", 3, 2,
        error="API Error: 400 bad"),
    Row("2.1.332/two_at_once", 0, DONE, "Noted.", 4, 3),
    Row("2.1.332/hook_refuses", 0, ("failed", "no_answer"), HOOK, 0, error="not on Fridays"),
    Row("2.1.332/command_clear", 0, ("failed", "no_answer"), "", 0, error="the command /clear"),
    Row("2.1.332/command_compact", 0, ("failed", "no_answer"), "Error: No messages to compact", 0,
        error="the command /compact"),
    limited("2.1.332", "max_turns", 1, 3, "number of turns (2)"),
    unreachable("2.1.332", f"{BLOCKED} (ECONNREFUSED)"),
    unreachable("2.1.316", f"{BLOCKED} (ECONNREFUSED)"),
    Row("2.1.280/denied_then_background", 0, DONE, "Noted.", 4, 2, n_denials=1),
    unreachable("2.1.280", f"{BLOCKED} (ECONNREFUSED)"),
    Row("2.1.227/schema_agent", 0, DONE, "Done.", 5, 2, schema=True),
    unreachable("2.1.227", f"{BLOCKED} (ConnectionRefused)"),
    Row("2.1.126/later_api_error", 1, DONE, "The answer.", 3, 2,
        note="a later turn failed (api_error): API Error: 400"),
    unreachable("2.1.126", "Unable to connect to API (ConnectionRefused)"),
    Row("2.1.71/later_api_error", 1, DONE, "The answer.", 3, 2,
        note="a later turn failed (api_error): API Error: 400"),
    # This version writes no result line for the turn in which an agent was started.
    Row("2.1.71/agent", 0, DONE, "Noted.", 1),
    Row("2.1.71/err_400", 1, ("failed", "api_error"), "API Error: 400", 1, error="bad thing"),
    Row("2.1.71/prompt_too_long", 1, ("failed", "prompt_too_long"), "Prompt is too long", 1,
        error="Prompt is too long"),
    limited("2.1.71", "budget", 0, 1),
    unreachable("2.1.71", "Unable to connect to API (ConnectionRefused)"),
    Row("2.1.29/hook_refuses", 0, ("failed", "no_answer"), "", 0, error="asked no model"),
    Row("2.0.45/command_clear", 0, ("failed", "no_answer"), "", 1, error="asked no model"),
    limited("2.0.45", "max_turns", 0, 2),
    limited("2.0.45", "budget", 0, 1),
    unreachable("2.0.45", "Connection error."),
]  # fmt: skip


def facts_of(name: str) -> RunFacts:
    facts = RunFacts()
    for line in (RECORDINGS / f"{name}.jsonl").read_bytes().splitlines():
        facts.feed(line)
    return facts


def test_no_recording_of_a_version_lacks_a_row() -> None:
    recorded = {f"{path.parent.name}/{path.stem}" for path in RECORDINGS.glob("*/*.jsonl")}
    assert {row.name for row in ROWS} == recorded
    assert all(facts_of(name).claude_version in (None, name.partition("/")[0]) for name in recorded)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.end[1]}")
def test_a_recording_gives_its_outcome_text_and_figures(row: Row) -> None:
    facts = facts_of(row.name)
    assert facts.result is not None
    exit_ = Exit(row.exit_code, result=facts.result, answered=facts.answered, trouble=facts.trouble)
    outcome = derive(exit_, schema=row.schema, fail_on_denied=row.fail_on_denied)
    assert (outcome.outcome, outcome.reason) == row.end
    assert row.error in outcome.error and bool(outcome.error) == bool(row.error)
    assert row.text in facts.text and bool(facts.text) == bool(row.text)
    assert facts.result["num_turns"] == row.num_turns
    assert facts.n_denials == row.n_denials
    assert row.note in (trouble_note(facts.trouble) if facts.trouble else "")
    assert bool(row.note) == bool(facts.trouble)


@pytest.mark.parametrize("row", [row for row in ROWS if row.n_lines > 1], ids=lambda row: row.name)
def test_a_recording_with_several_turns_costs_what_its_last_line_says(row: Row) -> None:
    stream = (RECORDINGS / f"{row.name}.jsonl").read_bytes()
    events = [event for line in stream.splitlines() if (event := parse_line(line))]
    lines = [event for event in events if event["type"] == "result"]
    facts = facts_of(row.name)
    assert len(lines) == row.n_lines
    assert facts.cost_usd == pytest.approx(lines[-1]["total_cost_usd"])
    (used,) = lines[-1]["modelUsage"].values()
    assert facts.tokens["input_tokens"] == used["inputTokens"]
    assert facts.tokens["cache_read_tokens"] == used["cacheReadInputTokens"]


# -- any lines --------------------------------------------------------------------------------

CALLS = st.sampled_from(["t1", "t2", "t3"])
LINES = st.fixed_dictionaries(
    {
        "type": st.just("result"),
        "is_error": st.booleans(),
        "subtype": st.sampled_from(["success", "error_max_turns"]),
        "num_turns": st.integers(0, 3),
        "permission_denials": st.lists(st.builds(lambda id_: {"tool_use_id": id_}, CALLS)),
    },
    optional={
        "result": st.sampled_from(["", "one", "two"]),
        "structured_output": st.sampled_from([None, {"n": 1}, {"n": 2}, 0, False]),
    },
)


def merged(lines: list[dict[str, Any]]) -> Results:
    results = Results()
    for line in lines:
        results.add(line)
    return results


@given(st.lists(LINES, min_size=1, max_size=5))
def test_lines_add_up_by_the_rule(lines: list[dict[str, Any]]) -> None:
    before = json.dumps(lines)
    results = merged(lines)
    result = results.merged
    assert result is not None and json.dumps(lines) == before, "a line must stay as it is"
    assert result["num_turns"] == sum(line["num_turns"] for line in lines)
    ids = {denial["tool_use_id"] for line in lines for denial in line["permission_denials"]}
    assert {denial["tool_use_id"] for denial in result["permission_denials"]} == ids
    structures = [line.get("structured_output") for line in lines]
    delivered = [structure for structure in structures if structure is not None]
    assert result.get("structured_output") == (delivered[-1] if delivered else None)
    asked = [line for line in lines if line["num_turns"] or not is_good(line)]
    answered = bool(asked) and is_good(asked[0])
    assert (results.has_answer, is_good(result)) == (answered, answered or not asked)
    failures = [line for line in asked if not is_good(line)]
    assert results.trouble == (failures[-1] if answered and failures else None)
    said = [line for line in asked if is_good(line)] if answered else (asked or lines)[:1]
    texts = [line["result"] for line in said if line.get("result")]
    if asked:
        assert (result.get("result") or None) == (texts[-1] if texts else None)
    if failures and not answered:
        assert result["subtype"] == failures[0]["subtype"]


@given(st.lists(LINES, min_size=1, max_size=3), st.lists(LINES, max_size=3))
def test_nothing_undoes_an_answer(lines: list[dict[str, Any]], later: list[dict[str, Any]]) -> None:
    first = {**lines[0], "is_error": False, "subtype": "success", "num_turns": 1}
    results = merged([first, *lines[1:], *later])
    assert results.merged is not None and is_good(results.merged)


@given(LINES)
def test_one_line_is_the_result_as_it_is(line: dict[str, Any]) -> None:
    assert merged([line]).merged == line


# -- whose words ------------------------------------------------------------------------------


def words(text: str, agent: str | None = None, model: str = "opus") -> bytes:
    message = {"model": model, "content": [{"type": "text", "text": text}]}
    event = {"type": "assistant", "message": message, "parent_tool_use_id": agent}
    return json.dumps(event).encode()


def test_the_words_of_subagents_and_of_the_cli_are_not_the_answer() -> None:
    facts = RunFacts()
    facts.feed(words("The answer."))
    facts.feed(words("A subagent's words.", agent="toolu_1"))
    facts.feed(words("API Error: 400", model="<synthetic>"))
    facts.feed(b'{"type":"result","is_error":false,"num_turns":1,"result":""}')
    assert facts.text == facts.last_text == "The answer."
