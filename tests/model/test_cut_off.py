"""An attempt that is killed in a later turn has used more than its result lines report."""

from __future__ import annotations

import json

import pytest

from cpr_nb.model.events import RunFacts
from cpr_nb.model.record import facts_fields

RESULT = {"type": "result", "is_error": False, "total_cost_usd": 0.5, "num_turns": 1}
USAGE = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 0}


def facts_of(*events: dict[str, object]) -> RunFacts:
    facts = RunFacts()
    for event in events:
        facts.feed(json.dumps(event).encode())
    return facts


def message(message_id: str, output_tokens: int) -> dict[str, object]:
    usage = {"input_tokens": 10, "output_tokens": output_tokens}
    return {"type": "assistant", "message": {"id": message_id, "model": "m", "usage": usage}}


@pytest.mark.parametrize(
    ("transcript", "n_output_tokens"),
    [
        ({}, 23),
        ({"a": {"input_tokens": 110, "output_tokens": 35}}, 35),
        ({"a": {"output_tokens": 2}}, 23),
    ],
)
def test_its_later_tokens_count_and_its_cost_is_not_all(
    transcript: dict[str, dict[str, int]], n_output_tokens: int
) -> None:
    facts = facts_of(message("a", 1), {**RESULT, "usage": USAGE}, message("b", 3), message("b", 3))
    assert facts.is_cut_off
    facts.count_transcript(transcript)
    assert facts.tokens == {
        "input_tokens": 110,
        "output_tokens": n_output_tokens,
        "cache_read_tokens": 0,
    }
    fields = facts_fields(facts)
    assert (fields["cost_usd"], fields["n_unknown_costs"]) == (0.5, 1)


def test_a_result_line_has_what_came_before_it() -> None:
    facts = facts_of(message("a", 1), RESULT, message("b", 3), {**RESULT, "usage": USAGE})
    assert not facts.is_cut_off and facts.tokens["output_tokens"] == 20
    assert facts_fields(facts)["n_unknown_costs"] is None


def test_without_a_result_the_transcript_is_more_exact_than_the_stream() -> None:
    facts = facts_of(message("a", 1))
    facts.count_transcript({"a": {"output_tokens": 7}})
    assert facts.is_cut_off and facts.tokens == {"output_tokens": 7}


def test_an_answer_that_the_transcript_lacks_counts_as_the_stream_shows_it() -> None:
    subagents = {**message("s", 2), "parent_tool_use_id": "call"}
    facts = facts_of(message("a", 1), subagents, message("b", 3))
    facts.count_transcript({"a": {"input_tokens": 10, "output_tokens": 7}})
    assert facts.tokens == {"input_tokens": 30, "output_tokens": 7 + 2 + 3}
