"""One task of a session, seen through its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from cpr_nb.handles import answering
from cpr_nb.handles.task_output import TaskOutput
from cpr_nb.model import errors, states
from cpr_nb.model.public import public
from cpr_nb.store import requests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.streams import Problem
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.later_request import SessionInput
    from cpr_nb.launching.rerun_tasks import RerunTask
    from cpr_nb.views.questions import Question

    _WithProblems = tuple[DataFrame, list[Problem]]

_ERRORS = {
    states.FAILED: errors.TaskFailed,
    states.TIMED_OUT: errors.TaskTimedOut,
    states.CANCELLED: errors.TaskCancelled,
    states.SKIPPED: errors.TaskSkipped,
    states.LOST: errors.TaskLost,
}


@public
class Task(TaskOutput):
    """A handle on one task. It is a view: dropping it never touches the work.

    Get one from a `Session`: ``session[0]``, ``session.task("docs")``.

    Args:
        session: The session.
        index: The task's number, from 0.
    """

    @property
    def session(self) -> Session:
        """Its session."""
        return self._session  # type: ignore[return-value]  # every handle is a Session

    def as_input(self) -> SessionInput:
        """Its row, if it will have succeeded, as ``after=`` of `cpr_nb.launch` takes it."""
        from cpr_nb.launching.later_request import SessionInput

        return SessionInput(self._session.paths.root, None, [self.id])

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
        """Waits until it has ended and returns its answer.

        Args:
            timeout: The longest wait, in seconds; None waits as long as it takes.

        Returns:
            The text; with a schema, an object. It has the Python type that the schema was, if
            that type was given to the `launch` or `retry` that returned this very handle. A later
            `attach` knows only the JSON schema and gives a dictionary.

        Raises:
            TaskError: If it did not succeed; a subclass says how.
            AnswerError: If it did, but the answer does not fit the Python type. `structured` is
                the answer as it is.
            WaitTimeout: If it has not ended in time. It continues.
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
        """Waits until it has ended and returns its error; None if it succeeded.

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
        summary = f"task {self.num} ({self.id}) {outcome}: {self.reason}"
        message = f"{summary}: {self.error}" if self.error else summary
        return _ERRORS[outcome](message, self.id, self.reason or "unknown")

    def cancel(self) -> bool:
        """Cancels this task and its whole process tree; the others continue.

        If the session's runner is gone, this process does it, and nothing else.

        Returns:
            False if it had already ended.

        Raises:
            SessionNotUsable: If it belongs to a legacy session, or the session can't be read.
        """
        if self.done():
            return False
        self._session.ask("cancel", requests.cancel_name(self.id))
        return True

    # -- while it runs ----------------------------------------------------------------------

    @property
    def questions(self) -> list[Question]:
        """What its agent asks now, the oldest first; see `Session.questions`."""
        return [q for q in self._session.questions if q.task_id == self.id]

    def answer(self, decision: str, why: str = "", *, question: str | None = None) -> None:
        """Answers its agent's question.

        Args:
            decision: ``once``, ``session`` or ``deny``, as for `Session.answer`.
            why: What the agent reads if it is denied.
            question: Which of its questions, by its key; needed only if it has several.

        Raises:
            InputError: If there is no such question, or this is no answer to it.
            SessionNotUsable: If the session has no runner.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[5].answer("deny", "Use the fixture.")  # doctest: +SKIP
        """
        found = answering.choose(self.questions, question, f"task {self.num}")
        answering.leave_answer(self._session, found, decision, why)

    def send(self, text: str) -> None:
        """Says something to its agent while it works; it reads that before its next step.

        For that its session was launched with ``ask=True``. A task that has ended is continued by
        `follow_up` instead.

        Args:
            text: What to say.

        Raises:
            InputError: If there is nothing to say, or too much.
            SessionNotUsable: If it does not run, or can't be spoken to.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[5].send("Leave the lock file alone.")  # doctest: +SKIP
        """
        where = f"task {self.num} ({self.id})"
        self._session.refresh()
        if self.state != states.RUNNING:
            raise errors.SessionNotUsable(f"{where} does not run: it is {self.state}")
        answering.leave_message(self._session, self.id, text, where)

    def follow_up(self, prompt: str, **options: Any) -> Session:
        """Says something more to its agent, which remembers what it did, as a new session.

        A copy of the conversation continues, in the same folder or on the same branch.

        Args:
            prompt: What to say.
            **options: Options of `cpr_nb.launch` that override the old ones (``schema`` is not
                kept); ``reuse`` and ``fresh`` as there.

        Returns:
            The new session, of one task.

        Raises:
            SessionNotUsable: If it has not ended, or has no conversation to continue.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[0].follow_up("Now write the tests.")  # doctest: +SKIP
        """
        from cpr_nb.launching.begin import pop_reuse
        from cpr_nb.launching.rerun import plan_rerun

        self._session.refresh()
        reuse = pop_reuse(options)
        plan = plan_rerun([self.to_rerun(prompt)], options)
        return self.session.from_plan(plan, reuse=reuse)

    def review(self, comments: Iterable[str], **options: Any) -> Session:
        """Says something to its agent about lines of its changes, as a follow-up on its branch.

        Args:
            comments: Each ``FILE:LINE:TEXT``, with the number of a line that the diff shows; with a
                minus, that of a removed line. The agent reads the lines with them.
            **options: As for `follow_up`.

        Returns:
            The new session, of one task.

        Raises:
            InputError: If a comment is about nothing that it changed.
            SessionNotUsable: As for `follow_up`.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[0].review(["app.py:12:Why twice?"])  # doctest: +SKIP
        """
        from cpr_nb.launching.review_comments import parse_comments, review_prompt

        self._session.refresh()
        found = parse_comments(comments, self.patch_lines())
        if not found:
            raise errors.InputError("there is no comment", "comments")
        return self.follow_up(review_prompt(found), **options)

    def to_rerun(self, prompt: str | None = None, template: str | None = None) -> RerunTask:
        """This task as part of a rerun.

        Args:
            prompt: What to say in its conversation; None to run it from its beginning.
            template: What the prompt was made from; default the prompt.
        """
        from cpr_nb.launching.rerun_tasks import RerunTask

        return RerunTask(self._session.rerun_source(), self._index, prompt, template)

    # -- tables -----------------------------------------------------------------------------

    @overload
    def events_df(
        self,
        *,
        columns: str | Iterable[str] | None = ...,
        types: str | Iterable[str] | None = ...,
        tail: int | None = ...,
        full: bool = ...,
        strict: Literal[True] = ...,
    ) -> DataFrame: ...
    @overload
    def events_df(
        self,
        *,
        columns: str | Iterable[str] | None = ...,
        types: str | Iterable[str] | None = ...,
        tail: int | None = ...,
        full: bool = ...,
        strict: Literal[False],
    ) -> _WithProblems: ...
    def events_df(
        self,
        *,
        columns: str | Iterable[str] | None = None,
        types: str | Iterable[str] | None = None,
        tail: int | None = None,
        full: bool = False,
        strict: bool = True,
    ) -> Any:
        """One row per content block of its streams, or per event without one; all attempts.

        The arguments have the meaning that they have in `cpr_nb.events_df`.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[0].events_df(tail=10)  # doctest: +SKIP
        """
        from cpr_nb.frames.event_filter import parse_event_filter

        event_filter = parse_event_filter(columns, types, tail)
        return self._table("events_df", full=full, strict=strict, event_filter=event_filter)

    @overload
    def tool_calls_df(self, *, full: bool = ..., strict: Literal[True] = ...) -> DataFrame: ...
    @overload
    def tool_calls_df(self, *, full: bool = ..., strict: Literal[False]) -> _WithProblems: ...
    def tool_calls_df(self, *, full: bool = False, strict: bool = True) -> Any:
        """One row per tool call, with its result; all attempts."""
        return self._table("tool_calls_df", full=full, strict=strict)

    def _table(self, name: str, **options: Any) -> Any:
        from cpr_nb.frames.queries import build_task_table

        return build_task_table(
            name, [self._session.refresh().snapshot], index=self._index, **options
        )

    def _repr_html_(self) -> str:
        from cpr_nb.display.cards import task_card
        from cpr_nb.display.row_deltas import task_cells, title_of
        from cpr_nb.views.current_activity import ActivityFollower

        snapshot = self._session.refresh().snapshot
        activity = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
        row = task_cells(self._index, self.fields, title_of(self.prompt), activity)
        return task_card(snapshot, self._index, row)
