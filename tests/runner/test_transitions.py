"""The table of transitions: what may not happen is noticed, and everything in it happens."""

from __future__ import annotations

import random

import pytest
from testkit.machine import GOOD, CheckedSchedule, done, feed, machine, running

from cpr_nb.model.limits import ACCESS, USAGE, Limit
from cpr_nb.model.machine_causes import MachineCause
from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.budget import Budget
from cpr_nb.runner.early_ends import EarlyEnds
from cpr_nb.runner.messages import Cancel, Checked, Ended, Event, Harvested, Started, Tick
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan
from cpr_nb.runner.transitions import (
    ENDED,
    EVENTS,
    PENDING,
    RUNNING,
    STATES,
    STRICT_EVENTS,
    TRANSITIONS,
    IllegalTransition,
    Stories,
)


def test_the_table_knows_every_event_of_a_task_and_no_other_word() -> None:
    for state, event in TRANSITIONS:
        assert event in EVENTS and state != ENDED
    assert {event for _, event in TRANSITIONS} >= STRICT_EVENTS
    by_the_machine = {"Admitted", "Closed", "Timer"}
    for name in EVENTS.keys() - by_the_machine:
        assert issubclass(getattr(messages, name), Event)
    for following in TRANSITIONS.values():
        for names in following.values():
            for name in names:
                assert issubclass(getattr(instructions, name), instructions.Instruction)


# -- illegal transitions ----------------------------------------------------------------------


def test_an_event_that_cannot_come_raises_with_the_tasks_recent_events() -> None:
    one = running(TaskPlan(), TaskPlan())
    with pytest.raises(IllegalTransition) as caught:
        one.handle(Checked(1.5, 1, ""))
    assert caught.value.task == 1
    assert caught.value.problem == "Checked must not come while it is running"
    story = [line.split() for line in str(caught.value).splitlines()[2:]]
    assert story == [["0.00", "s", "Admitted:", "starting"], ["0.00", "s", "Started:", "running"]]


@pytest.mark.parametrize("event", [Started(1.0, 0), done(1.0, 0), Checked(1.0, 0, "")])
def test_a_task_that_waits_or_has_ended_has_no_process_that_could_end(event: Event) -> None:
    with pytest.raises(IllegalTransition, match="pending"):
        machine(TaskPlan()).handle(event)
    one = running(TaskPlan())
    one.handle(done(0.5, 0))
    with pytest.raises(IllegalTransition, match="ended"):
        one.handle(event)


def test_in_a_runner_it_is_the_end_of_that_task_only() -> None:
    errors: list[IllegalTransition] = []
    one = machine(*[TaskPlan()] * 3, max_parallel=2, on_illegal=errors.append)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert feed(one, Checked(1.0, 0, "")) == [
        ("Abandon", 0),
        ("Finish", 0, "failed", "internal"),
        ("Start", 2),
    ]
    assert [error.task for error in errors] == [0]
    # What comes of its process is not an end that counts; nothing is recorded twice.
    assert feed(one, done(2.0, 0)) == [("Abandon", 0)]
    assert feed(one, done(2.0, 1), Started(2.0, 2), done(3.0, 2)) == [
        ("Finish", 1, "succeeded", "completed"),
        ("Finish", 2, "succeeded", "completed"),
        ("End", "completed"),
    ]


def test_a_task_that_probed_leaves_that_to_another_one() -> None:
    one = machine(*[TaskPlan()] * 2, max_parallel=1, on_illegal=lambda error: None)
    feed(one, Tick(0.0), Started(0.0, 0))
    one.handle(Ended(1.0, 0, Exit(1, result={"is_error": True}), limit=Limit(USAGE, 9.0)))
    assert ("Start", 1) in feed(one, messages.Probe(9.0))
    feed(one, Checked(9.5, 1, ""))
    assert ("Start", 0) in feed(one, Tick(12.0))


def test_cancelling_all_reaches_the_tasks_behind_one_that_fails() -> None:
    class Broken(EarlyEnds):
        def cancel(self, task: int, at_s: float) -> None:
            if task == 1:
                self._tasks.move(task, PENDING)
            super().cancel(task, at_s)

    one = machine(*[TaskPlan()] * 3, max_parallel=0, on_illegal=lambda error: None)
    one._ends = Broken(one._tasks, one._steps, one._machine)
    feed(one, Tick(0.0), *(Started(0.0, task) for task in range(3)))
    assert feed(one, Cancel(1.0)) == [
        ("Terminate", 0, "cancelled"),
        ("Abandon", 1),
        ("Finish", 1, "failed", "internal"),
        ("Terminate", 2, "cancelled"),
    ]


# -- stories ----------------------------------------------------------------------------------


def test_a_story_has_the_last_twenty_events_and_is_dropped_with_its_task() -> None:
    stories = Stories()
    for second in range(30):
        stories.add(7, float(second), "Responded", RUNNING)
    lines = stories.text(7).splitlines()
    assert len(lines) == 20
    assert lines[0].split() == ["10.00", "s", "Responded:", "running"]
    stories.drop(7)
    assert stories.text(7) == "(none)"


