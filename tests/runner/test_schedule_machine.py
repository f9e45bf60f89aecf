"""The state machine under any order of events: no task is lost, every run ends.

A second, slower book is kept beside the machine's own (``testkit/machine_book.py``): what was
told about each task and when. Each instruction is checked against it, and after each event
what must hold always.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import invariant
from testkit import task_book as books
from testkit.machine_draw import GOOD
from testkit.machine_rules import MachineRules

from cpr_nb.model import states
from cpr_nb.model.outcome import Exit
from cpr_nb.runner.governor import SPACING_S
from cpr_nb.runner.messages import Tick


class ScheduleMachine(MachineRules):
    """What holds always, and that whatever was done comes to its end."""

    # -- what holds always --------------------------------------------------------------------

    @invariant()
    def it_knows_what_the_book_knows(self) -> None:
        if not self.books:
            return
        for task, one in enumerate(self.books):
            assert self.schedule.state(task) == one.machine_state, f"task {task}"
        assert self.schedule.n_active == self.book.n_active
        assert self.schedule.spent_usd == self.book.money.spent_usd
        all_ended = all(book.state == books.ENDED for book in self.books)
        assert len(self.book.ends) <= 1
        if self.book.begun:
            assert len(self.book.ends) == all_ended

    @invariant()
    def a_person_sees_what_it_waits_for(self) -> None:
        if not self.books or self.book.ends or not self.book.begun:
            return
        book = self.book
        state, reason, notice, until_s, gives_up_at = book.reported
        waits_for = "disk" if book.disk else book.held.kind if book.held else ""
        waiting = states.WAITING if waits_for else states.RUNNING
        assert (state, reason) == (states.PAUSED if book.paused else waiting, waits_for)
        assert until_s == (book.held.until_s if book.held else None)
        assert gives_up_at == book.gives_up_at
        assert bool(notice) or not (reason or book.closed)
        money = book.money
        if money.budget_usd and not (reason or book.closed) and "cache" not in notice:
            is_low = money.spent_usd >= 0.8 * money.budget_usd
            assert "budget" in notice or not is_low
            assert is_low or money.is_used_up or not money.admits or "budget" not in notice

    @invariant()
    def no_place_stays_empty_while_a_task_waits(self) -> None:
        book = getattr(self, "book", None)
        if book is None or not book.begun:
            return
        waiting = [one for one in self.books if one.waits(self.now)]
        assert not (waiting and book.money.is_used_up), "it waits for money that will not come"
        assert not (waiting and book.closed), "it waits for an answer that will not come"
        if not waiting or book.paused or book.disk or book.n_active >= book.room:
            return
        if not book.money.admits:
            return
        next_at = self.schedule.next_at
        if book.held is not None:
            if book.probe is None and not book.grouped:
                assert not (book.word_given and self.now >= book.probe_from), "nobody probes"
            assert book.n_active or next_at is not None or book.probe_due_s is not None
            return
        led = {one.group for one in self.books if one.active} - book.warm
        if book.grouped and {one.group for one in waiting} <= led:
            return  # they may be held back for one that leads
        assert book.window is not None and next_at is not None, "there is room, and a task waits"
        assert self.now < next_at <= book.last_start_at + SPACING_S

    @invariant()
    def nobody_runs_beyond_a_limit(self) -> None:
        for book in self.books:
            book.check_its_time(self.now, self.schedule.next_at)

    # -- whatever was done before, it must come to its end --------------------------------------

    def teardown(self) -> None:
        if not self.books:
            return
        book = self.book
        self.the_disk_is_full_or_free(full=False)
        if book.paused:
            self.it_is_paused_or_goes_on(paused=False)
        self.no_time_goes_by()
        for _ in range(50 + 20 * len(self.books)):
            self.all_processes_start()
            for task, one in enumerate(self.books):
                if one.running:
                    self.end_process(task, Exit(0, result=GOOD))
                if one.state == books.CHECKING:
                    self.end_check(task)
            if book.ends:
                break
            if self.schedule.next_at is not None:
                book.now = self.schedule.next_at
                self.handle(Tick(self.now))
            elif book.probe_due_s is not None:
                self.the_reset_comes()
        assert len(book.ends) == 1, "it never ends"
        assert all(one.n_finished == 1 for one in self.books)
        outcomes = [one.outcome.outcome for one in self.books if one.outcome is not None]
        cancelled = book.cancelled_all and states.CANCELLED in outcomes
        assert book.ends == [states.CANCELLED if cancelled else states.COMPLETED]
        assert book.ids == book.used


TestScheduleMachine = ScheduleMachine.TestCase
TestScheduleMachine.settings = settings(
    max_examples=400, stateful_step_count=40, report_multiple_bugs=False
)
