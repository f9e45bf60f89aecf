"""The session's budget: how many start, what each may spend, what counts."""

from __future__ import annotations

from typing import Any

import pytest
from testkit.machine import PLAN, done, feed, last_report, machine, starts

from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.model.running_cost import Usage
from cpr_nb.runner.budget import Budget, bound_of
from cpr_nb.runner.instructions import Start
from cpr_nb.runner.messages import DiskFree, Ended, Lingering, Postponed, Spent, Started, Tick
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan


def begun(schedule: Schedule, *tasks: int) -> None:
    for task in tasks:
        schedule.handle(Started(0.0, task))


def used(task: int, usd: float) -> Spent:
    return Spent(1.0, task, Usage("m", usd, {}, {}))


def test_few_start_until_it_is_known_what_they_cost() -> None:
    one = machine(*[PLAN] * 20, budget_usd=100.0)
    assert starts(one, Tick(0.0)) == [0]
    begun(one, 0)
    assert starts(one, done(1.0, 0, 0.25)) == [1, 2]
    begun(one, 1, 2)
    assert starts(one, done(2.0, 1, 0.25)) == [3, 4, 5]
    begun(one, 3, 4, 5)
    assert starts(one, done(3.0, 2, 0.25)) == [6, 7, 8, 9, 10]


def test_a_person_sees_why_so_few_run_but_not_where_max_parallel_is_the_reason() -> None:
    tell = last_report(machine(PLAN, PLAN, budget_usd=9.0), Tick(0.0))
    assert tell is not None and "so that the budget of USD 9 holds" in tell.notice
    assert last_report(machine(PLAN, PLAN, max_parallel=1, budget_usd=9.0), Tick(0.0)) is None
    assert last_report(machine(PLAN, budget_usd=9.0), Tick(0.0)) is None


def test_for_each_that_runs_the_dearest_of_the_ended_ones_is_reserved() -> None:
    one = machine(*[PLAN] * 20, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert starts(one, done(1.0, 0, 0.3)) == [1, 2]  # 0.3 + 2 * 0.3
    begun(one, 1, 2)
    assert starts(one, done(2.0, 1, 0.1)) == [3], "0.4 are spent: 2 * 0.3 fit"


def test_of_ten_that_ended_one_may_have_cost_more() -> None:
    budget = Budget(10.0)
    for cost_usd in [1.0, *[0.1] * 8]:
        budget.ended(0, cost_usd)
    budget.begin(1)
    budget.begin(2)
    assert budget.limit_for(2, None) == pytest.approx(10 - 1.8 - 1.0)
    budget.ended(0, 0.1)
    assert budget.limit_for(2, None) == pytest.approx(10 - 1.9 - 0.1)


def test_a_running_task_that_has_used_more_leaves_less_room() -> None:
    one = machine(*[PLAN] * 9, max_parallel=3, budget_usd=2.0)
    feed(one, Tick(0.0), Started(0.0, 0), done(1.0, 0, 0.2))
    begun(one, 1, 2)
    assert starts(one, used(1, 1.5)) == []
    assert starts(one, done(2.0, 2, 0.2)) == [], "0.4 are spent, 1.5 used: no 0.2 are left"
    assert starts(one, done(3.0, 1, 1.5)) == []
    one = machine(*[PLAN] * 9, max_parallel=3, budget_usd=2.0)
    feed(one, Tick(0.0), Started(0.0, 0), done(1.0, 0, 0.2))
    begun(one, 1, 2)
    assert starts(one, used(1, 0.3), done(2.0, 2, 0.2)) == [3, 4]


def test_for_a_task_whose_turn_has_ended_no_more_than_it_has_used_is_reserved() -> None:
    for lingers, expected in ((True, [3]), (False, [])):
        one = machine(*[PLAN] * 9, max_parallel=2, budget_usd=1.3)
        feed(one, Tick(0.0), Started(0.0, 0), done(1.0, 0, 0.4))
        begun(one, 1, 2)
        feed(one, used(1, 0.1))
        if lingers:
            feed(one, Lingering(1.5, 1, 1.0))
        assert starts(one, done(2.0, 2, 0.4)) == expected


def test_what_starts_may_spend_what_the_others_leave() -> None:
    def limits(*events: Any) -> list[float | None]:
        return [
            instruction.may_spend_usd
            for event in events
            for instruction in one.handle(event)
            if isinstance(instruction, Start)
        ]

    plans = [PLAN, PLAN, TaskPlan(task_budget_usd=0.05), PLAN]
    one = machine(*plans, budget_usd=1.0)
    assert limits(Tick(0.0)) == [1.0]
    begun(one, 0)
    # The second leaves the room of one for the third, which has a budget of its own.
    assert limits(done(1.0, 0, 0.2)) == [0.8, 0.05]
    begun(one, 1, 2)
    assert limits(done(2.0, 2, 0.05)) == [pytest.approx(0.55)]
    assert limits(used(1, 0.1)) == []


def test_without_a_budget_the_machine_limits_nothing() -> None:
    one = machine(PLAN, TaskPlan(task_budget_usd=0.5))
    out = one.handle(Tick(0.0))
    assert [i.may_spend_usd for i in out if isinstance(i, Start)] == [None, None]


def test_with_bounds_that_fit_all_start_at_once() -> None:
    bounded = TaskPlan(task_budget_usd=0.5)
    assert bound_of([bounded, TaskPlan(task_budget_usd=0.7)]) == 0.7
    assert bound_of([bounded, PLAN]) is None
    assert len(starts(machine(*[bounded] * 9, budget_usd=4.0), Tick(0.0))) == 8


def test_too_little_for_one_more_task_is_not_wasted_on_half_of_one() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, done(1.0, 0, 0.6)) == [
        ("Finish", 0, "succeeded", "completed"),
        ("Finish", 1, "skipped", "budget"),
        ("Finish", 2, "skipped", "budget"),
        ("End", "completed"),
    ]


