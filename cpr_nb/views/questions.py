"""The open questions of a session's agents, as every interface shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, text_or_none
from cpr_nb.model.question_fields import TARGET_CHARS, question_key
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible
from cpr_nb.store.times import parse_iso

if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot

#: How much of a question's key is shown: enough to tell a few questions apart.
KEY_CHARS = 6


class Question(NamedTuple):
    """A tool call that waits for a person.

    Args:
        key: Its id: a hash of all that is shown of it.
        task_num: The number of the task that asks, from 1.
        task_id: The id of that task.
        tool: The tool that it wants to use.
        wants: What it wants, in words: ``wants to run a command``.
        target: The command, the URL or the file, in full as far as it is not very long.
        says: What the agent says that it is for; may be empty.
        because: Why the CLI asks; may be empty.
        runs_in: The folder that the agent works in.
        rule: What is allowed in this session if it is allowed for the session; empty if no rule
            can say that.
        rule_warning: What else that rule allows, such as ``allows any command``; may be empty.
        asked_at_s: When it was asked, in seconds since the epoch.
        expires_at_s: When it is denied if nobody answers.
    """

    key: str
    task_num: int
    task_id: str
    tool: str
    wants: str
    target: str
    says: str
    because: str
    runs_in: str
    rule: str
    rule_warning: str
    asked_at_s: float
    expires_at_s: float


def open_questions(snapshot: Snapshot) -> list[Question]:
    """The questions that wait for an answer; that which is denied first stands first.

    Args:
        snapshot: The session, read with its tasks.

    Returns:
        The questions; none of a session without a runner, since nobody would hear the answer.
    """
    if not snapshot.is_live:
        return []
    found = [question for task in snapshot.tasks or () for question in questions_of(task)]
    return sorted(found, key=lambda question: (question.expires_at_s, question.task_num))


def questions_of(task: dict[str, Any]) -> list[Question]:
    """The open questions of one task.

    Args:
        task: Its fields in status.json.
    """
    stored = task.get("questions")
    if not isinstance(stored, list) or task_state(task)[0] != states.RUNNING:
        return []
    return [_question(task, fields) for fields in stored if isinstance(fields, dict)]


def _question(task: dict[str, Any], fields: dict[str, Any]) -> Question:
    task_id, rules = text_or_none(task.get("transaction_id")) or "", fields.get("rules")
    line = {
        name: one_line(text_or_none(fields.get(name)) or "")
        for name in ("tool", "wants", "says", "because", "runs_in", "rule_warning")
    }
    target = visible(text_or_none(fields.get("target")) or "")
    named = [one_line(str(rule)) for rule in rules] if isinstance(rules, list) else []
    return Question(
        key=question_key(task_id, fields),
        task_num=integer(task.get("task_num")) or 0,
        task_id=task_id,
        target=target[: 2 * TARGET_CHARS],
        rule=", ".join(named),
        asked_at_s=parse_iso(fields.get("asked_at")) or 0.0,
        expires_at_s=parse_iso(fields.get("expires_at")) or 0.0,
        **line,
    )