def test_thousands_of_tasks_that_have_ended_keep_no_story() -> None:
    one = machine(*[TaskPlan()] * 200, max_parallel=1)
    one.handle(Tick(0.0))
    for task in range(200):
        feed(one, Started(0.0, task), done(1.0, task))
    assert one._tasks._stories._entries == {}


# -- everything in the table happens ----------------------------------------------------------

PLANS = [
    TaskPlan(attempts=3, check=check, worktree=worktree, timeout_s=limit_s, silence_s=limit_s,
             check_timeout_s=limit_s, setup_timeout_s=limit_s)
    for check in (False, True) for worktree in (False, True) for limit_s in (None, 3.0)
]  # fmt: skip


Row = tuple[int, str, int]
SPAWN_ERROR = Exit(spawn_error="No such file")


class Walk:
    """A session in which anything happens that may happen to what runs.

    Args:
        seed: Says what.
    """

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        plans = [self.choice.choice(PLANS) for _ in range(3)]
        budget = Budget(self.choice.choice([None, 1.0]))
        self.schedule = CheckedSchedule(
            plans,
            max_parallel=2,
            new_id=str,
            budget=budget,
            machine_wait_s=self.choice.choice([10.0, 3600.0]),
        )
        self.what_runs: dict[int, str] = {}
        self.at = 0.0

    def go(self) -> set[Row]:
        """The transitions that happened."""
        self.handle(Tick(0.0))
        for _ in range(60):
            self.at += self.choice.choice([0.0, 0.0, 1.0, 4.0, 20.0])
            self.handle(self.event(self.choice.randrange(3)))
        return self.schedule.seen

    def handle(self, event: Event) -> None:
        if isinstance(event, Started):
            self.what_runs[event.task] = "agent"
        elif type(event).__name__ in STRICT_EVENTS:
            del self.what_runs[event.task]
        for instruction in self.schedule.handle(event):
            kind = type(instruction).__name__
            if kind in ("Start", "Prepare", "Check", "Harvest"):
                self.what_runs[instruction.task] = kind

    def event(self, task: int) -> Event:
        at = self.at
        if self.choice.random() < 0.3:
            closing = messages.Close(at, task, Outcome("skipped", "decided"))
            rare = [Tick(at), Cancel(at, task), messages.Pause(at), messages.Resume(at), closing]
            return self.choice.choice(rare)
        result = self.choice.choice([GOOD, {"is_error": True, "api_error_status": 529}, None])
        end = Ended(at, task, Exit(0, result=result), cost_usd=self.choice.choice([0.0, 0.5]))
        failure = self.choice.choice([None, Outcome("failed", "worktree")])
        exists = failure is None or self.choice.random() < 0.5
        cause = MachineCause(self.choice.choice(["cli", "folder", "processes"]), "", "gone")
        held = messages.Postponed(at, task, cause)
        what_may_come: dict[str | None, list[Event]] = {
            None: [Tick(at), Tick(at), messages.DiskFree(at), Cancel(at, task)],
            "Prepare": [messages.Prepared(at, task, failure, exists=exists), held],
            "Start": [
                Started(at, task),
                Started(at, task),
                Ended(at, task, SPAWN_ERROR),
                messages.Postponed(at, task),
                messages.Unplaced(at, task),
                held,
            ],
            "agent": [
                end,
                messages.Throttled(at, task, 60.0),
                messages.SetupRefused(at, task),
                messages.OutputPolled(at, task, 0.0),
                messages.Limited(at, task, Limit(ACCESS)),
                Tick(at),
            ],
            "Check": [Checked(at, task, self.choice.choice(["", "exit 1"])), Tick(at), held],
            "Harvest": [Harvested(at, task), held],
        }
        return self.choice.choice(what_may_come[self.what_runs.get(task)])


def cancelled_while_its_check_waits() -> set[Row]:
    """A walk that hardly ever happens: the check of a task with a worktree can't be started."""
    one = CheckedSchedule([TaskPlan(check=True, worktree=True)], max_parallel=1, new_id=str)
    feed(
        one, Tick(0.0), messages.Prepared(0.0, 0, None, exists=True), Started(0.0, 0), done(1.0, 0)
    )
    held = messages.Postponed(1.0, 0, MachineCause("processes", "", "none is left"))
    assert feed(one, held, Cancel(1.0)) == [
        ("ReportState", "waiting", "processes"),
        ("Harvest", 0),
        ("ReportState", "running", ""),
    ]
    return one.seen


def test_every_transition_of_the_table_happens_and_no_other() -> None:
    rows = {(state, event, new) for (state, event), news in TRANSITIONS.items() for new in news}
    # A journal that lost a line may tell of an attempt, and not of the worktree that it had.
    attempt = AttemptState(2, "c-1")
    restored = {0: RestoredTask(Outcome("failed", "network"), attempt)}
    one = CheckedSchedule([PLANS[2]], max_parallel=1, new_id=str, restored=restored)
    one.handle(Tick(0.0))
    seen: set[Row] = one.seen
    seen |= cancelled_while_its_check_waits()
    for seed in range(3000):
        seen |= Walk(seed).go()
        if rows <= seen:
            break
    assert {(STATES[a][0], event, STATES[b][0]) for a, event, b in rows - seen} == set()
