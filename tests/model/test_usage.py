"""What a run has used: told by its result, or by its messages if it was killed; never guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model import record
from cpr_nb.model.events import TOKEN_FIELDS, RunFacts, parse_line, usage_tokens

RECORDINGS = Path(__file__).parent / "recordings"
STREAMS = {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl"))}
NAMES = st.sampled_from(sorted(STREAMS))


def fed(*lines: bytes) -> RunFacts:
    facts = RunFacts()
    for line in lines:
        facts.feed(line)
    return facts


def numbers_in(stream: bytes) -> set[float]:
    """Every number that stands somewhere in the stream."""
    found: set[float] = set()

    def look(value: Any) -> None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.add(value)
        for inner in value.values() if isinstance(value, dict) else ():
            look(inner)
        for inner in value if isinstance(value, list) else ():
            look(inner)

    for line in stream.splitlines():
        look(parse_line(line))
    return found


def tokens_of_messages(stream: bytes) -> dict[str, int]:
    """What the messages of a stream say that they used, each counted once."""
    usages: dict[str, dict[str, int]] = {}
    for line in stream.splitlines():
        event = parse_line(line)
        message = event["message"] if event and event["type"] == "assistant" else None
        if message is not None and message["model"] != "<synthetic>":
            usages.setdefault(message["id"], message["usage"])
    counts = {
        name: [usage[key] for usage in usages.values() if key in usage]
        for name, (_, key) in TOKEN_FIELDS.items()
    }
    return {name: sum(known) for name, known in counts.items() if known}


# -- the recordings ---------------------------------------------------------------------------


@given(NAMES, st.data())
def test_a_recording_cut_at_any_byte_invents_nothing(name: str, data: st.DataObject) -> None:
    whole = STREAMS[name]
    cut = whole[: data.draw(st.integers(0, len(whole)), label="cut")]
    facts = fed(*cut.splitlines(keepends=True))
    in_stream = numbers_in(cut)
    assert facts.cost_usd is None or facts.cost_usd in in_stream or facts.cost_usd == 0
    if facts.result is None:
        assert facts.cost_usd is None, "a cost that is not told is not guessed"
        assert facts.tokens == tokens_of_messages(cut)
    else:
        assert set(facts.tokens.values()) <= in_stream


# -- messages ---------------------------------------------------------------------------------


def message(id_: object, usage: object, agent: object = None, model: str = "opus") -> bytes:
    inner = {"id": id_, "model": model, "usage": usage, "content": []}
    event = {"type": "assistant", "parent_tool_use_id": agent, "message": inner}
    return json.dumps(event).encode()


def result(**fields: Any) -> bytes:
    return json.dumps({"type": "result", "is_error": False, **fields}).encode()


def used(tokens: int) -> dict[str, int]:
    return {"input_tokens": tokens}


def test_a_message_counts_once_however_many_events_it_has() -> None:
    facts = fed(message("m1", used(5)), message("m1", used(5)), message("m2", used(7)))
    assert facts.tokens == {"input_tokens": 12}
    assert facts.cost_usd is None


def test_messages_of_subagents_between_those_of_an_agent_count_once_too() -> None:
    facts = fed(
        message("m1", used(1)),
        message("s1", used(10), "tool-1"),
        message("m1", used(1)),
        message("s2", used(100), "tool-2"),
        message("s1", used(10), "tool-1"),
        message("s2", used(100), "tool-2"),
        message("s3", used(1000), "tool-1"),
    )
    assert facts.tokens == {"input_tokens": 1111}


def test_what_the_cli_says_itself_uses_nothing_and_is_no_answer() -> None:
    facts = fed(message("m1", used(5), model="<synthetic>"))
    assert (facts.tokens, facts.answered) == ({}, False)


def test_a_message_without_an_id_is_an_answer_whose_use_is_not_known() -> None:
    facts = fed(message(None, used(5)))
    assert (facts.tokens, facts.answered) == ({}, True)


def test_a_result_knows_better_than_the_messages_before_it() -> None:
    facts = fed(message("m1", {"input_tokens": 5, "output_tokens": 1}), result(usage=used(50)))
    assert facts.tokens == {"input_tokens": 50}
    facts.feed(message("m2", used(7)))
    assert facts.tokens == {"input_tokens": 50}, "the next result will tell of it"


def test_all_four_counts_are_taken_by_our_names() -> None:
    told = {key: n for n, (_, key) in enumerate(TOKEN_FIELDS.values(), 1)}
    assert usage_tokens({**told, "service_tier": "standard"}) == {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_tokens": 3,
        "cache_write_tokens": 4,
    }


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
USAGES = st.dictionaries(st.sampled_from([key for _, key in TOKEN_FIELDS.values()]), ODD) | ODD
LINES = st.builds(
    message,
    st.sampled_from(["m1", "m2", None, 7]) | st.lists(ODD, max_size=1),
    USAGES | st.just(used(3)),
    st.sampled_from([None, "tool-1", "tool-2", 5]),
    st.sampled_from(["opus", "<synthetic>"]),
)


@given(st.lists(LINES | st.just(result()) | st.just(result(usage=used(3))), max_size=10))
def test_whatever_stands_in_the_messages_counts_are_whole_and_a_cost_is_not_made_of_them(
    lines: list[bytes],
) -> None:
    facts = fed(*lines)
    assert facts.cost_usd is None
    assert set(facts.tokens) <= set(TOKEN_FIELDS)
    assert all(type(count) is int and count >= 0 for count in facts.tokens.values())
    json.dumps(record.facts_fields(facts), allow_nan=False)


# -- costs that are not known -----------------------------------------------------------------


def unknown(*lines: bytes) -> object:
    return record.facts_fields(fed(*lines))["n_unknown_costs"]


def test_a_cost_is_unknown_once_the_api_had_answered_and_it_is_not_reported() -> None:
    assert unknown() is None, "it never got so far: it has cost nothing"
    assert unknown(message("m1", used(5), model="<synthetic>")) is None
    assert unknown(message("m1", used(5))) == 1
    assert unknown(message("m1", used(5)), result(total_cost_usd=0.5)) is None
    assert unknown(message("m1", used(5)), result(total_cost_usd=0.0)) is None
    assert unknown(message("m1", used(5)), result(total_cost_usd="much")) == 1


def test_unknown_costs_add_up_over_attempts() -> None:
    killed = record.facts_fields(fed(message("m1", used(5))))
    sums = record.add_figures(record.add_figures({}, killed), killed)
    assert (sums["n_unknown_costs"], sums["input_tokens"]) == (2, 10)
    assert "cost_usd" not in sums
