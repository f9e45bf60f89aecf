"""A task with a checkout of its own: prepared before it starts, harvested after it has ended."""

from __future__ import annotations

import pytest
from testkit.machine import begin, done, failed, feed, machine

from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.runner.messages import Cancel, Ended, Harvested, Pause, Prepared, Resume, Started, Tick
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan

PLAN = TaskPlan(worktree=True)
NOT_MADE = Outcome("failed", "worktree", "there is a branch already")
SET_UP = Outcome("failed", "setup_failed", "npm ci")


def ready(at: float, task: int) -> Prepared:
    return Prepared(at, task, None, exists=True)


def at_work(*plans: TaskPlan, max_parallel: int = 0) -> Schedule:
    one = machine(*plans, max_parallel=max_parallel)
    feed(one, Tick(0.0))
    for task in range(len(plans)):
        feed(one, ready(0.0, task), Started(0.0, task))
    return one


def test_a_task_starts_when_its_checkout_is_ready_and_ends_when_it_is_harvested() -> None:
    one = machine(PLAN, PLAN, max_parallel=1)
    assert feed(one, Tick(0.0)) == [("Prepare", 0)]
    assert one.n_active == 1
    assert feed(one, ready(1.0, 0)) == [("Start", 0)]
    begin(one, 1.0, 0)
    assert feed(one, done(2.0, 0)) == [("Harvest", 0)]
    assert one.n_active == 1, "it still has its place"
    assert feed(one, Harvested(3.0, 0)) == [("Finish", 0, "succeeded", "completed"), ("Prepare", 1)]


def test_a_checkout_that_can_not_be_made_fails_its_task_alone() -> None:
    one = machine(PLAN, PLAN, max_parallel=1)
    feed(one, Tick(0.0))
    assert feed(one, Prepared(1.0, 0, NOT_MADE, exists=False)) == [
        ("Finish", 0, "failed", "worktree"),
        ("Prepare", 1),
    ]


def test_what_a_failed_set_up_leaves_is_harvested() -> None:
    one = machine(PLAN)
    feed(one, Tick(0.0))
    assert feed(one, Prepared(1.0, 0, SET_UP, exists=True)) == [("Harvest", 0)]
    assert feed(one, Harvested(2.0, 0))[0] == ("Finish", 0, "failed", "setup_failed")


def test_another_attempt_continues_in_the_same_checkout() -> None:
    one = at_work(TaskPlan(worktree=True, attempts=2))
    feed(one, failed(1.0, 0))
    assert one.next_at is not None
    assert feed(one, Tick(one.next_at)) == [("Start", 0)]
    begin(one, 99.0, 0)
    assert feed(one, done(100.0, 0)) == [("Harvest", 0)]


def test_a_task_is_checked_before_it_is_harvested() -> None:
    one = at_work(TaskPlan(worktree=True, check=True))
    assert feed(one, done(1.0, 0)) == [("Check", 0)]


def test_a_task_can_be_cancelled_while_its_checkout_is_made() -> None:
    one = machine(PLAN)
    feed(one, Tick(0.0))
    assert feed(one, Cancel(1.0, 0)) == [("Terminate", 0, "cancelled")]
    assert feed(one, Prepared(2.0, 0, NOT_MADE, exists=True)) == [("Harvest", 0)]
    assert feed(one, Harvested(3.0, 0))[0] == ("Finish", 0, "cancelled", "cancelled")


def test_a_cancel_during_the_harvest_comes_too_late() -> None:
    one = at_work(PLAN)
    feed(one, done(1.0, 0))
    assert feed(one, Cancel(2.0)) == []
    assert feed(one, Harvested(3.0, 0))[0] == ("Finish", 0, "succeeded", "completed")


def test_no_timer_of_its_attempt_stops_a_harvest() -> None:
    one = at_work(TaskPlan(5.0, 2.0, first_byte_s=3.0, worktree=True))
    feed(one, done(1.0, 0))
    assert feed(one, Tick(50.0)) == []


def test_a_set_up_that_takes_too_long_is_ended() -> None:
    one = machine(TaskPlan(worktree=True, setup_timeout_s=5.0))
    feed(one, Tick(0.0))
    assert one.next_at == 5.0
    assert feed(one, Tick(5.0)) == [("Terminate", 0, "setup_timeout")]
    assert feed(one, Prepared(6.0, 0, NOT_MADE, exists=True)) == [("Harvest", 0)]
    assert feed(one, Harvested(7.0, 0))[0] == ("Finish", 0, "failed", "setup_failed")


def test_no_agent_starts_in_a_checkout_that_is_ready_during_a_pause() -> None:
    one = machine(PLAN)
    feed(one, Tick(0.0), Pause(1.0))
    assert feed(one, ready(2.0, 0)) == []
    assert feed(one, Resume(3.0))[0] == ("Start", 0)


def test_a_task_that_is_cancelled_while_it_rests_is_harvested() -> None:
    one = at_work(TaskPlan(worktree=True, attempts=2))
    feed(one, failed(1.0, 0))
    assert feed(one, Cancel(2.0, 0)) == [("Harvest", 0)]


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "timed_out", "cancelled"])
def test_a_harvest_that_was_cut_off_is_all_that_is_left_to_do(outcome: str) -> None:
    active = AttemptState(1, "p-1")
    active.has_worktree = True
    past = RestoredTask(Outcome(outcome, "unknown"), active, to_harvest=True)
    one = machine(PLAN, restored={0: past})
    assert feed(one, Tick(0.0), Cancel(1.0)) == []
    assert feed(one, Harvested(2.0, 0))[0] == ("Finish", 0, outcome, "unknown")


@pytest.mark.parametrize("is_at_rest", [True, False])
def test_the_checkout_of_an_interrupted_task_is_asked_for_again(is_at_rest: bool) -> None:
    """The journal says where it is, and it is no authority: the helper confirms it."""
    active = AttemptState(1, "p-1")
    active.has_worktree = True
    outcome = Outcome("failed", "network") if is_at_rest else None
    one = machine(PLAN, restored={0: RestoredTask(outcome, active)})
    if not is_at_rest:
        feed(one, Started(0.0, 0), Ended(0.0, 0, Exit(), interrupted=True))
    assert feed(one, Tick(1.0)) == [("Prepare", 0)]
    assert feed(one, ready(2.0, 0)) == [("Start", 0)]


def test_what_an_interrupted_task_left_is_harvested_even_if_nothing_can_be_prepared() -> None:
    active = AttemptState(1, "p-1")
    active.has_worktree = True
    one = machine(PLAN, restored={0: RestoredTask(Outcome("failed", "network"), active)})
    feed(one, Tick(1.0))
    assert feed(one, Prepared(2.0, 0, NOT_MADE, exists=False))[0] == ("Harvest", 0)


def test_a_later_attempt_of_the_same_runner_goes_on_in_its_checkout() -> None:
    one = at_work(TaskPlan(worktree=True, attempts=2))
    feed(one, failed(1.0, 0))
    assert feed(one, Tick(1000.0)) == [("Start", 0)]
