"""Sessions with a budget on the pure machine: a sample of what the command plays."""

from __future__ import annotations

import statistics

import pytest
from budget_simulation import KINDS, shares, simulate

SEEDS = range(60)


@pytest.mark.parametrize("max_parallel", [8, 64])
@pytest.mark.parametrize("kind", list(KINDS)[:2])
def test_the_budget_holds(kind: str, max_parallel: int) -> None:
    sessions = [simulate(seed, kind, max_parallel, 1.0, 80) for seed in SEEDS]
    median, most_of_them, _ = shares(sessions, 1.0)
    assert 0.8 <= median <= 1.25 and most_of_them <= 1.75
    assert all(one.n_good + one.n_stopped + one.n_skipped == 80 for one in sessions)


def test_an_ample_budget_costs_little_time_and_task_budgets_none() -> None:
    kind = "0.25 ± 50 %"

    def seconds(*arguments: float | None) -> float:
        budget_usd, task_budget_usd = arguments
        ends = [
            simulate(seed, kind, 16, budget_usd, 100, task_budget_usd).ended_at for seed in range(3)
        ]
        return statistics.fmean(ends)

    without = seconds(None, None)
    assert seconds(1000.0, None) <= 1.5 * without
    assert seconds(1000.0, 2.0) == pytest.approx(without, rel=0.15)
