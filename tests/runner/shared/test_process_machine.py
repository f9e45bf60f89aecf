"""The machine of a shared process: what a task gets, and what happens to a process that is odd."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cpr_nb.runner.shared import borders
from cpr_nb.runner.shared import process_machine as machine
from cpr_nb.runner.shared.borders import Mark
from cpr_nb.runner.shared.process_machine import ProcessMachine

INIT = {"cwd": "/w", "model": "m", "tools": ["Read"], "mcp_servers": []}


def mark(kind: str, begin: int = 0, **event: Any) -> Mark:
    return Mark(kind, begin, begin + 10, event)


def clear(
    process: ProcessMachine, conversation_id: str, at_s: float = 0.0, **init: Any
) -> list[str]:
    """What the CLI writes at a border; returns the steps."""
    steps = process.handle(mark(borders.RESET, 100), at_s, "")
    steps += process.handle(
        mark(borders.INIT, 110, **{**INIT, **init}, session_id=conversation_id), at_s, ""
    )
    return steps + process.handle(mark(borders.RESULT, 120), at_s, "")


def primed() -> ProcessMachine:
    process = ProcessMachine(0.0)
    assert clear(process, "c1") == [machine.READY]
    return process


def busy() -> ProcessMachine:
    process = primed()
    process.give(7, 1.0)
    process.handle(mark(borders.INIT, 130, **INIT, session_id="c1"), 1.0, "")
    return process


def test_a_task_gets_the_conversation_and_the_place_behind_the_clear() -> None:
    process = primed()
    assert (process.conversation_id, process.offset) == ("c1", 130)
    process.give(7, 1.0)
    assert process.handle(mark(borders.RESULT, 500), 2.0, "") == [machine.CLEAR]
    assert clear(process, "c2", 3.0) == [machine.END_TASK, machine.READY]
    assert process.end == 100 and process.conversation_id == "c2"


def test_on_a_full_disk_an_exit_alone_may_show_the_end_of_a_task() -> None:
    process = busy()
    assert process.close_at_once("full", 2.0) == [machine.CLOSE]
    assert process.state == machine.CLOSING
    assert process.handle(mark(borders.RESULT), 3.0, "") == []  # no further task, and no /clear
    idle = primed()
    assert machine.CLOSE in idle.close_at_once("full", 2.0)
    starting = ProcessMachine(0.0)
    starting.close_at_once("full", 2.0)
    assert machine.REFUSE not in starting.tick(100.0)  # that says nothing about the CLI


def test_a_turn_after_the_clear_was_sent_still_belongs_to_the_task() -> None:
    process = busy()
    process.handle(mark(borders.RESULT), 2.0, "")
    for kind in (borders.INIT, borders.RESULT):  # a command in the background has ended
        assert process.handle(mark(kind, session_id="c1"), 2.0, "") == []
    assert process.state == machine.CLEARING and process.task == 7


def test_a_result_without_a_border_means_that_it_can_not_be_shared() -> None:
    process = ProcessMachine(0.0)
    steps = process.handle(mark(borders.RESULT), 0.5, "")
    assert steps == [machine.REFUSE, machine.CLOSE, machine.TERMINATE]


def test_nothing_within_the_time_means_the_same() -> None:
    process = ProcessMachine(0.0)
    assert process.tick(machine.CLEAR_S - 0.1) == []
    assert process.tick(machine.CLEAR_S)[0] == machine.REFUSE


def test_the_same_conversation_means_the_same() -> None:
    process = ProcessMachine(0.0)
    assert clear(process, "")[0] == machine.REFUSE


def test_a_hook_that_runs_only_at_the_start_means_the_same() -> None:
    process = ProcessMachine(0.0)
    process.handle(mark(borders.HOOK, hook_event="SessionStart"), 0.0, "")
    assert clear(process, "c1")[0] == machine.REFUSE


def test_a_hook_that_runs_for_each_conversation_is_fine() -> None:
    process = ProcessMachine(0.0)
    process.handle(mark(borders.HOOK, hook_event="SessionStart"), 0.0, "")
    process.handle(mark(borders.RESET), 0.0, "")
    process.handle(mark(borders.HOOK, hook_event="SessionStart"), 0.0, "")
    process.handle(mark(borders.INIT, **INIT, session_id="c1"), 0.0, "")
    assert process.handle(mark(borders.RESULT), 0.0, "") == [machine.READY]


def test_what_a_task_left_behind_ends_the_process_before_the_next_one() -> None:
    for name, value in (("cwd", "/elsewhere"), ("permissionMode", "plan"), ("model", "other")):
        process = busy()
        process.handle(mark(borders.RESULT), 2.0, "")
        assert clear(process, "c2", 3.0, **{name: value}) == [machine.END_TASK, machine.CLOSE]
        assert name in process.why and process.state == machine.RETIRED


def test_a_server_that_was_still_starting_is_no_change() -> None:
    process = ProcessMachine(0.0)
    clear(process, "c1", mcp_servers=[{"name": "db", "status": "pending"}])
    process.give(7, 1.0)
    process.handle(mark(borders.RESULT), 2.0, "")
    servers = [{"name": "db", "status": "connected"}]
    assert clear(process, "c2", 3.0, mcp_servers=servers) == [machine.END_TASK, machine.READY]


def test_work_in_the_background_keeps_the_process_for_its_task() -> None:
    process = busy()
    process.handle(mark(borders.BACKGROUND, tasks=[{"task_id": "b1"}]), 1.5, "")
    assert process.handle(mark(borders.RESULT), 2.0, "") == [machine.CLOSE]
    assert process.state == machine.CLOSING


def test_a_line_of_another_conversation_is_the_end_of_the_process() -> None:
    for kind in (borders.LINE_OF_ANOTHER, borders.UNREADABLE, borders.RESET):
        process = busy()
        assert process.handle(mark(kind), 2.0, "") == [machine.CLOSE, machine.TERMINATE]
        assert process.task == 7 and process.state == machine.CLOSING


def test_an_interrupt_waits_until_the_cli_works_and_is_repeated() -> None:
    process = primed()
    process.give(7, 1.0)
    assert process.interrupt(1.0) == []  # it would be acknowledged and lost
    init = mark(borders.INIT, **INIT, session_id="c1")
    assert process.handle(init, 1.2, "") == [machine.INTERRUPT]
    assert process.tick(2.1) == [] and process.tick(2.2) == [machine.INTERRUPT]
    assert process.tick(3.0) == [machine.CLOSE, machine.TERMINATE]
    assert process.tick(13.0) == [machine.KILL]


def test_an_interrupted_task_ends_with_its_result_line() -> None:
    process = busy()
    assert process.interrupt(1.5) == [machine.INTERRUPT]
    assert process.handle(mark(borders.RESULT), 1.6, "its task was ended") == [machine.CLOSE]
    assert process.tick(3.5) == [machine.CLOSE, machine.TERMINATE]  # a command holds it


def test_one_that_has_nothing_to_do_ends() -> None:
    process = primed()
    assert process.tick(machine.IDLE_S - 0.1) == [] and process.tick(machine.IDLE_S) == [
        machine.CLOSE
    ]


KINDS = (
    *(borders.INIT, borders.RESULT, borders.RESET, borders.BACKGROUND, borders.HOOK),
    *(borders.LINE_OF_ANOTHER, borders.UNREADABLE, borders.RESPONSE),
)


class AnyOrder(RuleBasedStateMachine):
    """Whatever the CLI writes, and whenever someone asks for what."""

    def __init__(self) -> None:
        super().__init__()
        self.process, self.now = ProcessMachine(0.0), 0.0
        self.n_given = self.n_ended = 0
        self.cleared = False  # a /clear was sent, and a result line came behind a border
        self.steps: list[str] = []

    def take(self, steps: list[str]) -> None:
        self.steps += steps
        for step in steps:
            if step == machine.END_TASK:
                self.n_ended += 1
                assert self.process.end is not None
                self.process.task_over()

    @rule(
        kind=st.sampled_from(KINDS),
        conversation=st.sampled_from(["", "c1", "c2"]),
        s=st.floats(0, 40),
    )
    def line(self, kind: str, conversation: str, s: float) -> None:
        self.now += s
        event = {**INIT, "session_id": conversation, "tasks": [], "hook_event": "SessionStart"}
        self.take(self.process.handle(Mark(kind, 0, 9, event), self.now, ""))

    @rule(s=st.floats(0, 40))
    def time(self, s: float) -> None:
        self.now += s
        self.take(self.process.tick(self.now))

    @precondition(lambda self: self.process.state == machine.PRIMED)
    @rule()
    def give(self) -> None:
        self.n_given += 1
        self.process.give(self.n_given, self.now)

    @rule()
    def interrupt(self) -> None:
        self.take(self.process.interrupt(self.now))

    @rule()
    def close(self) -> None:
        self.take(self.process.close("not needed", self.now))

    @invariant()
    def it_serves_one_task_at_a_time_and_none_after_its_end(self) -> None:
        process = self.process
        assert self.n_given - self.n_ended == (process.task is not None)
        has_task = (machine.BUSY, machine.CLOSING)
        assert process.task is None or process.state in (*has_task, machine.CLEARING)
        assert process.state not in has_task or process.task is not None
        if machine.CLOSE in self.steps:
            assert process.state in (machine.CLOSING, machine.RETIRED)
            assert process.why

    @invariant()
    def whatever_has_a_limit_rings(self) -> None:
        if self.process.state in (machine.STARTING, machine.CLEARING, machine.PRIMED):
            assert self.process.next_at is not None


AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
