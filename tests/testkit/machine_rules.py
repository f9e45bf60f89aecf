"""What may happen to the state machine, in any order: the rules of its test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from cpr_nb.model.limits import ACCESS, USAGE, Limit
from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.model.running_cost import Usage
from cpr_nb.runner import messages
from cpr_nb.runner.budget import Budget, bound_of
from cpr_nb.runner.growth import Growth
from cpr_nb.runner.messages import Ended, Event, OutputPolled, Started, Tick
from cpr_nb.runner.task_state import TaskPlan
from testkit import task_book as books
from testkit.machine import CheckedSchedule
from testkit.machine_book import SessionBook
from testkit.machine_draw import (
    COSTS,
    EXITS,
    FOR_EVER,
    KINDS,
    LOGIN_WAITS_S,
    MAYBE_SECONDS,
    PLANS,
    RESETS_S,
    RESULTS,
    SECONDS,
    draw_past,
)
from testkit.task_book import Book

#: For how many more tasks there is memory.
MORE = st.sampled_from([0, 1, 2, 100])


def some(chosen: Callable[[Book], bool]) -> Any:
    """A rule that needs a task of this kind."""
    return precondition(lambda self: any(chosen(book) for book in self.books))


class MachineRules(RuleBasedStateMachine):
    """The schedule and the book beside it; each rule is an event that both hear of."""

    @initialize(
        plans=st.lists(PLANS, min_size=1, max_size=6),
        max_parallel=st.integers(0, 4),
        first_parallel=st.none() | st.integers(1, 3),
        budget_usd=st.none() | st.sampled_from([0.25, 1.0, 4.0]),
        login_wait_s=LOGIN_WAITS_S,
        grouped=st.integers(0, 2).map(lambda number: number == 0),
        from_past=st.integers(0, 2).map(lambda number: number == 0),
        begin=st.booleans(),
        data=st.data(),
    )
    def create(
        self,
        plans: list[TaskPlan],
        max_parallel: int,
        first_parallel: int | None,
        budget_usd: float | None,
        login_wait_s: float,
        grouped: bool,
        from_past: bool,
        begin: bool,
        data: st.DataObject,
    ) -> None:
        some = st.lists(st.integers(0, 1), min_size=len(plans), max_size=len(plans))
        groups = data.draw(some, label="groups") if grouped else None
        growth = None
        if first_parallel is not None:
            max_parallel += first_parallel
            growth = Growth(first_parallel, max_parallel)
        self.book = SessionBook(
            plans, max_parallel, budget_usd, groups, login_wait_s, first_parallel
        )
        spent_usd = data.draw(COSTS, label="spent before") or 0.0 if from_past else 0.0
        self.book.money.spent_usd = spent_usd
        self.schedule = CheckedSchedule(
            plans,
            max_parallel=max_parallel,
            new_id=self.book.new_id,
            budget=Budget(budget_usd, bound_of(plans), spent_usd),
            groups=groups,
            restored=draw_past(data, self.books) if from_past else None,
            login_wait_s=login_wait_s,
            growth=growth,
        )
        begun = [task for task, book in enumerate(self.books) if book.state == books.STARTING]
        for task in begun:
            self.book.money.restored(task)
        for task in begun:
            self.restore_attempt(data, task)
        if begin:  # else a cancel may come before the first Tick
            self.no_time_goes_by()
            self.all_processes_start()

    @property
    def books(self) -> list[Book]:
        return self.book.books if hasattr(self, "book") else []

    @property
    def now(self) -> float:
        return self.book.now

    def restore_attempt(self, data: st.DataObject, task: int) -> None:
        """As the runner does: an attempt that had a process started, and may have ended."""
        self.start_process(task)
        if data.draw(st.booleans(), label="is gone"):
            result = data.draw(RESULTS, label="what its stream says")
            self.end_process(task, Exit(result=result), data, interrupted=True)

    # -- events -------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        book = self.book
        book.begun = book.begun or isinstance(event, Tick)
        book.close_in_time()
        for instruction in self.schedule.handle(event):
            book.perform(instruction)
        book.check_level()
        next_at = self.schedule.next_at
        assert next_at is None or next_at > self.now, "it wants a Tick that is over"
        for one in self.books:
            assert one.expected is None, f"nothing came of it: {one.expected}"
            assert not one.throttled, "it was not taken back"
            refused = one.access_refused and one.running
            assert one.cause is not None or not refused, "it tries on without access"

    @rule(by=SECONDS)
    def time_goes_by(self, by: float) -> None:
        self.book.now += by
        self.handle(Tick(self.now))

    @rule()
    def no_time_goes_by(self) -> None:
        self.handle(Tick(self.now))

    @precondition(lambda self: self.books and self.schedule.next_at is not None)
    @rule(times=st.integers(1, 3), tool_running=st.booleans())
    def the_moment_comes_that_it_wants(self, times: int, tool_running: bool) -> None:
        """As in the runner, which answers a `PollOutput` at once."""
        for _ in range(times):
            if self.schedule.next_at is not None:
                self.book.now = self.schedule.next_at
            self.handle(Tick(self.now))
            for task, book in enumerate(self.books):
                if book.listening:
                    self.poll_output(task, 99.0, tool_running)

    def draw(self, data: st.DataObject, chosen: Any) -> int:
        return data.draw(st.sampled_from([n for n, b in enumerate(self.books) if chosen(b)]))

    @some(lambda book: book.state == books.STARTING)
    @rule(data=st.data(), by=MAYBE_SECONDS, new_id=st.booleans())
    def a_process_starts(self, data: st.DataObject, by: float, new_id: bool) -> None:
        task = self.draw(data, lambda book: book.state == books.STARTING)
        self.start_process(task, by, f"n-{task}-{self.now}" if new_id else "")

    def start_process(self, task: int, by: float = 0.0, conversation_id: str = "") -> None:
        self.book.now += by
        self.book.started(task, conversation_id)
        self.handle(Started(self.now, task, conversation_id))

    @rule()
    def all_processes_start(self) -> None:
        for task, book in enumerate(self.books):
            if book.state == books.STARTING:
                self.start_process(task)

    @some(lambda book: book.state == books.STARTING)
    @rule(data=st.data(), for_want_of_room=st.booleans())
    def a_process_cannot_be_started(self, data: st.DataObject, for_want_of_room: bool) -> None:
        task = self.draw(data, lambda book: book.state == books.STARTING)
        if for_want_of_room:
            self.book.postponed(task)
            self.handle(messages.Postponed(self.now, task))
        else:
            self.end_process(task, Exit(spawn_error="No such file"))

    @some(lambda book: book.state == books.STARTING)
    @rule(data=st.data())
    def a_task_waits_no_more_for_a_shared_process(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: book.state == books.STARTING)
        self.book.postponed(task, disk=False)
        self.handle(messages.Unplaced(self.now, task))

    @some(lambda book: book.running)
    @rule(data=st.data(), exit_=EXITS, result=RESULTS, by=MAYBE_SECONDS)
    def a_process_ends(
        self,
        data: st.DataObject,
        exit_: tuple[int | None, int | None],
        result: dict[str, Any] | None,
        by: float,
    ) -> None:
        self.book.now += by
        task = self.draw(data, lambda book: book.running)
        self.end_process(task, Exit(exit_[0], signal=exit_[1], result=result), data)

    @some(lambda book: book.running)
    @rule(data=st.data(), kind=KINDS, reset_s=RESETS_S, by=MAYBE_SECONDS, shared=st.booleans())
    def a_process_ends_at_a_limit(
        self, data: st.DataObject, kind: str, reset_s: float | None, by: float, shared: bool
    ) -> None:
        self.book.now += by
        task = self.draw(data, lambda book: book.running)
        result = {"is_error": True, "api_error_status": 429 if kind == USAGE else 401}
        if data.draw(st.integers(0, 3), label="after an answer") == 0:
            result = data.draw(RESULTS, label="answer") or result
        until_s = None if reset_s is None else self.now + reset_s
        limit = Limit(kind, until_s, error="set another", is_shared=shared)
        exit_ = Exit(int(result.get("is_error") is not False), result=result)
        self.end_process(task, exit_, data, limit=limit)

    def end_process(
        self,
        task: int,
        exit_: Exit,
        data: st.DataObject | None = None,
        *,
        limit: Limit | None = None,
        interrupted: bool | None = None,
    ) -> None:
        cost_usd = data.draw(COSTS, label="cost") if data else None
        if interrupted is None:
            interrupted = bool(data and not data.draw(st.integers(0, 3), label="interrupted"))
        event = Ended(self.now, task, exit_, cost_usd, limit=limit, interrupted=interrupted)
        self.book.ended(event)
        self.handle(event)
        assert not self.books[task].running, "a process ended and its task did not"

    @some(lambda book: book.listening)
    @rule(data=st.data(), ago=MAYBE_SECONDS, wait_s=st.sampled_from([0.0, 3.0, FOR_EVER]))
    def output_is_polled(self, data: st.DataObject, ago: float, wait_s: float) -> None:
        self.poll_output(
            self.draw(data, lambda book: book.listening), ago, False, self.now + wait_s
        )

    def poll_output(
        self, task: int, ago: float, tool_running: bool, busy_until: float = 0.0
    ) -> None:
        book = self.books[task]
        assert book.started_at is not None
        if ago < 50.0 or book.wrote_at is not None:
            book.wrote_at = max(book.wrote_at or book.started_at, self.now - ago)
        event = OutputPolled(
            self.now, task, book.wrote_at, FOR_EVER if tool_running else busy_until
        )
        self.book.output_polled(task, event)
        self.handle(event)
        assert book.quiet is None or book.cause is not None, "it is quiet, and continues"

    @some(lambda book: book.state == books.STARTING or book.running)
    @rule(data=st.data(), steps=st.lists(st.tuples(st.none() | MAYBE_SECONDS, SECONDS), max_size=5))
    def only_commands_keep_a_process_alive(
        self, data: st.DataObject, steps: list[tuple[float | None, float]]
    ) -> None:
        """It writes now and then, and sometimes a model works for it again."""
        self.all_processes_start()
        tasks = [task for task, book in enumerate(self.books) if book.works]
        task = data.draw(st.sampled_from(tasks)) if tasks else 0
        for ago, then_s in steps:
            if self.books[task].works:
                self.linger(task, ago)
                self.time_goes_by(then_s)

    def linger(self, task: int, ago: float | None) -> None:
        book = self.books[task]
        assert book.started_at is not None
        earliest = max(book.started_at, book.lingers_since or 0.0)  # it never wrote less
        since = None if ago is None else max(earliest, self.now - ago)
        self.book.lingering(task, since)
        self.handle(messages.Lingering(self.now, task, since))

    @some(lambda book: book.running)
    @rule(data=st.data(), used_usd=st.sampled_from([0.25, 1.0, 4.0]))
    def a_task_uses_money(self, data: st.DataObject, used_usd: float) -> None:
        task = self.draw(data, lambda book: book.running)
        self.book.money.uses(task, used_usd)
        self.handle(messages.Spent(self.now, task, Usage("m", used_usd, {}, {})))

    @some(lambda book: book.state == books.CHECKING)
    @rule(data=st.data(), error=st.sampled_from(["", "", "exit 1"]))
    def a_check_ends(self, data: st.DataObject, error: str) -> None:
        self.end_check(self.draw(data, lambda book: book.state == books.CHECKING), error)

    def end_check(self, task: int, error: str = "") -> None:
        self.book.checked(task, error)
        self.handle(messages.Checked(self.now, task, error))

    # -- the API ------------------------------------------------------------------------------

    @some(lambda book: book.running)
    @rule(data=st.data())
    def the_api_answers(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: book.running)
        self.book.answered(task)
        self.handle(messages.Responded(self.now, task))

    @some(lambda book: book.running)
    @rule(data=st.data(), delay_s=st.sampled_from([0.5, 3.0, 3.5, 60.0]))
    def the_api_refuses_for_now(self, data: st.DataObject, delay_s: float) -> None:
        task = self.draw(data, lambda book: book.running)
        if self.books[task].stopped_at is None:
            self.book.refused_for_now(task, delay_s)
        self.handle(messages.Throttled(self.now, task, delay_s))

    @some(lambda book: book.running)
    @rule(data=st.data())
    def the_setup_is_not_as_asked(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: book.running)
        book = self.books[task]
        book.setup_refused = book.stopped_at is None
        self.handle(messages.SetupRefused(self.now, task))
        assert book.killed or not book.setup_refused, "at once: it would send its request"

    @some(lambda book: book.running)
    @rule(data=st.data(), kind=KINDS, reset_s=RESETS_S)
    def a_limit_shows_in_the_stream(
        self, data: st.DataObject, kind: str, reset_s: float | None
    ) -> None:
        task = self.draw(data, lambda book: book.running)
        limit = Limit(kind, None if reset_s is None else self.now + reset_s)
        book = self.books[task]
        if kind == ACCESS:
            book.access_refused = True
        elif book.stopped_at is None and task != self.book.probe:
            self.book.limited(task, limit)
        self.handle(messages.Limited(self.now, task, limit))

    @precondition(lambda self: self.books and self.book.probe_due_s is not None)
    @rule()
    def the_reset_comes(self) -> None:
        """As in the runner, whose own clock waits for that moment, once each time it is set."""
        self.book.now = max(self.now, self.book.probe_due_s or 0.0)
        self.book.probe_due_s = None
        self.book.allow_probe()
        self.handle(messages.Probe(self.now))

    # -- what people and disks do -------------------------------------------------------------

    @precondition(lambda self: self.books)
    @rule(data=st.data())
    def one_task_is_cancelled(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: True)
        self.book.cancelled(range(task, task + 1))
        self.handle(messages.Cancel(self.now, task))

    @precondition(lambda self: self.books)
    @rule(data=st.data())
    def a_rule_closes_a_task(self, data: st.DataObject) -> None:
        task = self.draw(data, lambda book: True)
        self.book.closes(task)
        self.handle(messages.Close(self.now, task, Outcome("skipped", "decided")))

    @rule(really=st.integers(0, 4).map(lambda number: number == 0))
    def all_tasks_are_cancelled(self, really: bool) -> None:
        if not really:  # else most runs would be over soon
            return
        self.book.cancelled_all = self.book.cancelled_all or not self.book.ends
        self.book.cancelled(range(len(self.books)))
        self.handle(messages.Cancel(self.now))

    @rule(paused=st.booleans())
    def it_is_paused_or_goes_on(self, paused: bool) -> None:
        self.book.paused = paused
        if not paused:
            self.book.allow_probe(at_once=True)
        self.handle(messages.Pause(self.now) if paused else messages.Resume(self.now))

    @rule(max_parallel=st.integers(0, 4))
    def another_number_may_run(self, max_parallel: int) -> None:
        self.book.max_parallel, self.book.level = max_parallel, None
        self.handle(messages.SetParallel(self.now, max_parallel))

    @rule(busy_share=st.sampled_from([0.0, 0.5, 0.69, 0.7, 0.9, 0.98, 1.0]), n_more=MORE)
    def the_machine_is_measured(self, busy_share: float, n_more: int) -> None:
        self.book.measured(busy_share, n_more)
        self.handle(messages.Measured(self.now, busy_share, n_more))

    @rule(full=st.booleans())
    def the_disk_is_full_or_free(self, full: bool) -> None:
        self.book.disk = full
        event = messages.DiskFull(self.now, "no space") if full else messages.DiskFree(self.now)
        self.handle(event)
