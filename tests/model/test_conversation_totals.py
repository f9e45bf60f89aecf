"""A run's own share of the totals of its conversation: right, or unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cpr_nb.model.conversation_totals import has_totals_only, keep_own_share
from cpr_nb.model.events import RunFacts


def result(n_runs: int, **more: Any) -> dict[str, Any]:
    """The result line of the last of so many runs of one conversation; all cost the same."""
    figures = {
        "inputTokens": 1000 * n_runs,
        "outputTokens": 100 * n_runs,
        "costUSD": 0.006 * n_runs,
    }
    cached = {"cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    return {
        "type": "result",
        "is_error": False,
        "total_cost_usd": 0.006 * n_runs,
        "modelUsage": {"m": figures | cached},
        "usage": {"input_tokens": 1000, "output_tokens": 100},
        **more,
    }


def facts(line: dict[str, Any], version: str = "2.1.305") -> RunFacts:
    run = RunFacts()
    run.feed(
        json.dumps({"type": "system", "subtype": "init", "claude_code_version": version}).encode()
    )
    run.feed(json.dumps(line).encode())
    return run


@pytest.mark.parametrize(
    ("version", "expected"),
    [("2.1.227", False), ("2.1.280", True), ("2.1.306", True), ("2.1.309", False), ("new", False)],
)
def test_only_some_versions_have_totals_only(version: str, expected: bool) -> None:
    assert has_totals_only(facts(result(2), version)) is expected
    assert not has_totals_only(facts(result(2, model_usage_since_last_result={}), version))
    assert not has_totals_only(RunFacts())


def test_what_was_used_before_is_taken_away() -> None:
    third = facts(result(3))
    assert third.cost_usd == pytest.approx(0.018)
    keep_own_share(third, result(2))
    assert third.cost_usd == pytest.approx(0.006)
    assert third.tokens["input_tokens"] == 1000
    assert third.tokens["output_tokens"] == 100


@pytest.mark.parametrize(
    "before",
    [
        None,
        {},
        result(3),  # its total is no smaller, so the conversation's began anew
        result(5),
        {**result(2), "total_cost_usd": None},
        {**result(2), "total_cost_usd": 9.0},
    ],
)
def test_what_can_not_be_worked_out_is_unknown_and_never_a_wrong_figure(before: Any) -> None:
    third = facts(result(3))
    keep_own_share(third, before)
    assert third.cost_usd is None
    assert third.tokens == {"input_tokens": 1000, "output_tokens": 100}
