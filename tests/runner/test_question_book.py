"""The open questions of a session: each is answered exactly once, whoever does it, or never."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cpr_nb.model.question_fields import DECISIONS, DENY, ONCE, SESSION, question_key
from cpr_nb.runner.question_book import NOBODY, PERSON, RULE, QuestionBook, Reply

ASK_S = 10.0
RULES = ["Bash(pytest:*)", "Bash(make:*)", "Edit(//data/**)"]
KEYS = st.integers(0, 30)


def fields(number: int, *rules: str) -> dict[str, Any]:
    return {"target": f"call {number}", "rules": list(rules)}


class Book(RuleBasedStateMachine):
    """Agents ask, people answer, time passes, attempts end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.book, self.now, self.n_asked = QuestionBook(ASK_S), 0.0, 0
        self.open: dict[int, tuple[int, float, list[str]]] = {}  # number → task, since, rules
        self.keys: dict[int, str] = {}
        self.allowed: set[str] = set()

    def take(self, replies: list[Reply], decision: str, by: str) -> None:
        """Each reply is to an open question, which is open no more."""
        for reply in replies:
            task, _, rules = self.open.pop(int(reply.question.request_id))
            assert (reply.task, reply.decision, reply.by) == (task, decision, by)
            if by == RULE:
                assert rules and set(rules) <= self.allowed

    @rule(task=st.integers(0, 3), rules=st.lists(st.sampled_from(RULES), unique=True, max_size=2))
    def ask(self, task: int, rules: list[str]) -> None:
        number = self.n_asked = self.n_asked + 1
        stored = fields(number, *rules)
        self.keys[number] = question_key(str(task), stored)
        self.open[number] = (task, self.now, rules)
        replies = self.book.ask(task, str(task), str(number), {"n": number}, stored, self.now)
        assert bool(replies) == (bool(rules) and set(rules) <= self.allowed)
        self.take(replies, SESSION, RULE)

    @rule(data=st.data(), decision=st.sampled_from([*DECISIONS, SESSION, "yes", ""]))
    def answer(self, data: st.DataObject, decision: str) -> None:
        number = data.draw(st.sampled_from([*self.open, *self.keys, 0]))
        rules = self.open.get(number, (0, 0.0, []))[2]
        replies = self.book.answer(self.keys.get(number, "none"), decision, "why")
        can = number in self.open and decision in DECISIONS and (decision != SESSION or rules)
        assert bool(replies) == bool(can)
        if can:
            if decision == SESSION:
                self.allowed |= set(rules)
            self.take(replies[:1], decision, PERSON)
            self.take(replies[1:], SESSION, RULE)

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.0, ASK_S]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = {n for n, (_, since, _) in self.open.items() if self.now >= since + ASK_S}
        replies = self.book.expire(self.now)
        assert {int(reply.question.request_id) for reply in replies} == due
        self.take(replies, DENY, NOBODY)

    @rule(task=st.integers(0, 3))
    def end(self, task: int) -> None:
        ended = [number for number, entry in self.open.items() if entry[0] == task]
        assert self.book.forget(task) == bool(ended)
        for number in ended:
            del self.open[number]

    @rule(number=KEYS, task=st.integers(0, 3))
    def withdraw(self, number: int, task: int) -> None:
        is_open = number in self.open and self.open[number][0] == task
        assert self.book.withdraw(task, str(number)) == is_open
        if is_open:
            del self.open[number]

    @invariant()
    def what_is_open_is_shown(self) -> None:
        for task in range(4):
            shown = [stored["target"] for stored in self.book.of_task(task)]
            assert shown == [f"call {n}" for n, entry in self.open.items() if entry[0] == task]

    @invariant()
    def no_open_question_is_covered_by_a_rule(self) -> None:
        assert not [1 for _, _, rules in self.open.values() if rules and set(rules) <= self.allowed]


TestBook = Book.TestCase


def test_who_answers_what_a_forged_file_shows_answers_nothing() -> None:
    book = QuestionBook(ASK_S)
    book.ask(0, "a", "r", {}, fields(1), 0.0)
    forged = question_key("a", {**fields(1), "target": "ls"})
    assert book.answer(forged, ONCE, "") == []
    assert book.answer(question_key("b", fields(1)), ONCE, "") == []
    (reply,) = book.answer(question_key("a", fields(1)), ONCE, "")
    assert (reply.task, reply.question.request_id, reply.decision) == (0, "r", ONCE)
