"""What a person has to say to agents that run: answers to their questions, and messages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cpr_nb.handles.core import SessionCore
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.model.question_fields import DECISIONS, SESSION
from cpr_nb.store import layout, requests
from cpr_nb.views.questions import KEY_CHARS, open_questions

if TYPE_CHECKING:
    from cpr_nb.views.questions import Question

#: The longest reason for a denial, in characters: the agent reads it.
_MAX_WHY_CHARS = 5000


def leave_answer(core: SessionCore, question: Question, decision: str, why: str) -> None:
    """Leaves the answer to a question.

    Args:
        core: The session.
        question: The question.
        decision: ``once``, ``session`` or ``deny``.
        why: What the agent reads if it is denied.

    Raises:
        InputError: If the decision can't be meant.
        SessionNotUsable: If nobody would hear it.
    """
    where = f"question {question.key[:KEY_CHARS]} of task {question.task_num}"
    if decision not in DECISIONS:
        valid = ", ".join(map(repr, DECISIONS))
        raise InputError(f"can't be answered by {decision!r}, only by one of {valid}", where)
    if decision == SESSION and not question.rule:
        raise InputError("no rule can allow that in the session: answer 'once' or 'deny'", where)
    if len(why) > _MAX_WHY_CHARS:
        raise InputError(f"why is longer than {_MAX_WHY_CHARS} characters", where)
    core.leave_request("answer", layout.ANSWER_PREFIX + question.key, f"{decision}\n{why}")


def choose(questions: Sequence[Question], key: str | None, where: str) -> Question:
    """The question that is meant.

    Args:
        questions: The open questions.
        key: Its key, or the beginning of it; None: there is only one.
        where: Whose questions they are, for the error.

    Raises:
        InputError: If there is no such question, or several may be meant.
    """
    meant = [question for question in questions if key is None or question.key.startswith(key)]
    if len(meant) == 1 and key != "":
        return meant[0]
    listed = ", ".join(f"{q.key[:KEY_CHARS]} (task {q.task_num})" for q in questions) or "none"
    problem = f"has no open question {key!r}" if key else "has not exactly one open question"
    raise InputError(f"{problem}; open are: {listed}", where)


def leave_message(core: SessionCore, task_id: str, text: str, where: str) -> None:
    """Leaves what is to be said to the agent of a task.

    Args:
        core: The session.
        task_id: The task's id.
        text: What to say.
        where: The task, for the error.

    Raises:
        InputError: If the text is empty or too long.
        SessionNotUsable: If the agent can't be spoken to.
    """
    if not text.strip():
        raise InputError("there is nothing to say", where)
    if len(text.encode("utf-8", "replace")) > requests.MAX_TEXT_BYTES:
        raise InputError(f"the text is longer than {requests.MAX_TEXT_BYTES} bytes", where)
    if not core.head.get("asks"):
        raise SessionNotUsable(
            f"{where} can't be spoken to: its session was launched without ask=True (--ask)"
        )
    core.leave_request("speak to", requests.say_name(task_id, time.time_ns()), text)


class SessionQuestions(SessionCore):
    """The methods of a `Session` that answer its agents."""

    @property
    def questions(self) -> list[Question]:
        """What its agents ask now; what is denied first stands first.

        Example:
            >>> import cpr_nb as cpr
            >>> [question.target for question in cpr.attach("3f2a").questions]  # doctest: +SKIP
            ['pytest -q']
        """
        return open_questions(self.refresh().snapshot)

    def question(self, key: str) -> Question:
        """The open question with this key, or with a key that begins so.

        Raises:
            InputError: If there is none, or several may be meant.
        """
        return choose(self.questions, key, f"session {self.id[:8]}")

    def answer(self, question: str | Question, decision: str, why: str = "") -> None:
        """Answers a question of one of its agents.

        Args:
            question: The question, its key, or the beginning of that.
            decision: ``once`` allows this call. ``session`` also allows, in this session, what
                the question's rule says. ``deny`` refuses it, and the agent goes on.
            why: What the agent reads if it is denied.

        Raises:
            InputError: If there is no such question, or this is no answer to it.
            SessionNotUsable: If the session has no runner.

        An answer that comes too late, since somebody else has answered or the time is over, does
        nothing.

        Example:
            >>> import cpr_nb as cpr
            >>> session = cpr.attach("3f2a")  # doctest: +SKIP
            >>> session.answer(session.questions[0], "once")  # doctest: +SKIP
        """
        meant = self.question(question) if isinstance(question, str) else question
        leave_answer(self, meant, decision, why)
