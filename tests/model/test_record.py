"""What status.json and the answer say of a task: always JSON, and nothing invented."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model import record, states
from cpr_nb.model.events import RunFacts
from cpr_nb.model.outcome import Exit, Outcome, derive

SUCCEEDED = Outcome("succeeded", "completed")
RUNNING = record.running_fields(1, "c-1", "2026-01-01T00:00:00.000Z")

ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
NUMBERS = ("num_turns", "duration_api_ms", "api_error_status", "total_cost_usd")
WORDS = ("subtype", "stop_reason", "result")
RESULTS = st.fixed_dictionaries(
    {"type": st.just("result")}, optional=dict.fromkeys((*NUMBERS, *WORDS, "is_error"), ODD)
)


def facts_of(**result: Any) -> RunFacts:
    facts = RunFacts()
    facts.feed(json.dumps({"type": "result", **result}).encode())
    return facts


def ended(outcome: Outcome, exit_: Exit | None, facts: RunFacts | None) -> dict[str, Any]:
    return record.ended_fields(
        RUNNING if exit_ else {},
        outcome,
        exit_,
        facts,
        ended_at="2026-01-01T00:00:01.500Z",
        duration_s=1.9999,
        extra={"peak_rss_bytes": 5, "unknown": None},
    )


@pytest.mark.parametrize(
    ("prompt", "head"),
    [
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 50 + "..."),
        ("é" * 51, "é" * 50 + "..."),
        ("", ""),
    ],
)
def test_the_head_of_a_prompt_is_fifty_characters(prompt: str, head: str) -> None:
    assert record.prompt_head(prompt) == head


def test_the_fields_of_a_task_that_succeeded_are_those_of_the_script_and_ours() -> None:
    exit_ = Exit(0)
    facts = facts_of(is_error=False, num_turns=2, duration_api_ms=1500, total_cost_usd=0.5)
    assert ended(SUCCEEDED, exit_, facts) == {
        "status": "completed",
        "success": 1,
        "duration": 1,
        "state": "ended",
        "outcome": "succeeded",
        "reason": "completed",
        "attempts": 1,
        "conversation_id": "c-1",
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": "2026-01-01T00:00:01.500Z",
        "duration_s": 2.0,
        "exit_code": 0,
        "cost_usd": 0.5,
        "num_turns": 2,
        "api_duration_s": 1.5,
        "is_error": False,
        "peak_rss_bytes": 5,
    }


@pytest.mark.parametrize("outcome", [o for o in states.OUTCOMES if o != "succeeded"])
def test_every_other_outcome_is_completed_without_success(outcome: str) -> None:
    fields = ended(Outcome(outcome, "unknown", "why"), None, None)
    assert (fields["status"], fields["success"], fields["attempts"]) == ("completed", 0, 0)
    assert (fields["outcome"], fields["error"]) == (outcome, "why")
    assert not {"exit_code", "signal", "cost_usd", "unknown"} & set(fields)


def test_every_outcome_has_its_counter() -> None:
    assert set(record.COUNTERS) == set(states.OUTCOMES)
    assert {o for o, name in record.COUNTERS.items() if name == "n_failed"} == set(states.FAILURES)


@given(RESULTS)
@example({"type": "result", "duration_api_ms": 10**400})
@example({"type": "result", "duration_api_ms": float("1e999")})
@example({"type": "result", "duration_api_ms": -1})
@example({"type": "result", "num_turns": "many"})
@example({"type": "result", "is_error": [[]]})
def test_a_result_of_any_kind_gives_fields_of_the_right_types(result: dict[str, Any]) -> None:
    # As it stands in a stream: 1e999 is JSON, and Python reads it as infinity.
    line = json.dumps(result).replace("Infinity", "1e999").encode()
    facts = RunFacts()
    facts.feed(line)
    fields = ended(derive(Exit(0, result=facts.result)), Exit(0, result=facts.result), facts)
    json.dumps(fields, allow_nan=False)
    for name in ("num_turns", "api_error_status"):
        assert name not in fields or (type(fields[name]) is int and fields[name] >= 0)
    for name in ("api_duration_s", "cost_usd"):
        assert name not in fields or (math.isfinite(fields[name]) and fields[name] >= 0)
    for name in ("subtype", "stop_reason"):
        assert name not in fields or isinstance(fields[name], str)
    assert isinstance(fields.get("is_error", False), bool)


# -- the answer -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "result", "text"),
    [
        (SUCCEEDED, {"result": "done"}, "done\n"),
        (SUCCEEDED, {"result": "done\n"}, "done\n"),
        (SUCCEEDED, {"result": ""}, "\n"),
        (Outcome("failed", "auth", "no login"), {}, "[failed: auth] no login\n"),
        (
            Outcome("failed", "no_structure", "lacks it"),
            {"result": "kept"},
            "kept\n\n[failed: no_structure] lacks it\n",
        ),
        (
            Outcome("failed", "api_error", "API Error: 400 no"),
            {"result": "API Error: 400 no\nand more"},
            "[failed: api_error] API Error: 400 no\nand more\n",
        ),
        (Outcome("cancelled", "cancelled"), {"result": "half"}, "half\n\n[cancelled]\n"),
        (Outcome("cancelled", "cancelled"), {}, "[cancelled]\n"),
    ],
)
def test_an_answer_is_the_text_or_what_is_known_of_the_failure(
    outcome: Outcome, result: dict[str, Any], text: str
) -> None:
    assert record.answer_text(outcome, facts_of(**result)) == text


def test_a_task_that_never_started_has_an_answer_too() -> None:
    skipped = Outcome("skipped", "budget", "spent")
    assert record.answer_text(skipped, None) == "[skipped: budget] spent\n"


@given(RESULTS, st.sampled_from(states.OUTCOMES), st.text(max_size=9))
def test_an_answer_always_ends_its_last_line(
    result: dict[str, Any], outcome: str, error: str
) -> None:
    text = record.answer_text(Outcome(outcome, "unknown", error), facts_of(**result))
    assert text.endswith("\n")
