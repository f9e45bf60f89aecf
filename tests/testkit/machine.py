"""Driving the state machine by hand: events in, instructions out in a form easy to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from cpr_nb.model.limits import LOGIN, USAGE, Limit
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.budget import Budget, bound_of
from cpr_nb.runner.governor import LOGIN_WAIT_S
from cpr_nb.runner.growth import Growth
from cpr_nb.runner.instructions import (
    End,
    Finish,
    Instruction,
    ReportParallel,
    ReportState,
    Rest,
    Terminate,
)
from cpr_nb.runner.machine_holds import MACHINE_WAIT_S
from cpr_nb.runner.messages import Ended, Event, Started, Tick
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import RestoredTask, TaskPlan
from cpr_nb.runner.transitions import STATES, STRICT_EVENTS, TRANSITIONS, IllegalTransition

FOR_EVER = float("inf")  # a tool runs
GOOD = {"is_error": False, "structured_output": {"n": 1}}
PLAN = TaskPlan()


class CheckedSchedule(Schedule):
    """A schedule whose every step must be in the table of transitions, instructions included.

    Attributes:
        seen: The transitions that happened: (state, event, next state).
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seen: set[tuple[int, str, int]] = set()

    def _step(
        self, task: int, name: str, at: float, handler: Callable[..., None], *args: object
    ) -> None:
        before, n_before = self.state(task), len(self._steps.out)
        super()._step(task, name, at, handler, *args)
        after = self.state(task)
        kinds = tuple(type(one).__name__ for one in self._steps.out[n_before:])
        strict = name in STRICT_EVENTS
        if (after != before or kinds or strict) and "Abandon" not in kinds:
            assert TRANSITIONS[before, name][after] == kinds, (STATES[before], name, STATES[after])
            self.seen.add((before, name, after))


def machine(
    *plans: TaskPlan,
    max_parallel: int = 0,
    budget_usd: float | None = None,
    groups: Sequence[int] | None = None,
    restored: dict[int, RestoredTask] | None = None,
    spent_usd: float = 0.0,
    login_wait_s: float = LOGIN_WAIT_S,
    machine_wait_s: float = MACHINE_WAIT_S,
    growth: Growth | None = None,
    on_illegal: Callable[[IllegalTransition], None] | None = None,
) -> Schedule:
    numbers = count(1)
    return CheckedSchedule(
        list(plans),
        max_parallel=max_parallel,
        new_id=lambda: f"c-{next(numbers)}",
        budget=Budget(budget_usd, bound_of(plans), spent_usd),
        groups=groups,
        restored=restored,
        login_wait_s=login_wait_s,
        machine_wait_s=machine_wait_s,
        growth=growth,
        on_illegal=on_illegal,
    )


def running(*plans: TaskPlan, **options: Any) -> Schedule:
    """A machine all of whose tasks were started at second 0."""
    one = machine(*plans, **options)
    feed(one, Tick(0.0), *(Started(0.0, task) for task in range(len(plans))))
    return one


def done(at: float, task: int, cost_usd: float | None = None) -> Ended:
    return Ended(at, task, Exit(0, result=GOOD), cost_usd)


def failed(at: float, task: int, status: int = 529, cost_usd: float | None = None) -> Ended:
    """An attempt that failed at the API; 529 may pass, 400 does not."""
    result = {"is_error": True, "api_error_status": status}
    return Ended(at, task, Exit(1, result=result), cost_usd)


def refused(at: float, task: int, kind: str, until_s: float | None = None) -> Ended:
    """An attempt that ended at a limit."""
    result = {"is_error": True, "api_error_status": 401 if kind == LOGIN else 429}
    return Ended(at, task, Exit(1, result=result), limit=Limit(kind, until_s))


def waiting(n_tasks: int = 4, kind: str = USAGE, until_s: float | None = None) -> Schedule:
    """Two at once; the first task was refused at second 1, the second still runs."""
    one = machine(*[PLAN] * n_tasks, max_parallel=2)
    feed(one, Tick(0.0), Started(0.0, 0), Started(0.0, 1))
    assert starts(one, refused(1.0, 0, kind, until_s)) == []
    return one


def readable(instructions: Sequence[Instruction]) -> list[tuple[Any, ...]]:
    """Instructions in a form that is easy to compare and to read."""
    texts: list[tuple[Any, ...]] = []
    for one in instructions:
        kind = type(one).__name__
        if isinstance(one, Finish):
            texts.append((kind, one.task, one.outcome.outcome, one.outcome.reason))
        elif isinstance(one, Terminate):
            texts.append((kind, one.task, one.cause))
        elif isinstance(one, Rest):
            texts.append((kind, one.task, one.outcome.reason, one.delay_s, one.counted))
        elif isinstance(one, End):
            texts.append((kind, one.state))
        elif isinstance(one, ReportParallel):
            texts.append((kind, one.level, one.why))
        elif isinstance(one, ReportState):
            texts.append((kind, one.state, one.reason))
        else:
            texts.append((kind, one.task))
    return texts


def feed(schedule: Schedule, *events: Event) -> list[tuple[Any, ...]]:
    return [text for event in events for text in readable(schedule.handle(event))]


def starts(schedule: Schedule, *events: Event) -> list[int]:
    """The tasks that are started."""
    return [text[1] for text in feed(schedule, *events) if text[0] == "Start"]


def begin(schedule: Schedule, at: float, *tasks: int) -> None:
    """Their processes run."""
    for task in tasks:
        schedule.handle(Started(at, task))


def last_report(schedule: Schedule, *events: Event) -> ReportState | None:
    """What was said last of the session's own state."""
    tells = [
        one for event in events for one in schedule.handle(event) if isinstance(one, ReportState)
    ]
    return tells[-1] if tells else None
