"""Passes on what agents ask and what people answer; loaded only if a session has ``ask``."""

from __future__ import annotations

import time

from cpr_nb.model.json_values import text_or_none
from cpr_nb.model.question_fields import ASK_S, DENY, SESSION, question_fields, rule_update
from cpr_nb.model.text import one_line
from cpr_nb.runner.attempt import Attempt
from cpr_nb.runner.question_book import NOBODY, QuestionBook
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.process_table import ProcessTable
    from cpr_nb.runner.question_book import Reply
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.session_spec import SessionSpec

_DENIED = "The user denied this."
_UNANSWERED = (
    "Nobody answered within {} s, so this was denied. Go on without it if you can, and say what "
    "was left undone."
)


class Asking:
    """The questions of the agents that run.

    Args:
        spec: What the session is to do.
        processes: What runs.
        recorder: Writes down what is asked and answered.
    """

    def __init__(self, spec: SessionSpec, processes: ProcessTable, recorder: Recorder) -> None:
        self._book = QuestionBook(spec.session["options"].get("ask_s", ASK_S))
        self._processes = processes
        self._recorder = recorder

    @property
    def has_unsent(self) -> bool:
        """Whether a CLI has not got all that it was sent."""
        return any(attempt.pipe.has_unsent for attempt in self._attempts() if attempt.pipe)

    def turn(self, now: float) -> None:
        """Reads what was asked since, denies what nobody answered in time, ends what is over."""
        for attempt in self._attempts():
            self._read(attempt, now)
        self._send(self._book.expire(now))

    def _attempts(self) -> list[Attempt]:
        """The attempts that can be answered: not those that an earlier runner has started."""
        attempts = (run for run in self._processes if isinstance(run, Attempt))
        return [run for run in attempts if run.pipe and run.pipe.is_open and not run.terminated]

    def _read(self, attempt: Attempt, now: float) -> None:
        requests, attempt.stream.control = attempt.stream.control, []
        for event in requests:
            request_id = text_or_none(event.get("request_id")) or ""
            request = event.get("request")
            if event["type"] == "control_cancel_request":
                if self._book.withdraw(attempt.task, request_id):
                    self._record(attempt.task)
            elif isinstance(request, dict) and request.get("subtype") == "can_use_tool":
                self._ask(attempt, request_id, request, now)
        pipe, background = attempt.pipe, attempt.stream.background
        if pipe is not None:
            pipe.flush()
            if background.turn_ended and not background.now and not pipe.has_unsent:
                pipe.close()  # else it would wait for another prompt

    def _ask(self, attempt: Attempt, request_id: str, request: dict[str, Any], now: float) -> None:
        moment = time.time()
        fields = {
            **question_fields(request, attempt.folder),
            "request_id": one_line(request_id),
            "asked_at": utc_iso(moment),
            "expires_at": utc_iso(moment + self._book.ask_s),
        }
        self._recorder.journal(
            "asked", task_id=attempt.task_id, tool=fields["tool"], target=one_line(fields["target"])
        )
        replies = self._book.ask(
            attempt.task, attempt.task_id, request_id, request.get("input"), fields, now
        )
        self._send(replies)
        if not replies:
            self._record(attempt.task)

    def answer(self, key: str, value: str) -> None:
        """A person has answered.

        Args:
            key: The question.
            value: The decision, and behind it, from the next line on, why.
        """
        decision, _, why = value.partition("\n")
        self._send(self._book.answer(key, decision, why))

    def pass_on(self, task: int, text: str) -> None:
        """A person says something to the agent of a task."""
        attempt = self._processes.by_task.get(task)
        task_id = self._recorder.task_id(task)
        pipe = attempt.pipe if isinstance(attempt, Attempt) and not attempt.terminated else None
        if pipe is None or not pipe.is_open:
            self._recorder.warn(f"task {task + 1}: too late, it did not get: {one_line(text, 100)}")
            return
        pipe.send_message(text)
        self._recorder.journal("said", task_id=task_id, text=one_line(text))

    def ended(self, attempt: Attempt) -> None:
        """An attempt is over, and its questions with it."""
        if attempt.pipe is not None:
            attempt.pipe.close()
        if self._book.forget(attempt.task):
            self._record(attempt.task)

    def _send(self, replies: list[Reply]) -> None:
        for reply in replies:
            self._recorder.journal(
                "answered",
                task_id=self._recorder.task_id(reply.task),
                decision=reply.decision,
                by=reply.by,
                rules=reply.question.fields["rules"] if reply.decision == SESSION else None,
                why=one_line(reply.why) or None,
            )
            attempt = self._processes.by_task.get(reply.task)
            if isinstance(attempt, Attempt) and attempt.pipe is not None:
                attempt.pipe.send_line(self._response(reply))
            self._record(reply.task)

    def _response(self, reply: Reply) -> dict[str, Any]:
        response: dict[str, Any] = {"behavior": "allow", "updatedInput": reply.question.tool_input}
        if reply.decision == DENY:
            words = f"{_DENIED} {reply.why}".strip()
            if reply.by == NOBODY:
                words = _UNANSWERED.format(f"{self._book.ask_s:g}")
            response = {"behavior": "deny", "message": words}
        elif reply.decision == SESSION:
            response["updatedPermissions"] = [rule_update(reply.question.fields["rules"])]
        outer = {"subtype": "success", "request_id": reply.question.request_id}
        return {"type": "control_response", "response": {**outer, "response": response}}

    def _record(self, task: int) -> None:
        self._recorder.asks(task, self._book.of_task(task))
