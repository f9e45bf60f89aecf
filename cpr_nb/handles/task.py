"""One task of a session, seen through its folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.notebook import ShownTask
from cpr_nb.handles.tables import TaskTables
from cpr_nb.model import errors, states
from cpr_nb.model.activity import Activity
from cpr_nb.model.denials import denial_rule, denials_of
from cpr_nb.model.events import RunFacts, parse_line, text_blocks
from cpr_nb.model.record import task_state
from cpr_nb.store import requests
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import read_answer

if TYPE_CHECKING:
    from cpr_nb.display.diff import Diff
    from cpr_nb.handles.session import Session

_ERRORS = {
    states.FAILED: errors.TaskFailed,
    states.TIMED_OUT: errors.TaskTimedOut,
    states.CANCELLED: errors.TaskCancelled,
    states.SKIPPED: errors.TaskSkipped,
    states.LOST: errors.TaskLost,
}


class Task(TaskTables, ShownTask):
    """A handle on one task. It is a view: to drop it never touches the work.

    Get one from a `Session`: ``session[0]``, ``session.task("docs")``.

    Args:
        session: The session.
        index: The task's number, from 0.
    """

    def __init__(self, session: Session, index: int) -> None:
        self._session = session
        self._index = index

    # -- what it is -------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session that it belongs to."""
        return self._session

    @property
    def fields(self) -> dict[str, Any]:
        """What status.json says of it now."""
        return self._session.fields(self._index)

    @property
    def num(self) -> int:
        """Its number in the session, from 1."""
        return self._index + 1

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.fields.get("transaction_id", ""))

    @property
    def prompt(self) -> str:
        """Its prompt in full (of a legacy session: only the first 50 characters)."""
        asked = self._session.asked_task(self._index)
        return str(asked.get("prompt") or self.fields.get("prompt", ""))

    @property
    def state(self) -> str:
        """One of pending, running, retrying, ended."""
        return task_state(self.fields)[0]

    @property
    def outcome(self) -> str | None:
        """How it ended, one of `cpr_nb.model.states.OUTCOMES`; None before."""
        return task_state(self.fields)[1]

    @property
    def reason(self) -> str | None:
        """Why it ended so, one of `cpr_nb.model.states.REASONS`; None before."""
        if self.outcome is None:
            return None
        default = "completed" if self.ok else "unknown"
        return str(self.fields.get("reason", default))

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.outcome == states.SUCCEEDED

    @property
    def error(self) -> str:
        """What went wrong, on one line; empty if nothing did."""
        return str(self.fields.get("error", ""))

    @property
    def cost_usd(self) -> float | None:
        """What it cost by the CLI's own estimate at list price; None when not known."""
        cost = self.fields.get("cost_usd")
        return float(cost) if isinstance(cost, int | float) else None

    @property
    def conversation_id(self) -> str | None:
        """Claude's own id of the conversation."""
        value = self.fields.get("conversation_id")
        return str(value) if value else None

    @property
    def attempts(self) -> int:
        """How many attempts there were."""
        value = self.fields.get("attempts", 0)
        return value if isinstance(value, int) else 0

    @property
    def stream_path(self) -> Path:
        """The stream-json of its last attempt."""
        return Path(self._session.paths.stream(self.id, self.attempts))

    def __repr__(self) -> str:
        what = self.outcome or self.state
        return f"<Task {self.num} {self.id} {what}>"

    # -- what it said -----------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The answer in words; of a running task, what it has said so far."""
        if self.state == states.ENDED:
            answer = read_answer(self._session.paths, self.id)
            if answer is not None:
                return answer.removesuffix("\n")
        return "\n\n".join(
            "\n".join(texts)
            for event in self.events()
            if event["type"] == "assistant" and (texts := text_blocks(event))
        )

    @property
    def structured(self) -> Any:
        """The answer as an object, if a schema was asked for and met; else None."""
        result = self.facts().result
        return result.get("structured_output") if result else None

    @property
    def denials(self) -> list[dict[str, Any]]:
        """The tool calls that the permissions refused, as the CLI reports them.

        Each has ``rule`` beside it: what ``allow=[…]`` would need to let it pass.
        """
        return [{**d, "rule": denial_rule(d)} for d in denials_of(self.facts().result)]

    def diff(self) -> Diff:
        """What it changed in its worktree: text, and with colours in a notebook.

        Empty if it has changed nothing, has not ended, or had no worktree.
        """
        from cpr_nb.display.diff import Diff

        path = self._session.paths.patch(self.id)
        try:
            with open_regular(path) as file:
                return Diff(file.read().decode("utf-8", "replace"), path)
        except (OSError, ValueError):
            return Diff("", path)

    def events(self) -> Iterator[dict[str, Any]]:
        """The events of its last attempt so far; a torn last line is left out."""
        for line in self._lines():
            event = parse_line(line)
            if event is not None:
                yield event

    def facts(self) -> RunFacts:
        """What the stream of its last attempt says in figures."""
        facts = RunFacts()
        for line in self._lines():
            facts.feed(line)
        return facts

    def activity(self) -> Activity:
        """What it does now."""
        asked = self._session.asked_task(self._index).get("options", {})
        activity = Activity(str(asked.get("cwd") or self._session.head.get("cwd", "")))
        for event in self.events():
            activity.feed(event)
        return activity

    def _lines(self) -> Iterator[bytes]:
        try:
            with open_regular(str(self.stream_path)) as stream:
                yield from stream
        except (OSError, ValueError):  # ValueError: a stranger's id with a NUL
            return

    # -- as concurrent.futures --------------------------------------------------------------

    def done(self) -> bool:
        """Whether it has ended."""
        self._session.refresh()
        return self.state == states.ENDED

    def running(self) -> bool:
        """Whether it runs now."""
        self._session.refresh()
        return self.state in (states.RUNNING, states.RETRYING)

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        self._session.refresh()
        return self.outcome == states.CANCELLED

    def result(self, timeout: float | None = None) -> Any:
        """Waits for its end and returns what it answered.

        Args:
            timeout: How many seconds to wait at most; None waits as long as it takes.

        Returns:
            The text; with a schema the answer as an object. That is of the Python type which was
            given as schema if this very handle's `launch` or `retry` was given it; a later
            `attach` knows only the JSON schema, and gives a dictionary.

        Raises:
            TaskError: If it did not succeed; a subclass says how.
            AnswerError: If it did, but the answer does not fit the Python type. `structured` is
                the answer as it is.
            WaitTimeout: If it has not ended in time. It goes on.
            SessionInterrupted: If its runner is gone.
        """
        error = self.exception(timeout)
        if error is not None:
            raise error
        structured = self.structured
        if structured is None:
            return self.text
        answer_type = self._session.answer_types.get(self.id)
        if answer_type is None:
            return structured
        return answer_type.convert(structured, f"task {self.num} ({self.id})")

    def exception(self, timeout: float | None = None) -> errors.TaskError | None:
        """Waits for its end and returns what went wrong; None if it succeeded.

        Args:
            timeout: As for `result`.

        Raises:
            WaitTimeout: If it has not ended in time.
            SessionInterrupted: If its runner is gone.
        """
        self._session.wait_until(lambda: self.state == states.ENDED, timeout, f"task {self.id}")
        outcome = self.outcome
        if outcome is None or outcome == states.SUCCEEDED:
            return None
        words = f"task {self.num} ({self.id}) {outcome}: {self.reason}"
        message = f"{words}: {self.error}" if self.error else words
        return _ERRORS[outcome](message, self.id, self.reason or "unknown")

    def cancel(self) -> bool:
        """Asks the runner to end this task with its whole process tree; the others go on.

        If the session's runner is gone, it is done here and now, and nothing else is.

        Returns:
            False if it had ended already.

        Raises:
            SessionNotUsable: If claude-parallel-runner.pl wrote the session, or it can't be read.
        """
        if self.done():
            return False
        self._session.ask("cancel", requests.cancel_name(self.id))
        return True

    def follow_up(self, prompt: str, **options: Any) -> Session:
        """Says something more to its agent, which knows what it did, as a new session.

        A copy of the conversation goes on, in the same folder or on the same branch.

        Args:
            prompt: What to say.
            **options: Options of `cpr_nb.launch` that go before the old ones (``schema`` is not
                kept); ``reuse`` and ``fresh`` as there.

        Returns:
            The new session, of one task.

        Raises:
            SessionNotUsable: If it has not ended, or has no conversation to go on with.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[0].follow_up("Now write the tests.")  # doctest: +SKIP
        """
        from cpr_nb.launching.rerun import Again, again

        self._session.refresh()
        return again([Again(self, prompt)], options)


def deadline(timeout: float | None) -> float | None:
    """When a wait of ``timeout`` seconds ends, on the clock that never goes back."""
    return None if timeout is None else time.monotonic() + timeout
