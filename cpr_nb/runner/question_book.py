"""The open questions of a session's agents, and who answers each: a person, a rule, nobody. Pure.

Each question gets exactly one answer, unless its attempt ends first or the CLI withdraws it.
"""

from __future__ import annotations

from cpr_nb.model.question_fields import DECISIONS, DENY, SESSION, is_covered, question_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Who answered.
PERSON, RULE, NOBODY = "person", "rule", "nobody"


class Reply:
    """What the CLI is told of one question.

    Args:
        task: The task that asked, from 0.
        question: The question.
        decision: One of `cpr_nb.model.question_fields.DECISIONS`.
        by: Who decided: `PERSON`, `RULE` or `NOBODY`.
        why: What the agent reads, if it is denied.
    """

    __slots__ = ("by", "decision", "question", "task", "why")

    def __init__(
        self, task: int, question: OpenQuestion, decision: str, by: str, why: str = ""
    ) -> None:
        self.task, self.question = task, question
        self.decision, self.by, self.why = decision, by, why


class OpenQuestion:
    """A question that is open.

    Args:
        request_id: The CLI's id of its request.
        tool_input: The input of the call; what is allowed is exactly this.
        fields: What is stored and shown of it.
        key: Its id.
        due_at: When it is denied if nobody answers, on the loop's clock.
    """

    __slots__ = ("due_at", "fields", "key", "request_id", "tool_input")

    def __init__(
        self, request_id: str, tool_input: object, fields: dict[str, Any], key: str, due_at: float
    ) -> None:
        self.request_id, self.tool_input = request_id, tool_input
        self.fields, self.key, self.due_at = fields, key, due_at


class QuestionBook:
    """The open questions of one session, and the rules that were allowed in it.

    Args:
        ask_s: How long a question waits, in seconds.

    Attributes:
        rules: What was allowed in this session.
    """

    def __init__(self, ask_s: float) -> None:
        self.ask_s = ask_s
        self.rules: set[str] = set()
        self._open: dict[int, dict[str, OpenQuestion]] = {}  # task → request id → question

    def ask(
        self,
        task: int,
        task_id: str,
        request_id: str,
        tool_input: object,
        fields: dict[str, Any],
        at_s: float,
    ) -> list[Reply]:
        """A task asks; returns the reply if a rule of this session has one already."""
        key = question_key(task_id, fields)
        question = OpenQuestion(request_id, tool_input, fields, key, at_s + self.ask_s)
        if is_covered(fields, self.rules):
            return [Reply(task, question, SESSION, RULE)]
        self._open.setdefault(task, {})[request_id] = question
        return []

    def answer(self, key: str, decision: str, why: str) -> list[Reply]:
        """A person answers.

        Returns:
            The replies: also to the questions that a rule covers now; none if no such question is
            open, or no rule can allow it in the session.
        """
        found = next((pair for pair in self._pairs() if pair[1].key == key), None)
        if found is None or decision not in DECISIONS:
            return []
        if decision == SESSION and not found[1].fields["rules"]:
            return []
        self.withdraw(found[0], found[1].request_id)
        replies = [Reply(*found, decision, PERSON, why)]
        if decision == SESSION:
            self.rules.update(found[1].fields["rules"])
            for task, question in self._pairs():
                if is_covered(question.fields, self.rules):
                    self.withdraw(task, question.request_id)
                    replies.append(Reply(task, question, SESSION, RULE))
        return replies

    def expire(self, at_s: float) -> list[Reply]:
        """Denies what nobody has answered in time."""
        due = [pair for pair in self._pairs() if at_s >= pair[1].due_at]
        for task, question in due:
            self.withdraw(task, question.request_id)
        return [Reply(task, question, DENY, NOBODY) for task, question in due]

    def withdraw(self, task: int, request_id: str) -> bool:
        """Forgets a question; returns whether it was open."""
        questions = self._open.get(task, {})
        was_open = questions.pop(request_id, None) is not None
        if not questions:
            self._open.pop(task, None)
        return was_open

    def forget(self, task: int) -> bool:
        """Forgets the questions of a task whose attempt is over; returns whether it had any."""
        return self._open.pop(task, None) is not None

    def of_task(self, task: int) -> list[dict[str, Any]]:
        """What is stored of a task's open questions, the oldest first."""
        return [question.fields for question in self._open.get(task, {}).values()]

    def _pairs(self) -> list[tuple[int, OpenQuestion]]:
        return [
            (task, question) for task, found in self._open.items() for question in found.values()
        ]
