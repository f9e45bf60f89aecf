"""The second, slower book beside the state machine's own: what may be, and what must come.

`SessionBook` hears of every event before the machine does, and of every instruction after it.
Each instruction is checked against what is known; `ScheduleMachine` in ``test_schedule_machine.py``
checks after each event what must hold always.
"""

from __future__ import annotations

from typing import Any

from cpr_nb.model import states
from cpr_nb.model.backoff import backoff_s, may_pass
from cpr_nb.model.limits import ACCESS, LOGIN, Limit
from cpr_nb.model.outcome import Exit, Outcome, derive
from cpr_nb.runner import governor, instructions
from cpr_nb.runner.instructions import Instruction
from cpr_nb.runner.messages import Ended, OutputPolled
from cpr_nb.runner.task_state import TaskPlan
from cpr_nb.runner.task_steps import GRACE_S
from testkit.level_book import LevelBook
from testkit.money_book import MoneyBook
from testkit.task_book import CHECKING, ENDED, PENDING, RESTING, RUNNING, STARTING, Book

SLOW = ("timeout", "silence", "no_first_byte", "refused", "lingered")
#: What an end reports if the API never answered.
UNHEARD = ("spawn", "usage_error", "timeout", "cancelled")


class SessionBook(LevelBook):
    """What is known of the session from outside."""

    def __init__(
        self,
        plans: list[TaskPlan],
        max_parallel: int,
        budget_usd: float | None,
        groups: Any,
        login_wait_s: float,
        first_parallel: int | None = None,
    ) -> None:
        self.now = 0.0
        self.books = [Book(p, g) for p, g in zip(plans, groups or [0] * len(plans), strict=True)]
        self.grouped = groups is not None
        self.max_parallel, self.money = max_parallel, MoneyBook(budget_usd, plans)
        self.begin_level(first_parallel)
        self.begun = self.paused = self.disk = self.cancelled_all = False
        self.held: Limit | None = None
        self.held_since, self.login_wait_s = 0.0, login_wait_s
        self.closed = False  # nothing starts any more: no login, or no access
        self.probe: int | None = None
        self.probe_from, self.word_given, self.n_refused = 0.0, False, 0
        self.probe_due_s: float | None = None  # what the runner's own clock waits for
        self.window: float | None = None
        self.halved_at = self.last_start_at = 0.0
        self.answered_at = -1.0
        self.warm: set[int] = set()
        self.reported: tuple[Any, ...] = (states.RUNNING, "", "", None, None)
        self.ends: list[str] = []
        self.ids: set[str] = set()
        self.used: set[str] = set()

    def new_id(self) -> str:
        new = f"c-{len(self.ids)}"
        self.ids.add(new)
        return new

    @property
    def room(self) -> float:
        limit = self.level or self.max_parallel or float("inf")
        return limit if self.window is None else min(limit, int(self.window))

    @property
    def gives_up_at(self) -> float | None:
        """When nobody waits for a login any more."""
        if self.held is None or self.held.kind != LOGIN or self.paused:
            return None
        return self.held_since + self.login_wait_s

    def close(self) -> None:
        self.closed, self.held, self.probe = True, None, None

    def close_in_time(self) -> None:
        if self.gives_up_at is not None and self.now >= self.gives_up_at:
            self.close()

    # -- events, before the machine hears of them ---------------------------------------------

    def started(self, task: int, conversation_id: str = "") -> None:
        book = self.books[task]
        book.state, book.started_at = RUNNING, self.now
        book.conversation_id = conversation_id or book.conversation_id

    def postponed(self, task: int, *, disk: bool = True) -> None:
        book = self.books[task]
        self.disk |= disk
        self.money.agents.pop(task)
        if self.probe == task:
            self.probe_withdrawn()
        book.begin_attempt()
        if book.cancel_asked:
            book.expected = ("finish", "cancelled", "cancelled")
        else:
            book.state, book.postponed, book.rests_until = RESTING, True, self.now

    def answered(self, task: int) -> None:
        book = self.books[task]
        book.answered, book.leads, book.refused_at = True, False, None
        self.answered_at = self.now
        self.warm.add(book.group)
        if self.probe == task or (self.held is not None and self.held.kind == LOGIN):
            self.held, self.probe, self.n_refused = None, None, 0

    def refused_for_now(self, task: int, delay_s: float) -> None:
        book = self.books[task]
        if self.window is None:
            self.window = max(governor.SMALLEST_WINDOW, self.n_active / 2)
            self.halved_at = self.now
        elif self.now >= self.halved_at + governor.COOL_S:
            self.window = max(governor.SMALLEST_WINDOW, self.window / 2)
            self.halved_at = self.now
        patient = delay_s <= governor.PATIENCE_S or book.answered or task == self.probe
        book.throttled = not patient and book.cause is None

    def limited(self, task: int, limit: Limit) -> None:
        if self.closed:
            return
        if self.held is not None and task != self.probe:
            if self.held.until_s is None and limit.until_s is not None:
                self.hold(limit)
                self.warm = set()
                self.word_given = self.word_given or self.now >= self.probe_from
            return
        self.probe_from = self.now
        if limit.until_s is None or self.n_refused:  # a reset that was none is not believed twice
            delay_s = governor.FIRST_PROBE_S * 2.0**self.n_refused
            self.probe_from += min(delay_s, governor.LAST_PROBE_S)
        self.n_refused += 1
        self.hold(limit)
        self.probe, self.warm, self.word_given = None, set(), False

    def hold(self, limit: Limit) -> None:
        if self.held is None or self.held.kind != limit.kind:
            self.held_since = self.now
        self.held = limit

    def allow_probe(self, *, at_once: bool = False) -> None:
        if at_once:
            self.held_since = self.now
        if self.held is not None and self.probe is None:
            self.word_given = True
            if at_once:
                self.probe_from = self.now

    def probe_withdrawn(self) -> None:
        self.probe, self.word_given, self.probe_from = None, True, self.now + 1.0

    def output_polled(self, task: int, event: OutputPolled) -> None:
        book, plan = self.books[task], self.books[task].plan
        book.listening = False
        assert book.started_at is not None
        last_at = book.started_at if event.last_output_at is None else event.last_output_at
        explained = max(last_at, min(event.busy_until, self.now))
        late = []
        if plan.first_byte_s is not None and event.last_output_at is None:
            late.append((book.started_at + plan.first_byte_s, "no_first_byte"))
        if plan.silence_s is not None:
            late.append((explained + plan.silence_s, "silence"))
        at, cause = min(late, default=(float("inf"), None))
        book.quiet = cause if at <= self.now else None

    def lingering(self, task: int, since: float | None) -> None:
        self.books[task].lingers_since = since
        self.money.lingers(task, lingers=since is not None)

    def cancelled(self, tasks: range) -> None:
        for book in (self.books[task] for task in tasks):
            if book.state in (PENDING, RESTING):
                book.expected = ("finish", "cancelled", "cancelled")
            if book.state != ENDED:
                book.cancel_asked = True

    def closes(self, task: int) -> None:
        """Says what must come of a rule that a task need not run: one that runs goes on."""
        if self.books[task].state in (PENDING, RESTING):
            self.books[task].expected = ("finish", "skipped", "decided")

    def ended(self, event: Ended) -> None:
        """Says what must come of an attempt's end: the truth table of attempts."""
        book, task = self.books[event.task], event.task
        plan, exit_ = book.plan, event.exit
        self.money.ends(event.task, event.cost_usd)
        cause = book.cause
        if book.cancel_asked and cause in (None, "throttled"):
            cause = "cancelled"
        if event.interrupted and cause is None and exit_.result is not None:
            cause = "lingered"  # while its runner left
        copy = Exit(
            exit_.exit_code,
            signal=exit_.signal,
            result=exit_.result,
            spawn_error=exit_.spawn_error,
            cause=cause,
        )
        outcome = derive(copy, schema=plan.schema, fail_on_denied=plan.fail_on_denied)
        good, kind = outcome.outcome == states.SUCCEEDED, (outcome.outcome, outcome.reason)
        stopped = book.cancel_asked or cause not in (None, *SLOW)
        limit = None if good or stopped or outcome.reason == "denied" else event.limit
        alone = (
            limit is not None
            and limit.kind == LOGIN
            and book.refused_at is not None
            and book.refused_at < self.answered_at
        )
        n_counted = book.attempt - book.n_free
        no_access = limit is not None and limit.kind == ACCESS
        if no_access and self.probe == task:
            self.probe_withdrawn()
        if good:
            if event.limit is None and book.lingers_since is None:
                self.answered(task)
            elif self.probe == task:
                self.probe_withdrawn()
            if self.window is not None and self.n_active >= int(self.window):
                self.window += 1 / self.window
        elif self.probe == task and (limit is None or alone):
            self.probe_ended(outcome, limit)
        if book.cancel_asked:
            checked = not (good and plan.check)
            book.expected = ("finish", *(kind if checked else ("cancelled", "cancelled")))
        elif alone:
            book.expected = ("finish", *kind)
        elif limit is not None and limit.kind == ACCESS:
            book.expected = ("finish", "failed", "auth")
            assert book.started_at is not None
            if limit.is_shared and self.answered_at <= book.started_at:
                self.close()
        elif limit is not None:
            self.limited(task, limit)
            book.expected, book.refused_at = ("rest", *kind, 0.0, False), self.now
        elif event.interrupted and cause is None and exit_.result is None:
            book.expected = ("rest", "lost", "vanished", 0.0, False)
        elif cause == "throttled" and not good:
            book.expected = ("rest", *kind, 0.0, False)
        elif n_counted < plan.attempts and may_pass(outcome):
            delay_s = backoff_s(outcome.reason, n_counted, 0.5)
            book.expected = ("rest", *kind, delay_s, True)
        elif good and plan.check:
            book.expected = ("check",)
        else:
            book.expected = ("finish", *kind)
        book.leads = book.listening = False

    def probe_ended(self, outcome: Outcome, limit: Limit | None) -> None:
        unheard = outcome.reason in UNHEARD
        passing = may_pass(outcome) and outcome.reason != "no_structure"
        if limit is not None or unheard or passing:
            self.probe_withdrawn()
        else:
            self.held, self.probe = None, None

    def checked(self, task: int, error: str) -> None:
        book = self.books[task]
        if book.cancel_asked:
            book.expected = ("finish", "cancelled", "cancelled")
        elif error or book.cause is not None:
            book.expected = ("finish", "failed", "check_failed")
        else:
            book.expected = ("finish", "succeeded", "completed")

    # -- instructions, one by one -------------------------------------------------------------

    def perform(self, one: Instruction) -> None:
        assert not self.ends, "nothing may follow the end"
        if isinstance(one, instructions.End):
            self.ends.append(one.state)
        elif isinstance(one, instructions.ReportState):
            new = (one.state, one.reason, one.notice, one.until_s, one.gives_up_at)
            assert new != self.reported, "reported twice"
            self.reported, self.probe_due_s = new, one.until_s
        elif isinstance(one, instructions.ReportParallel):
            self.level = one.level
            assert one.why
        else:
            book = self.books[one.task]
            assert book.state != ENDED, "an instruction for a task that has ended"
            getattr(self, f"on_{type(one).__name__.lower()}")(book, one)

    def on_start(self, book: Book, start: instructions.Start) -> None:
        assert self.begun and not self.paused and not self.disk
        assert not self.money.is_used_up and not self.closed
        assert not book.active and not book.cancel_asked
        assert self.n_active < self.room, "more than may run at once"
        if book.state == PENDING:
            assert (start.attempt, start.resume) == (1, "")
            assert start.conversation_id in self.ids - self.used, "an id is used once"
            self.used.add(start.conversation_id)
        else:
            assert self.now >= book.rests_until, "it was to rest longer"
            assert start.attempt == book.attempt + (not book.postponed)
            assert start.conversation_id == book.conversation_id
            assert start.resume or book.postponed
        if self.held is not None:
            assert self.probe is None, "two probes at once"
            assert self.now >= self.probe_from, "it is too early to probe"
            assert self.held.until_s is None or self.word_given
            self.probe = start.task
        elif self.window is not None:
            assert self.now >= self.last_start_at + governor.SPACING_S, "starts are to be spread"
        if self.grouped and book.group not in self.warm:
            others = [b for b in self.books if b.group == book.group and b.active and b.leads]
            assert not others, "two lead one group"
            leads = True
        else:
            leads = False
        self.money.starts(start.task, start.may_spend_usd)
        book.begin_attempt()
        book.state, book.postponed, book.leads = STARTING, False, leads
        book.attempt, book.conversation_id = start.attempt, start.conversation_id
        self.last_start_at = self.now

    def on_terminate(self, book: Book, stop: instructions.Terminate) -> None:
        assert book.stopped_at is None and book.started_at is not None
        if stop.cause == "check_timeout":
            assert book.state == CHECKING and book.checked_at is not None
            assert book.plan.check_timeout_s is not None
            assert self.now >= book.checked_at + book.plan.check_timeout_s
        elif stop.cause == "cancelled":
            assert book.cancel_asked or book.cause == "cancelled"
            assert book.state in (RUNNING, CHECKING)
        else:
            assert book.state == RUNNING
            by_an_earlier_runner = book.cause == stop.cause  # by an earlier runner
            if stop.cause == "timeout" and not by_an_earlier_runner:
                assert book.plan.timeout_s is not None
                assert self.now >= book.started_at + book.plan.timeout_s
            elif stop.cause == "refused":
                assert book.access_refused or by_an_earlier_runner
            elif stop.cause == "lingered" and not by_an_earlier_runner:
                assert book.lingers_since is not None and book.plan.linger_s is not None
                assert self.now >= book.lingers_since + book.plan.linger_s
            elif stop.cause == "throttled":
                assert book.throttled or by_an_earlier_runner
            elif stop.cause == "setup_refused":
                assert book.setup_refused
            else:
                assert stop.cause == book.quiet or by_an_earlier_runner
        book.cause, book.stopped_at, book.throttled = stop.cause, self.now, False

    def on_kill(self, book: Book, _: instructions.Kill) -> None:
        assert book.state in (RUNNING, CHECKING) and not book.killed
        assert book.stopped_at is not None, "killed without having been asked to end"
        assert self.now >= book.stopped_at + (0 if book.setup_refused else GRACE_S)
        book.killed = True

    def on_polloutput(self, book: Book, _: instructions.PollOutput) -> None:
        assert book.running and book.stopped_at is None and book.started_at is not None
        limits = [s for s in (book.plan.silence_s, book.plan.first_byte_s) if s is not None]
        assert self.now >= book.started_at + min(limits)
        book.listening = True

    def on_rest(self, book: Book, rest: instructions.Rest) -> None:
        kind = (rest.outcome.outcome, rest.outcome.reason)
        assert book.expected == ("rest", *kind, rest.delay_s, rest.counted)
        assert not book.cancel_asked
        book.n_free += not rest.counted
        assert book.attempt - book.n_free < book.plan.attempts
        book.begin_attempt()
        book.state, book.outcome = RESTING, rest.outcome
        book.rests_until = self.now + rest.delay_s

    def on_check(self, book: Book, _: instructions.Check) -> None:
        assert book.expected == ("check",) and book.plan.check
        book.state, book.checked_at, book.expected = CHECKING, self.now, None
        book.cause = book.stopped_at = None
        book.killed = False

    def on_finish(self, book: Book, finish: instructions.Finish) -> None:
        outcome = finish.outcome
        kind = (outcome.outcome, outcome.reason)
        if book.expected is not None:
            assert book.expected == ("finish", *kind)
        else:  # nothing happened to it: nothing starts any more
            assert book.state in (PENDING, RESTING)
            tried = book.state == RESTING and book.outcome is not None
            if self.closed:
                assert kind == ("skipped", "auth")
            else:
                assert self.money.is_used_up
                assert outcome is book.outcome if tried else kind == ("skipped", "budget")
        assert outcome.outcome in states.OUTCOMES and outcome.reason in states.REASONS
        book.begin_attempt()
        book.state, book.outcome = ENDED, outcome
        book.n_finished += 1
