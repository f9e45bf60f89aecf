"""What agents ask, in the terminal: in the live view, and line by line where there is none."""

from __future__ import annotations

import time

from cpr_nb.cli.render import program
from cpr_nb.model.text import one_line
from cpr_nb.views.formatting import clock, plural
from cpr_nb.views.questions import KEY_CHARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.views.questions import Question

_MAX_QUESTIONS = 3


def question_lines(questions: list[Question], short_id: str) -> list[str]:
    """What agents ask, and the commands that answer: two lines a question, a few questions.

    Args:
        questions: The open questions.
        short_id: The session's id, as a person types it.
    """
    command = f"{program()} answer {short_id}"
    lines: list[str] = []
    for question in questions[:_MAX_QUESTIONS]:
        lines += question_text(question, command)
    n_more = len(questions) - _MAX_QUESTIONS
    return [*lines, f"{plural(n_more, 'more question')}: {command}"] if n_more > 0 else lines


def question_text(question: Question, command: str) -> tuple[str, str]:
    """What an agent asks, and the command that answers.

    Args:
        question: The question.
        command: The command without the question and the decision.
    """
    decisions = "--once, --session or --deny" if question.rule else "--once or --deny"
    left_s = max(0.0, question.expires_at_s - time.time())
    return (
        f"◆ Task {question.task_num} {question.wants}: {one_line(question.target, 160)}",
        f"  {command} {question.key[:KEY_CHARS]} {decisions}; denied in {clock(left_s)}",
    )
