"""Causes of the machine in the state machine: tasks wait, one tries, and nothing is burnt."""

from __future__ import annotations

import random

import pytest
from testkit.machine import CheckedSchedule, begin, done, feed, last_report, machine, starts

from cpr_nb.model.machine_causes import MachineCause
from cpr_nb.model.outcome import Exit
from cpr_nb.runner import messages
from cpr_nb.runner.instructions import Finish, Rest
from cpr_nb.runner.messages import Began, Cancel, Ended, Event, Postponed, Started, Tick
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import TaskPlan

PLAN = TaskPlan(attempts=2)
CLI = MachineCause("cli", "/bin/claude", "No such file: /bin/claude")
FULL = MachineCause("processes", "", "Resource temporarily unavailable: /bin/claude")
DAMAGED = "Configuration error in /h/.claude.json: JSON Parse error"


def folder(path: str) -> MachineCause:
    return MachineCause("folder", path, f"No such file: {path}")


def bad_start(at: float, task: int, words: str = "error: half of it is missing") -> Ended:
    return Ended(at, task, Exit(1, stderr=words), began=False)


def works(schedule: Schedule, at: float, task: int) -> None:
    """A task is started, begins and succeeds."""
    feed(schedule, Started(at, task), Began(at, task), done(at, task))


def test_one_task_tries_again_soon_and_all_start_when_it_does() -> None:
    one = machine(*[PLAN] * 4, max_parallel=3)
    assert starts(one, Tick(0.0)) == [0, 1, 2]
    assert starts(one, *(Postponed(0.0, task, CLI) for task in (0, 1, 2))) == []
    report = last_report(one, Tick(0.01), Tick(0.05))
    assert report is None  # nothing has changed since it was reported
    assert one.next_at == 0.1
    assert starts(one, Tick(0.1)) == [3]
    assert starts(one, Postponed(0.1, 3, CLI), Tick(0.2)) == []
    assert starts(one, Tick(0.4)) == [0]
    assert starts(one, Started(0.4, 0)) == [1, 2]
    assert starts(one, Started(0.4, 1), Started(0.4, 2), done(1.0, 0)) == [3]


def test_it_is_shown_what_the_session_waits_for_and_until_when() -> None:
    one = machine(PLAN, machine_wait_s=60.0)
    one.handle(Tick(0.0))
    report = last_report(one, Postponed(5.0, 0, CLI))
    assert report is not None
    assert (report.state, report.reason, report.gives_up_at) == ("waiting", "cli", 65.0)
    assert CLI.words in report.notice
    over = last_report(one, Tick(5.1), Started(5.1, 0))
    assert over is not None and (over.state, over.notice) == ("running", "")


def test_what_is_left_is_skipped_when_the_wait_is_over_and_a_pause_stops_the_clock() -> None:
    one = machine(*[PLAN] * 2, max_parallel=1, machine_wait_s=10.0)
    feed(one, Tick(0.0), Postponed(0.0, 0, CLI), messages.Pause(1.0))
    assert feed(one, Tick(50.0)) == []
    ends: list[tuple[object, ...]] = []
    for at in range(60, 80):
        for text in feed(one, messages.Resume(60.0) if at == 60 else Tick(float(at))):
            if text[0] == "Start":
                ends += feed(one, Postponed(float(at), int(str(text[1])), CLI))
            ends.append(text)
    ends = [text for text in ends if text[0] in ("Finish", "End")]
    assert sorted(ends[:2]) == [("Finish", task, "skipped", "machine") for task in (0, 1)]
    assert ends[2:] == [("End", "completed")]


def test_a_missing_folder_holds_only_the_tasks_that_it_concerns() -> None:
    one = machine(*[PLAN] * 4, max_parallel=2, machine_wait_s=10.0)
    assert starts(one, Tick(0.0)) == [0, 1]
    assert starts(one, Postponed(0.0, 0, folder("/a"))) == [2]
    begin(one, 0.0, 1, 2)
    assert starts(one, done(0.05, 1)) == [3]
    feed(one, Started(0.05, 3), done(0.06, 2), done(0.06, 3))
    report = last_report(one, Tick(0.1), Postponed(0.1, 0, folder("/a")))
    assert report is not None and (report.state, report.reason) == ("waiting", "folder")
    assert starts(one, Tick(0.4)) == [0]
    feed(one, Started(0.4, 0))
    assert ("End", "completed") in feed(one, done(1.0, 0))


def test_several_refusals_in_a_row_hold_all() -> None:
    one = machine(*[PLAN] * 50, max_parallel=1)
    n_refused, due = 0, starts(one, Tick(0.0))
    while due:
        n_refused += 1
        due = starts(one, Postponed(0.0, due[0], folder("/a")))
    assert n_refused == 3


def test_too_many_processes_lower_the_window_as_a_refusal_does() -> None:
    one = machine(*[PLAN] * 40, max_parallel=20)
    assert len(starts(one, Tick(0.0))) == 20
    begin(one, 0.0, *range(19))
    feed(one, Postponed(0.0, 19, FULL))
    assert one._admission.governor.capacity == 10


