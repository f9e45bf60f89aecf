"""Reading streams: any bytes are taken, and no number comes out that is not in them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model.events import TOKEN_FIELDS, RunFacts, content_blocks, parse_line, text_blocks
from cpr_nb.model.json_values import integer, number

RECORDINGS = Path(__file__).parent / "recordings"
STREAMS = {path.stem: path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl"))}
NAMES = st.sampled_from(sorted(STREAMS))

HUGE = 10**400  # a JSON number that no float can hold
ODD_NUMBERS = st.sampled_from(
    [0, 1, -1, 7, 0.25, -0.5, 1e308, float("inf"), float("-inf"), float("nan"), HUGE, -HUGE,
     True, False]
)  # fmt: skip
ODD_VALUES = st.recursive(
    ODD_NUMBERS | st.none() | st.text(max_size=6) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["costUSD", "text", "type", "id", "m"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
FIGURES = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("costUSD", *(m for m, _ in TOKEN_FIELDS.values())), ODD_VALUES)
)
MODELS = st.dictionaries(st.sampled_from(["opus", "haiku"]), FIGURES | ODD_VALUES, max_size=2)
RESULT_LINES = st.fixed_dictionaries(
    {"type": st.just("result")},
    optional={
        "total_cost_usd": ODD_VALUES,
        "modelUsage": MODELS | ODD_VALUES,
        "model_usage_since_last_result": MODELS | ODD_VALUES,
        "usage": st.dictionaries(
            st.sampled_from([u for _, u in TOKEN_FIELDS.values()]), ODD_VALUES, max_size=4
        )
        | ODD_VALUES,
        "permission_denials": st.lists(ODD_VALUES, max_size=2) | ODD_VALUES,
        "result": ODD_VALUES,
    },
)
OTHER_LINES = st.fixed_dictionaries(
    {"type": st.sampled_from(["system", "assistant", "user", "stream_event", "later"])},
    optional={
        "subtype": st.sampled_from(["init", "api_retry", "permission_denied"]) | ODD_VALUES,
        "model": ODD_VALUES,
        "claude_code_version": ODD_VALUES,
        "message": ODD_VALUES
        | st.fixed_dictionaries({"content": st.lists(ODD_VALUES, max_size=3) | ODD_VALUES}),
    },
)
EVENTS = st.lists(RESULT_LINES | OTHER_LINES, max_size=5)


def fed(lines: list[bytes]) -> RunFacts:
    facts = RunFacts()
    for line in lines:
        facts.feed(line)
    return facts


def known(facts: RunFacts) -> dict[str, Any]:
    names = ("result", "cost_usd", "tokens", "model", "claude_version", "api_retries", "last_text")
    return {name: getattr(facts, name) for name in (*names, "n_denials")}


def assert_honest(facts: RunFacts) -> None:
    """Nothing that was found is out of the range of what it counts."""
    if facts.cost_usd is not None:
        assert type(facts.cost_usd) in (int, float)
        assert math.isfinite(facts.cost_usd) and facts.cost_usd >= 0
    assert set(facts.tokens) <= set(TOKEN_FIELDS)
    assert all(type(count) is int and count >= 0 for count in facts.tokens.values())
    for text in (facts.model, facts.claude_version):
        assert text is None or isinstance(text, str)
    assert facts.n_denials >= 0 and facts.api_retries >= 0
    assert isinstance(facts.last_text, str)


# -- one line ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b'[{"type":"result"}]',
        b"{}",
        b'{"type":null}',
        b'{"type":["result"]}',
        b'{"type":"result"',
        b'{"type":"result"}}',
        b'{"type":"result"}{"type":"result"}',
        b'\xff\xfe{"type":"result"}',
        b"{'type':'result'}",
        b'{"type":"result","n":' + b"9" * 5000 + b"}",
        b'{"type":"result","n":' + b"[" * 100_000,
        b'{"type":"result","n":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda line: ascii(line[:30]),
)
def test_what_is_no_whole_event_gives_none(line: bytes) -> None:
    assert parse_line(line) is None


def test_a_line_keeps_what_it_says() -> None:
    line = ' {"type":"later","text":"h\u00e9llo \u2028","n":[1,2.5,null]} \r\n'
    assert parse_line(line.encode()) == {
        "type": "later",
        "text": "h\u00e9llo \u2028",
        "n": [1, 2.5, None],
    }


def test_bytes_that_are_no_utf8_do_not_spoil_the_rest_of_a_line() -> None:
    event = parse_line(b'{"type":"result","result":"a\xffb","is_error":false}')
    assert event == {"type": "result", "result": "a\ufffdb", "is_error": False}


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_number_is_none(word: bytes) -> None:
    assert parse_line(b'{"type":"result","total_cost_usd":' + word + b"}") == {
        "type": "result",
        "total_cost_usd": None,
    }


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_without_an_error(line: bytes) -> None:
    event = parse_line(line)
    assert event is None or isinstance(event["type"], str)
    assert_honest(fed([line]))


@given(ODD_NUMBERS | ODD_VALUES)
@example(HUGE)
def test_number_and_integer_take_only_finite_numbers_from_zero(value: Any) -> None:
    found = number(value)
    assert found is None or (math.isfinite(found) and found >= 0 and type(value) is not bool)
    count = integer(value)
    assert count is None or (type(count) is int and count == value and count >= 0)


# -- one run ----------------------------------------------------------------------------------


def used(*costs_usd: float) -> list[dict[str, Any]]:
    models = {f"m{number}": {"costUSD": cost_usd} for number, cost_usd in enumerate(costs_usd)}
    return [{"type": "result", "model_usage_since_last_result": models}]


@given(EVENTS)
@example([{"type": "result", "total_cost_usd": HUGE}])
@example(used(HUGE))
@example(used(1e308, 1e308))
def test_events_with_values_of_any_type_are_read_honestly(events: list[dict[str, Any]]) -> None:
    facts = fed([json.dumps(event).encode() for event in events])
    assert_honest(facts)


@given(st.lists(RESULT_LINES, max_size=4))
@example([{"type": "result", "model_usage_since_last_result": {"opus": "what?"}}])
def test_where_no_number_stands_none_is_found(events: list[dict[str, Any]]) -> None:
    def without_numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without_numbers(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [without_numbers(inner) for inner in value]
        return "7" if isinstance(value, int | float) else value

    facts = fed([json.dumps(without_numbers(event)).encode() for event in events])
    # No model did anything: that is a cost of nothing, and the one number that may be reported.
    if not any(event.get("model_usage_since_last_result") == {} for event in events):
        assert facts.cost_usd is None
    assert not any(facts.tokens.values())


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_recording_without_its_last_byte_is_the_recording_without_its_last_line(
    name: str,
) -> None:
    lines = STREAMS[name].rstrip(b"\n").splitlines(keepends=True)
    torn = [*lines[:-1], lines[-1][:-1]] if lines else []
    assert known(fed(torn)) == known(fed(lines[:-1]))


NOISE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"\xff\xfe\x00result\n",
            b'{"type":"result"\n',
            b'{"type":"result","total_cost_usd":9',
            b'{"type":"system","subtype":"api_retry"',
            b'{"type":"system","subtype":"init","model":"torn',
            b'{"type":"event_of_a_later_release","total_cost_usd":99,"result":{"is_error":true}}',
            b'{"type":"system","subtype":"result","total_cost_usd":99}',
            b'{"type":"user","message":{"content":[{"type":"tool_result","content":"\\"result\\""}]}}',
            b'["result", {"type":"result"}]',
            b"[" * 5000 + b'"result"',
        ]
    ),
)


@given(NAMES, st.data())
def test_noise_between_the_lines_changes_nothing(name: str, data: st.DataObject) -> None:
    lines = STREAMS[name].splitlines(keepends=True)
    mixed: list[bytes] = []
    for line in lines:
        mixed += [*data.draw(st.lists(NOISE, max_size=1), label="noise"), line]
    mixed += data.draw(st.lists(NOISE, max_size=2), label="noise at the end")
    assert known(fed(mixed)) == known(fed(lines))


# -- several results, resumed conversations ---------------------------------------------------


def result_line(**fields: Any) -> bytes:
    return json.dumps({"type": "result", "is_error": False, **fields}).encode()


def usage(cost_usd: float, input_tokens: int) -> dict[str, Any]:
    names = {"outputTokens": 0, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    return {"opus": {"costUSD": cost_usd, "inputTokens": input_tokens, **names}}


def test_the_last_of_several_results_counts() -> None:
    facts = fed([result_line(result="one"), result_line(result="two"), b'{"type":"system"}'])
    assert facts.result is not None
    assert facts.result["result"] == "two"


def test_what_several_results_say_since_the_last_one_is_added_up() -> None:
    facts = fed(
        [
            result_line(total_cost_usd=1.5, model_usage_since_last_result=usage(0.5, 10)),
            result_line(total_cost_usd=1.75, model_usage_since_last_result=usage(0.25, 5)),
        ]
    )
    assert facts.cost_usd == pytest.approx(0.75)
    assert facts.tokens["input_tokens"] == 15


def test_a_total_alone_is_taken_and_not_added_up() -> None:
    facts = fed([result_line(total_cost_usd=0.5), result_line(total_cost_usd=0.75)])
    assert facts.cost_usd == 0.75


def test_a_result_since_which_nothing_was_used_adds_nothing() -> None:
    told = {"input_tokens": 10, "output_tokens": 0}
    facts = fed(
        [
            result_line(usage=told, model_usage_since_last_result=usage(0.5, 10)),
            result_line(usage=told, model_usage_since_last_result={}),
        ]
    )
    assert facts.cost_usd == pytest.approx(0.5)
    assert facts.tokens["input_tokens"] == 10


def test_a_cost_that_is_partly_unknown_is_unknown() -> None:
    broken = {"opus": {"costUSD": "0.5", "inputTokens": 10}}
    facts = fed(
        [
            result_line(model_usage_since_last_result=usage(0.5, 10)),
            result_line(model_usage_since_last_result=broken),
        ]
    )
    assert facts.cost_usd is None


def test_several_models_are_added_up_and_no_one_of_them_is_the_model() -> None:
    models = {**usage(0.5, 10), "haiku": {"costUSD": 0.25, "inputTokens": 1}}
    facts = fed([result_line(model_usage_since_last_result=models)])
    assert facts.cost_usd == pytest.approx(0.75)
    assert facts.tokens["input_tokens"] == 11
    assert "output_tokens" not in facts.tokens, "haiku did not say"
    assert facts.model is None


def test_a_resumed_conversation_costs_only_its_own_run() -> None:
    first = fed(STREAMS["sess_first"].splitlines())
    resumed = fed(STREAMS["sess_resume"].splitlines())
    assert first.result is not None and resumed.result is not None
    assert resumed.result["session_id"] == first.result["session_id"]
    assert first.cost_usd is not None and resumed.cost_usd is not None
    assert first.cost_usd + resumed.cost_usd == pytest.approx(resumed.result["total_cost_usd"])
    assert resumed.tokens["input_tokens"] == 100, "modelUsage says 300, for the conversation"


def test_denials_that_are_no_list_are_none() -> None:
    assert fed([result_line(permission_denials={"a": 1})]).n_denials == 0
    assert fed([result_line(permission_denials=[{}, {}])]).n_denials == 2


# -- what the agent said ----------------------------------------------------------------------


def said(*texts: str, **further: Any) -> bytes:
    content = [{"type": "text", "text": text} for text in texts]
    return json.dumps({"type": "assistant", "message": {"content": content, **further}}).encode()


def test_the_last_words_are_those_of_the_last_event_with_words() -> None:
    thinking = {"type": "thinking", "thinking": "hm"}
    line = json.dumps({"type": "assistant", "message": {"content": [thinking]}}).encode()
    assert fed([said("one"), said("two", "three"), line]).last_text == "two\nthree"


def test_words_that_mention_a_result_are_words() -> None:
    assert fed([said('the "result" of "init"', note="result")]).last_text.startswith("the ")


def test_a_torn_line_does_not_take_the_words_before_it_away() -> None:
    torn = said("two")[:-5]
    assert b'"text"' in torn and parse_line(torn) is None
    assert fed([said("one"), torn]).last_text == "one"


def test_a_tool_with_an_input_called_text_does_not_take_the_words_before_it_away() -> None:
    call = {"type": "tool_use", "id": "t", "name": "Say", "input": {"text": "hello"}}
    line = json.dumps({"type": "assistant", "message": {"content": [call]}}).encode()
    assert fed([said("one"), line]).last_text == "one"


def test_what_the_user_said_is_not_taken_for_the_agents_words() -> None:
    message = {"content": [{"type": "text", "text": "a reminder"}], "for": "assistant"}
    line = json.dumps({"type": "user", "message": message}).encode()
    assert fed([said("one"), line]).last_text == "one"


@given(ODD_VALUES)
def test_blocks_are_found_in_any_message_without_an_error(message: Any) -> None:
    event = {"type": "assistant", "message": message}
    assert all(isinstance(block, dict) for block in content_blocks(event))
    assert all(isinstance(text, str) for text in text_blocks(event))


def test_content_that_is_a_text_is_one_text_block() -> None:
    assert text_blocks({"type": "user", "message": {"content": "hi"}}) == ["hi"]


def test_a_denial_that_is_no_object_is_none() -> None:
    facts = RunFacts()
    facts.feed(b'{"type":"result","permission_denials":[null,{"tool_name":"Bash"}]}')
    assert facts.n_denials == 1
