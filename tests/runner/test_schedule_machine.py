"""The state machine under any order of events: no task is lost, every run ends.

A second, slower book is kept beside the machine's own: what was told about each task and
when. Each instruction is checked against it, and after each event what must hold always.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from cpr_nb.model import states
from cpr_nb.model.outcome import Exit, Outcome, derive
from cpr_nb.model.retry import may_pass
from cpr_nb.runner.messages import (
    Cancel,
    End,
    Ended,
    Event,
    Finish,
    Heard,
    Instruction,
    Kill,
    Listen,
    Rest,
    Start,
    Started,
    Stop,
    Tell,
    Tick,
)
from cpr_nb.runner.plans import TaskPlan
from cpr_nb.runner.schedule import GRACE_S, Schedule

# Whole and half seconds, so that sums are exact and a moment is met to the point.
SECONDS = st.integers(1, 40).map(lambda halves: halves / 2)
LIMITS = st.none() | st.sampled_from([0.5, 2.0, 7.0, 30.0])
PLANS = st.builds(
    TaskPlan, LIMITS, LIMITS, schema=st.booleans(), attempts=st.sampled_from([1, 2, 4])
)
RESULTS = st.sampled_from(
    [
        None,
        {"is_error": False},
        {"is_error": False, "structured_output": {"n": 1}},
        {"is_error": True, "terminal_reason": "api_error"},
        {},
    ]
)
EXITS = st.sampled_from([(0, None), (1, None), (143, None), (None, 9), (None, 15), (None, None)])
COSTS = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0, 5.0])
FOR_EVER = float("inf")  # a tool runs


class Book:
    """What is known of one task from outside."""

    def __init__(self, plan: TaskPlan) -> None:
        self.plan = plan
        self.intended = False
        self.running = False
        self.listening = False
        self.cancel_asked = False
        self.started_at: float | None = None
        self.silent = False
        self.stop: Stop | None = None
        self.stopped_at: float | None = None
        self.killed = False
        self.exit: Exit | None = None
        self.finish: Outcome | None = None
        self.attempt = 0
        self.conversation_id = ""
        self.rested: Outcome | None = None  # how the attempt before ended, while it rests
        self.rests_until = 0.0

    @property
    def active(self) -> bool:
        return self.intended and self.finish is None and self.rested is None

    def rest(self, outcome: Outcome, until: float) -> None:
        self.running = self.listening = self.silent = self.killed = False
        self.started_at = self.stopped_at = None
        self.stop = self.exit = None
        self.rested, self.rests_until = outcome, until

    @property
    def starting(self) -> bool:
        return self.active and not self.running


class ScheduleMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.books: list[Book] = []
        self.ids: set[str] = set()
        self.used: set[str] = set()
        self.spent_usd = 0.0
        self.cancelled_all = False
        self.ends: list[End] = []
        self.begun = False

    @initialize(
        plans=st.lists(PLANS, min_size=1, max_size=6),
        max_parallel=st.integers(0, 4),
        budget_usd=st.none() | st.sampled_from([0.25, 1.0, 4.0]),
        begin=st.booleans(),
    )
    def create(
        self, plans: list[TaskPlan], max_parallel: int, budget_usd: float | None, begin: bool
    ) -> None:
        self.books = [Book(plan) for plan in plans]
        self.limit = max_parallel or len(plans)
        self.budget_usd = budget_usd
        self.schedule = Schedule(
            plans, max_parallel=max_parallel, new_id=self.new_id, budget_usd=budget_usd
        )
        if begin:  # else a cancel may come before the first Tick
            self.no_time_goes_by()
            self.all_processes_start()

    def new_id(self) -> str:
        new = f"c-{len(self.ids)}"
        self.ids.add(new)
        return new

    # -- events -------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        self.begun = self.begun or isinstance(event, Tick)  # before, nothing starts
        for instruction in self.schedule.handle(event):
            self.take(instruction)
        next_at = self.schedule.next_at
        assert next_at is None or next_at > self.now, "it wants a Tick that is over"

    @rule(by=SECONDS)
    def time_goes_by(self, by: float) -> None:
        self.now += by
        self.handle(Tick(self.now))

    @rule()
    def no_time_goes_by(self) -> None:
        self.handle(Tick(self.now))

    @precondition(lambda self: self.begun and self.schedule.next_at is not None)
    @rule(times=st.integers(1, 3), tool_running=st.booleans())
    def the_moment_comes_that_it_wants(self, times: int, tool_running: bool) -> None:
        """As in the runner, which answers a `Listen` at once."""
        for _ in range(times):
            if self.schedule.next_at is not None:
                self.now = self.schedule.next_at
            self.handle(Tick(self.now))
            for task, book in enumerate(self.books):
                if book.listening:
                    self.hear(task, 99.0, tool_running)

    def draw(self, data: st.DataObject, chosen: Any) -> int:
        return data.draw(st.sampled_from([n for n, b in enumerate(self.books) if chosen(b)]))

    @precondition(lambda self: any(book.starting for book in self.books))
    @rule(data=st.data(), by=SECONDS | st.just(0.0))
    def a_process_starts(self, data: st.DataObject, by: float) -> None:
        self.start_process(self.draw(data, lambda book: book.starting), by)

    def start_process(self, task: int, by: float = 0.0) -> None:
        self.now += by
        self.books[task].running = True
        self.books[task].started_at = self.now
        self.handle(Started(self.now, task))

    @rule()
    def all_processes_start(self) -> None:
        for task, book in enumerate(self.books):
            if book.starting:
                self.start_process(task)

    @precondition(lambda self: any(book.starting for book in self.books))
    @rule(data=st.data())
    def a_process_cannot_be_started(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: book.starting)
        self.end_process(task, Exit(spawn_error="No such file"), None)

    @precondition(lambda self: any(book.running for book in self.books))
    @rule(data=st.data(), exit_=EXITS, result=RESULTS, cost_usd=COSTS, by=SECONDS | st.just(0.0))
    def a_process_ends(
        self,
        data: st.DataObject,
        exit_: tuple[int | None, int | None],
        result: dict[str, Any] | None,
        cost_usd: float | None,
        by: float,
    ) -> None:
        self.now += by
        task = self.draw(data, lambda book: book.running)
        self.end_process(task, Exit(exit_[0], signal=exit_[1], result=result), cost_usd)

    def end_process(self, task: int, exit_: Exit, cost_usd: float | None) -> None:
        book = self.books[task]
        book.running = book.listening = False
        book.exit = exit_
        self.spent_usd += cost_usd or 0.0
        self.handle(Ended(self.now, task, exit_, cost_usd))
        assert book.finish or book.exit is None, "a process ended and its task did not"

    @precondition(lambda self: any(book.listening for book in self.books))
    @rule(data=st.data(), ago=SECONDS | st.just(0.0), tool_running=st.booleans())
    def something_is_heard(self, data: st.DataObject, ago: float, tool_running: bool) -> None:
        self.hear(self.draw(data, lambda book: book.listening), ago, tool_running)

    def hear(self, task: int, ago: float, tool_running: bool) -> None:
        book = self.books[task]
        book.listening = False
        assert book.started_at is not None and book.plan.silence_s is not None
        last_output_at = max(book.started_at, self.now - ago)
        book.silent = not tool_running and self.now - last_output_at >= book.plan.silence_s
        self.handle(Heard(self.now, task, last_output_at, FOR_EVER if tool_running else 0.0))

    @precondition(lambda self: self.books)
    @rule(data=st.data())
    def one_task_is_cancelled(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: True)
        self.books[task].cancel_asked = True
        self.handle(Cancel(self.now, task))

    @rule(really=st.integers(0, 4).map(lambda number: number == 0))
    def all_tasks_are_cancelled(self, really: bool) -> None:
        if not really:  # else most runs would be over soon
            return
        self.cancelled_all = self.cancelled_all or not self.ends
        for book in self.books:
            book.cancel_asked = True
        self.handle(Cancel(self.now))

    # -- instructions -------------------------------------------------------------------------

    def take(self, instruction: Instruction) -> None:
        assert not self.ends, "nothing may follow the end"
        if isinstance(instruction, End):
            self.ends.append(instruction)
            return
        if isinstance(instruction, Tell):
            return
        book = self.books[instruction.task]
        assert book.finish is None, "told something about a task that has ended"
        if isinstance(instruction, Start):
            self.take_start(book, instruction)
        elif isinstance(instruction, Stop):
            self.take_stop(book, instruction)
        elif isinstance(instruction, Kill):
            assert book.running and not book.killed
            assert book.stopped_at is not None, "killed without having been asked to end"
            assert self.now >= book.stopped_at + GRACE_S
            book.killed = True
        elif isinstance(instruction, Listen):
            assert book.running and book.stop is None
            assert book.plan.silence_s is not None and book.started_at is not None
            assert self.now >= book.started_at + book.plan.silence_s
            book.listening = True
        elif isinstance(instruction, Rest):
            self.take_rest(book, instruction)
        else:
            assert isinstance(instruction, Finish)
            self.take_finish(book, instruction.outcome)

    def take_start(self, book: Book, start: Start) -> None:
        assert not book.active and not book.cancel_asked and not self.budget_is_spent
        if book.rested is None:
            assert start.attempt == 1 and not start.resume
            assert start.conversation_id in self.ids - self.used, "an id is used once"
            self.used.add(start.conversation_id)
        else:
            assert start.attempt == book.attempt + 1 <= book.plan.attempts
            assert start.conversation_id == book.conversation_id and start.resume
            assert self.now >= book.rests_until
        book.intended, book.rested = True, None
        book.attempt, book.conversation_id = start.attempt, start.conversation_id

    def take_rest(self, book: Book, rest: Rest) -> None:
        assert may_pass(rest.outcome) and book.attempt < book.plan.attempts
        assert not book.cancel_asked
        expected = self.expected(book)
        assert (rest.outcome.outcome, rest.outcome.reason) == (expected.outcome, expected.reason)
        book.rest(rest.outcome, self.now + rest.delay_s)

    def take_stop(self, book: Book, stop: Stop) -> None:
        assert book.running and book.stop is None
        assert book.started_at is not None
        if stop.cause == "cancelled":
            assert book.cancel_asked
        elif stop.cause == "timeout":
            assert book.plan.timeout_s is not None
            assert self.now >= book.started_at + book.plan.timeout_s
        else:
            assert stop.cause == "silence" and book.silent
        book.stop, book.stopped_at = stop, self.now

    def take_finish(self, book: Book, outcome: Outcome) -> None:
        if book.exit is not None:
            expected = self.expected(book)
            assert (outcome.outcome, outcome.reason) == (expected.outcome, expected.reason)
            tried = book.attempt >= book.plan.attempts or book.cancel_asked
            assert tried or not may_pass(outcome), "it gave up too early"
        elif book.rested is not None and not book.cancel_asked:
            assert outcome is book.rested and self.budget_is_spent
        elif outcome.outcome == states.SKIPPED:
            assert not book.intended and self.budget_is_spent
        else:
            assert outcome.outcome == states.CANCELLED
            assert not book.active and book.cancel_asked
        book.finish = outcome

    def expected(self, book: Book) -> Outcome:
        """How the attempt that is over ended, by the truth table alone."""
        assert book.exit is not None
        asked_to = "cancelled" if book.cancel_asked and not book.stop else None
        copy = Exit(
            book.exit.exit_code,
            signal=book.exit.signal,
            result=book.exit.result,
            spawn_error=book.exit.spawn_error,
            cause=book.stop.cause if book.stop else asked_to,
        )
        return derive(copy, schema=book.plan.schema)

    # -- what holds always --------------------------------------------------------------------

    @property
    def budget_is_spent(self) -> bool:
        return self.budget_usd is not None and self.spent_usd >= self.budget_usd

    @invariant()
    def it_counts_what_runs_and_what_was_spent(self) -> None:
        if self.begun:
            n_active = sum(book.active for book in self.books)
            assert n_active == self.schedule.n_active <= self.limit
            assert self.schedule.spent_usd == self.spent_usd

    @invariant()
    def no_place_stays_empty_while_a_task_waits(self) -> None:
        waiting = sum(
            not book.active and book.finish is None and self.now >= book.rests_until
            for book in self.books
        )
        if self.begun and waiting:
            assert sum(book.active for book in self.books) == self.limit
            assert not self.budget_is_spent, "a task waits for money that will not come"

    @invariant()
    def nobody_runs_beyond_a_limit(self) -> None:
        for book in self.books:
            if not book.running or book.started_at is None:
                continue
            if book.stopped_at is not None:
                assert book.killed or self.now < book.stopped_at + GRACE_S
                continue
            assert not book.cancel_asked and not book.silent
            if book.plan.timeout_s is not None:
                assert self.now < book.started_at + book.plan.timeout_s
            if book.plan.silence_s is not None and not book.listening:
                next_at = self.schedule.next_at
                assert next_at is not None, "nobody would listen to it again"
                assert next_at <= self.now + book.plan.silence_s

    @invariant()
    def it_ends_when_the_last_task_has_ended(self) -> None:
        if self.books:
            all_ended = all(book.finish is not None for book in self.books)
            assert len(self.ends) == all_ended

    def teardown(self) -> None:
        """Lets everything come to its end; whatever was done before, it must."""
        if not hasattr(self, "schedule"):
            return
        self.no_time_goes_by()
        good = {"is_error": False, "structured_output": {}}
        for _ in range(2 * len(self.books)):
            self.now = max([self.now, *(book.rests_until for book in self.books)])
            self.handle(Tick(self.now))
            for task, book in enumerate(self.books):
                if book.starting:
                    self.start_process(task)
                if book.running:
                    self.end_process(task, Exit(0, result=good), None)
        assert len(self.ends) == 1
        n_cancelled = sum(
            book.finish is not None and book.finish.outcome == states.CANCELLED
            for book in self.books
        )
        cancelled = self.cancelled_all and n_cancelled
        assert self.ends[0].state == (states.CANCELLED if cancelled else states.COMPLETED)
        assert self.ids == self.used


TestScheduleMachine = ScheduleMachine.TestCase
TestScheduleMachine.settings = settings(deadline=None, max_examples=400, stateful_step_count=40)
