"""The one estimator of what runs have used whose cost no result line tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cpr_nb.model.events import RunFacts
from cpr_nb.model.running_cost import Rates, Usage, usage_of, weight_of


def facts(*events: dict[str, Any]) -> RunFacts:
    one = RunFacts()
    for event in events:
        one.feed(json.dumps(event).encode())
    return one


def message(number: int, model: str = "m", agent: str | None = None, **tokens: int) -> Any:
    body = {"id": f"msg-{number}", "model": model, "usage": tokens}
    return {"type": "assistant", "message": body, "parent_tool_use_id": agent}


def result(cost_usd: float, **fields: Any) -> dict[str, Any]:
    return {"type": "result", "is_error": False, "total_cost_usd": cost_usd, **fields}


def usage(tokens: int, model: str | None = "m", known_usd: float | None = None) -> Usage:
    return Usage(model, known_usd, {"input_tokens": tokens}, {"input_tokens": tokens})


def test_a_run_shows_its_tokens_before_it_has_a_result() -> None:
    one = usage_of(facts(message(1, input_tokens=100), message(2, agent="a", input_tokens=50)))
    assert (one.model, one.known_usd, one.is_open) == ("m", None, True)
    assert one.open_tokens == one.shown_tokens == {"input_tokens": 150}


def test_after_a_result_only_what_came_later_is_open() -> None:
    one = usage_of(facts(message(1, input_tokens=100), result(0.5)))
    assert (one.known_usd, one.is_open, one.shown_tokens) == (0.5, False, {"input_tokens": 100})
    later = usage_of(facts(message(1, input_tokens=100), result(0.5), message(2, input_tokens=7)))
    assert (later.known_usd, later.open_tokens) == (0.5, {"input_tokens": 7})
    assert later.shown_tokens == {"input_tokens": 107}


def test_a_result_without_a_cost_leaves_everything_open() -> None:
    one = usage_of(facts(message(1, input_tokens=100), {"type": "result", "is_error": False}))
    assert one.known_usd is None and one.open_tokens == {"input_tokens": 100}


def test_what_a_shown_token_stands_for_is_learned_from_runs_that_ended() -> None:
    rates = Rates()
    assert rates.cost_usd(usage(10)) is None, "nothing is known"
    assert rates.cost_usd(Usage("m", 0.5, {}, {})) == 0.5, "there is nothing to estimate"
    rates.learn("m", {"input_tokens": 100}, 1.0)
    rates.learn("m", {"input_tokens": 300}, 1.0)
    assert rates.cost_usd(usage(20)) == pytest.approx(0.1)
    assert rates.cost_usd(usage(20, known_usd=0.5)) == pytest.approx(0.6)


def test_each_model_has_its_rate_and_an_unknown_one_has_the_mean() -> None:
    rates = Rates()
    rates.learn("cheap", {"input_tokens": 100}, 0.1)
    rates.learn("dear", {"input_tokens": 100}, 1.9)
    assert rates.cost_usd(usage(100, "dear")) == pytest.approx(1.9)
    assert rates.cost_usd(usage(100, "new")) == pytest.approx(1.0)
    assert rates.cost_usd(usage(100, None)) == pytest.approx(1.0)


@pytest.mark.parametrize(("tokens", "cost_usd"), [({}, 1.0), ({"input_tokens": 5}, 0.0)])
def test_a_run_that_shows_nothing_teaches_nothing(tokens: Any, cost_usd: float) -> None:
    rates = Rates()
    rates.learn("m", tokens, cost_usd)
    assert rates.cost_usd(usage(10)) is None


def test_the_kinds_of_tokens_differ_in_price() -> None:
    assert weight_of({"output_tokens": 1, "cache_read_tokens": 10, "cache_write_tokens": 4}) == 11.0
    assert weight_of({"n_denials": 3}) == 0.0
