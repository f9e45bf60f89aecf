"""A task whose turn has ended while its commands still run: how long it may linger."""

from __future__ import annotations

import pytest
from testkit.machine import GOOD, done, feed, running

from cpr_nb.model.outcome import Exit
from cpr_nb.runner.messages import Cancel, Ended, Lingering, OutputPolled, Started, Tick
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan

PLAN = TaskPlan(linger_s=10.0)
END = ("Terminate", 0, "lingered")


def lingering(plan: TaskPlan = PLAN) -> Schedule:
    """A task that wrote its result at second 5."""
    one = running(plan)
    assert feed(one, Lingering(5.25, 0, 5.0)) == []
    return one


def stopped(at: float, **result: object) -> Ended:
    return Ended(at, 0, Exit(143, result={**GOOD, **result}))


def test_it_is_ended_when_its_time_is_over_and_has_succeeded() -> None:
    one = lingering()
    assert one.next_at == 15.0
    assert feed(one, Tick(14.9)) == []
    assert feed(one, Tick(15.0)) == [END]
    assert feed(one, stopped(16.0))[0] == ("Finish", 0, "succeeded", "completed")


def test_its_place_is_taken_until_its_process_has_ended() -> None:
    one = running(PLAN, PLAN)
    feed(one, Lingering(5.0, 0, 5.0), Tick(15.0))
    assert one.n_active == 2
    feed(one, stopped(16.0))
    assert one.n_active == 1


def test_whatever_it_writes_gives_it_more_time() -> None:
    one = lingering()
    assert feed(one, Lingering(14.0, 0, 14.0), Tick(23.9)) == []
    assert feed(one, Tick(24.0)) == [END]


def test_another_turn_has_no_such_limit_and_its_end_begins_anew() -> None:
    one = lingering()
    assert feed(one, Lingering(14.0, 0, None), Tick(1000.0)) == []
    assert feed(one, Lingering(1001.0, 0, 1001.0), Tick(1010.9)) == []
    assert feed(one, Tick(1011.0)) == [END]


def test_a_limit_that_is_over_when_it_is_noticed_ends_it_at_once() -> None:
    assert feed(running(PLAN), Lingering(50.0, 0, 5.0)) == [END]


def test_a_failed_turn_that_leaves_a_command_running_is_what_its_result_says() -> None:
    one = lingering(TaskPlan(linger_s=10.0, attempts=2))
    feed(one, Tick(15.0))
    end = stopped(16.0, is_error=True, terminal_reason="api_error", api_error_status=529)
    assert feed(one, end)[0][:3] == ("Rest", 0, "overloaded")


def test_its_run_time_counts_on() -> None:
    one = lingering(TaskPlan(12.0, linger_s=10.0))
    assert feed(one, Tick(12.0)) == [("Terminate", 0, "timeout")]
    assert feed(one, stopped(13.0))[0] == ("Finish", 0, "succeeded", "completed")


def test_a_cancel_ends_it_and_it_has_succeeded() -> None:
    one = lingering()
    assert feed(one, Cancel(6.0, 0)) == [("Terminate", 0, "cancelled")]
    assert feed(one, Tick(15.0)) == [], "it is ended already"
    assert feed(one, stopped(16.0))[0] == ("Finish", 0, "succeeded", "completed")


def test_it_may_end_by_itself() -> None:
    one = lingering()
    assert feed(one, done(6.0, 0))[0] == ("Finish", 0, "succeeded", "completed")
    assert feed(one, Tick(15.0)) == []


def test_without_a_limit_it_lingers_for_ever() -> None:
    assert lingering(TaskPlan()).next_at is None


def test_what_was_about_to_be_ended_for_it_is_ended_by_the_next_runner() -> None:
    attempt = AttemptState(1, "c-1")
    attempt.cause = "lingered"
    one = Schedule(
        [PLAN], max_parallel=1, new_id=lambda: "c", restored={0: RestoredTask(None, attempt)}
    )
    assert feed(one, Started(0.0, 0)) == [END]


@pytest.mark.parametrize("n_turns", [1, 30])
def test_many_turns_do_not_make_it_be_listened_to_more_often(n_turns: int) -> None:
    one = running(TaskPlan(None, 100.0, linger_s=10.0))
    for turn in range(n_turns):
        feed(one, Lingering(float(turn), 0, float(turn)), Lingering(turn + 0.5, 0, None))
    polls = [step for at in range(31, 400) for step in feed(one, Tick(float(at)))]
    assert polls == [("PollOutput", 0)], "nobody has answered the first one"
    assert feed(one, OutputPolled(400.0, 0, 400.0)) == []
    assert feed(one, Tick(500.0)) == [("PollOutput", 0)]