def test_as_long_as_something_runs_nobody_gives_up() -> None:
    one = machine(*[PLAN] * 4, max_parallel=2, budget_usd=1.0)
    feed(one, Tick(0.0), Started(0.0, 0), done(1.0, 0, 0.3))
    begun(one, 1, 2)
    assert starts(one, done(2.0, 1, 0.3)) == [], "0.6 are spent, 0.3 reserved: no room for 0.3"
    assert starts(one, done(3.0, 2, 0.05)) == [3], "what is left is enough after all"


def test_the_place_of_a_task_that_could_not_start_is_free_again() -> None:
    one = machine(PLAN, PLAN, budget_usd=1.0)
    assert starts(one, Tick(0.0), Postponed(1.0, 0)) == [0]
    assert starts(one, DiskFree(2.0)) == [0]


def test_a_killed_attempt_counts_by_its_tokens() -> None:
    one = machine(*[PLAN] * 3, max_parallel=1, budget_usd=10.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    end = done(1.0, 0, 0.4)
    end.usage = Usage("m", 0.4, {}, {"input_tokens": 100})
    feed(one, end, Started(1.0, 1))
    killed = Ended(2.0, 1, Exit(None, signal=9))
    killed.usage = Usage("m", None, {"input_tokens": 50}, {"input_tokens": 50})
    feed(one, killed)
    assert one.spent_usd == pytest.approx(0.6)


def past(**figures: Any) -> dict[str, Any]:
    return {"outcome": "succeeded", "model": "m", **figures}


def test_what_earlier_runners_spent_counts_with_what_their_killed_attempts_used() -> None:
    budget = Budget(10.0)
    budget.remember(
        [
            past(n_unknown_costs=1, input_tokens=50),
            past(cost_usd=0.4, input_tokens=100),
            past(cost_usd=0.1, n_unknown_costs=1, input_tokens=75),
            {},
        ]
    )
    assert budget.spent_usd == pytest.approx(0.2 + 0.4 + 0.3)
    budget.begin(7)
    assert budget.admits, "one has ended, so two may run"
    budget.begin(8)
    assert not budget.admits


def test_an_attempt_whose_end_only_the_harvest_shows_counts_once() -> None:
    attempt = AttemptState(1, "c-1")
    attempt.has_worktree = True
    good = Outcome("succeeded", "completed")
    restored = {0: RestoredTask(good, attempt, to_harvest=True)}
    one = machine(TaskPlan(worktree=True), PLAN, budget_usd=1.0, restored=restored)
    feed(one, Spent(0.0, 0, Usage("m", 1.0, {}, {})))
    assert one.spent_usd == 1.0
    assert ("Finish", 1, "skipped", "budget") in feed(one, Tick(0.0))


def test_an_adopted_agent_has_its_reserve() -> None:
    restored = {0: RestoredTask(None, AttemptState(1, "c-1"))}
    one = machine(*[PLAN] * 3, budget_usd=1.0, restored=restored)
    assert starts(one, Started(0.0, 0), Tick(0.0)) == [], "nothing is known yet: one runs"
    assert starts(one, done(1.0, 0, 0.3)) == [1, 2]