def test_a_damaged_configuration_holds_all_even_before_any_task_has_worked() -> None:
    one = machine(*[PLAN] * 3, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert ("Rest", 0, "usage_error", 0.0, False) in feed(one, bad_start(1.0, 0, DAMAGED))
    assert ("Rest", 1, "usage_error", 0.0, False) in feed(one, bad_start(1.0, 1, DAMAGED))
    assert starts(one, Tick(2.0)) == [2]
    assert starts(one, Started(2.0, 2)) == []  # its process runs: that proves nothing yet
    assert starts(one, Began(3.0, 2)) == [0]


def test_the_same_error_at_the_start_of_two_tasks_holds_all_once_one_has_worked() -> None:
    one = machine(*[PLAN] * 4, max_parallel=1)
    feed(one, Tick(0.0))
    works(one, 0.0, 0)
    feed(one, Started(1.0, 1))
    assert starts(one, bad_start(1.0, 1, "see /tmp/log.17")) == [2]
    feed(one, Started(1.0, 2))
    assert starts(one, bad_start(1.1, 2, "see /tmp/log.18")) == []
    report = one._admission.state_report(2)
    assert report[:2] == ("waiting", "setup") and "log.18" in report[2]


@pytest.mark.parametrize("exit_", [{"signal": 11}, {"exit_code": 139}])
def test_a_program_that_is_only_half_there_crashes(exit_: dict[str, int]) -> None:
    one = machine(*[PLAN] * 2, max_parallel=1)
    feed(one, Tick(0.0))
    works(one, 0.0, 0)
    feed(one, Started(1.0, 1))
    rest = feed(one, Ended(1.0, 1, Exit(**exit_), began=False))
    assert ("Rest", 1, "signal", 1.0, False) in rest


def test_an_error_at_the_start_fails_the_task_if_none_has_ever_worked() -> None:
    one = machine(PLAN)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert ("Finish", 0, "failed", "usage_error") in feed(one, bad_start(1.0, 0))


def test_a_task_that_is_alone_with_its_error_has_failed_after_three_attempts() -> None:
    one = machine(*[PLAN] * 2, max_parallel=1)
    feed(one, Tick(0.0))
    works(one, 0.0, 0)
    feed(one, Started(0.0, 1), bad_start(1.0, 1))
    assert starts(one, Tick(2.0)) == [1]
    feed(one, Started(2.0, 1), bad_start(3.0, 1))
    assert starts(one, Tick(5.0)) == [1]
    feed(one, Started(5.0, 1))
    assert ("Finish", 1, "failed", "usage_error") in feed(one, bad_start(6.0, 1))


def test_a_check_that_cannot_be_started_is_tried_again() -> None:
    one = machine(TaskPlan(check=True, check_timeout_s=5.0), machine_wait_s=60.0)
    feed(one, Tick(0.0), Started(0.0, 0))
    assert feed(one, done(1.0, 0)) == [("Check", 0)]
    assert feed(one, Postponed(1.0, 0, FULL)) == [("ReportState", "waiting", "processes")]
    assert feed(one, Tick(1.1)) == [("Check", 0), ("ReportState", "running", "")]
    assert feed(one, messages.Checked(2.0, 0, ""))[0] == ("Finish", 0, "succeeded", "completed")


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_machine_does_every_task_ends_once_and_none_is_burnt(seed: int) -> None:
    choice = random.Random(seed)
    plans = [TaskPlan(attempts=1, check=choice.random() < 0.3) for _ in range(8)]
    one = CheckedSchedule(plans, max_parallel=choice.randint(1, 4), new_id=str, has_worked=True)
    causes = [CLI, FULL, folder("/a"), folder("/b"), None]
    ends, at, bad_until = [0] * len(plans), 0.0, 30.0
    runs: dict[int, str] = {}

    def handle(event: Event) -> None:
        for instruction in one.handle(event):
            kind = type(instruction).__name__
            if kind in ("Start", "Check", "Terminate"):
                runs[instruction.task] = kind
            if isinstance(instruction, Rest):
                assert not instruction.counted
            if isinstance(instruction, Finish):
                ends[instruction.task] += 1
                outcome = instruction.outcome
                assert outcome.outcome == "succeeded" or instruction.task == cancelled, outcome

    cancelled = choice.choice([0, -1])
    handle(Tick(0.0))
    while not all(ends):
        assert at < 4000.0, "it never ends"
        at += choice.choice([0.0, 0.05, 0.5, 3.0])
        handle(Tick(at))
        if choice.random() < 0.05 and at < bad_until:
            handle(messages.Pause(at))
            handle(messages.Resume(at))
        if cancelled == 0 and at > 10.0 and not ends[0]:
            handle(Cancel(at, 0))
        for task, kind in list(runs.items()):
            is_bad = at < bad_until and choice.random() < 0.6
            del runs[task]
            if kind == "Start" and is_bad:
                cause = choice.choice(causes)
                handle(Postponed(at, task, cause) if cause else messages.DiskFree(at))
                if cause is None:
                    runs[task] = "Start"
            elif kind == "Start":
                handle(Started(at, task))
                runs[task] = "agent"
            elif kind == "agent" and is_bad:
                handle(bad_start(at, task, DAMAGED))
            elif kind in ("agent", "Terminate"):
                handle(done(at, task))
            elif is_bad:
                handle(Postponed(at, task, FULL))
            else:
                handle(messages.Checked(at, task, ""))
    assert ends == [1] * len(plans)
