"""What may be and must come of one task, kept beside the state machine's own book."""

from __future__ import annotations

from typing import Any

from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import transitions
from cpr_nb.runner.task_state import TaskPlan
from cpr_nb.runner.task_steps import GRACE_S

PENDING, STARTING, RUNNING, CHECKING, RESTING, ENDED = range(6)
_NAMES = ("PENDING", "STARTING", "RUNNING", "CHECKING", "RESTING", "ENDED")
MACHINE_STATES: list[int] = [getattr(transitions, name) for name in _NAMES]
ACTIVE = (STARTING, RUNNING, CHECKING)


class Book:
    """What is known of one task from outside."""

    def __init__(self, plan: TaskPlan, group: int) -> None:
        self.plan = plan
        self.group = group
        self.state = PENDING
        self.attempt = self.n_free = 0
        self.conversation_id = ""
        self.cancel_asked = False
        self.refused_at: float | None = None  # by a lost login, and not answered since
        self.outcome: Outcome | None = None  # of the attempt before; at last, of the task
        self.rests_until = 0.0
        self.postponed = False
        self.n_finished = 0
        self.begin_attempt()

    def begin_attempt(self) -> None:
        self.started_at = self.stopped_at = self.wrote_at = self.checked_at = None
        self.cause: str | None = None
        self.killed = self.listening = self.answered = self.throttled = self.leads = False
        self.access_refused = False
        self.lingers_since: float | None = None
        self.setup_refused = False
        self.quiet: str | None = None  # why it must be stopped, by what was heard
        self.expected: tuple[Any, ...] | None = None  # what must come of the event now

    started_at: float | None
    stopped_at: float | None
    wrote_at: float | None
    checked_at: float | None

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def running(self) -> bool:
        return self.state == RUNNING

    @property
    def works(self) -> bool:
        """Whether it runs, and nobody asked it to end."""
        return self.running and self.stopped_at is None

    @property
    def machine_state(self) -> int:
        """The machine's own word for it."""
        if self.stopped_at is not None or (self.active and self.cancel_asked):
            return transitions.TERMINATING
        return MACHINE_STATES[self.state]

    def waits(self, now: float) -> bool:
        return self.state == PENDING or (self.state == RESTING and now >= self.rests_until)

    def check_its_time(self, now: float, next_at: float | None) -> None:
        """Nothing of it runs beyond a limit."""
        if self.stopped_at is not None:
            assert self.killed or now < self.stopped_at + GRACE_S
            return
        if self.state == CHECKING and self.plan.check_timeout_s is not None:
            assert self.checked_at is not None
            assert now < self.checked_at + self.plan.check_timeout_s
        if not self.running or self.started_at is None:
            return
        assert not self.cancel_asked
        if self.plan.timeout_s is not None:
            assert now < self.started_at + self.plan.timeout_s
        if self.plan.linger_s is not None and self.lingers_since is not None:
            assert now < self.lingers_since + self.plan.linger_s
        first_byte_s = self.plan.first_byte_s if self.wrote_at is None else None
        for limit_s in (self.plan.silence_s, first_byte_s):
            if limit_s is not None and not self.listening:
                assert next_at is not None, "nobody would listen to it again"
                assert next_at <= now + limit_s
