"""The order in which tasks start: what waits is never lost, never doubled, and led in groups."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cpr_nb.runner.queue import Queue


def on_all(queue: Queue, *, new: bool = False) -> list[int]:
    taken = []
    while (task := queue.pop(lambda _: True, new=new)) is not None:
        taken.append(task)
    return taken


def test_new_tasks_come_in_their_order_after_those_that_have_tried() -> None:
    queue = Queue(3)
    assert queue.pop(lambda _: True) == 0
    queue.put_back(0)
    queue.put_back(9)
    queue.put_first(8)
    assert on_all(queue) == [8, 0, 9, 1, 2]


def test_a_new_task_may_be_asked_for_first() -> None:
    queue = Queue(3)
    queue.put_back(8)
    assert queue.pop(lambda _: True, new=True) == 0
    assert on_all(queue, new=True) == [1, 2, 8]


def test_what_need_not_start_any_more_is_passed_over() -> None:
    queue = Queue(4)
    queue.put_back(9)
    assert queue.pop(lambda task: task == 2) == 2
    assert on_all(queue) == [3]


def test_what_was_left_out_comes_only_when_it_is_put_back() -> None:
    queue = Queue(4)
    queue.leave_out(0)
    queue.leave_out(2)
    queue.leave_out(3)
    queue.put_back(2)
    assert on_all(queue) == [2, 1]
    assert queue.pop(lambda _: True, new=True) is None


def test_a_group_is_led_by_one_until_it_is_answered() -> None:
    queue = Queue(6, [0, 0, 1, 1, 0, 1])
    assert on_all(queue) == [0, 2]
    assert queue.is_warming
    queue.answered(2)
    assert on_all(queue) == [3, 5]
    queue.answered(0)
    assert not queue.is_warming
    assert on_all(queue) == [1, 4]


def test_the_next_one_leads_when_the_leader_has_ended_and_the_leader_comes_back_behind() -> None:
    queue = Queue(3, [0, 0, 0])
    assert on_all(queue) == [0]
    queue.ended(0)
    queue.put_back(0)
    assert on_all(queue) == [1]
    queue.ended(1)
    assert on_all(queue) == [2], "two have tried; the third may be luckier"


def test_the_end_of_one_that_does_not_lead_changes_nothing() -> None:
    queue = Queue(3, [0, 0, 0])
    assert on_all(queue) == [0]
    queue.ended(1)
    assert on_all(queue) == []


def test_after_a_long_time_a_group_is_led_again() -> None:
    queue = Queue(4, [0, 0, 0, 0])
    assert queue.pop(lambda _: True) == 0
    queue.answered(0)
    assert queue.pop(lambda _: True) == 1
    queue.cool()
    assert on_all(queue) == [2]
    queue.answered(2)
    assert on_all(queue) == [3]


def test_a_leader_that_is_put_back_unstarted_is_still_the_leader() -> None:
    queue = Queue(2, [0, 0])
    assert queue.pop(lambda _: True) == 0
    queue.put_first(0)
    assert on_all(queue) == [0]


class QueueMachine(RuleBasedStateMachine):
    """Tasks that start, are answered, rest and end, in any order."""

    @initialize(groups=st.lists(st.integers(0, 2), min_size=1, max_size=8), grouped=st.booleans())
    def create(self, groups: list[int], grouped: bool) -> None:
        self.groups = groups
        self.grouped = grouped
        self.queue = Queue(len(groups), groups if grouped else None)
        self.waiting = set(range(len(groups)))
        self.running: set[int] = set()
        self.answered_since: set[int] = set()  # groups

    @rule(new=st.booleans())
    def one_is_taken(self, new: bool) -> None:
        task = self.queue.pop(lambda task: task in self.waiting, new=new)
        if task is None:
            return
        assert task in self.waiting
        if self.grouped and self.groups[task] not in self.answered_since:
            same = [one for one in self.running if self.groups[one] == self.groups[task]]
            assert not same, "two lead"
        self.waiting.remove(task)
        self.running.add(task)

    @precondition(lambda self: getattr(self, "running", None))
    @rule(data=st.data())
    def one_is_answered(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.running)))
        self.queue.answered(task)
        self.answered_since.add(self.groups[task])

    @precondition(lambda self: getattr(self, "running", None))
    @rule(data=st.data(), again=st.booleans(), first=st.booleans())
    def one_ends(self, data: st.DataObject, again: bool, first: bool) -> None:
        task = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(task)
        self.queue.ended(task)
        if again:
            self.waiting.add(task)
            (self.queue.put_first if first else self.queue.put_back)(task)

    @precondition(lambda self: getattr(self, "waiting", None))
    @rule(data=st.data())
    def one_that_waits_is_cancelled(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self.waiting)))
        self.waiting.remove(task)
        self.queue.ended(task)

    def teardown(self) -> None:
        """Once everything that runs has ended, all that waits comes, one leader at a time."""
        if not hasattr(self, "queue"):
            return
        for _ in range(3 * len(self.groups) + 3):
            for task in sorted(self.running):
                self.running.remove(task)
                self.queue.ended(task)
            for _ in self.groups:
                self.one_is_taken(new=False)
        assert not self.waiting, "these never come"
        assert not self.queue.is_warming


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=200, stateful_step_count=30)
