"""A session as other tools are told of it: the session, its tasks, and the steps of each."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from cpr_nb.exchange.frame_columns import read_columns
from cpr_nb.exchange.stream_steps import REDACTED, Step, stream_steps
from cpr_nb.model.events import TOKEN_FIELDS
from cpr_nb.model.json_values import integer, number, text_or_none
from cpr_nb.model.record import task_state
from cpr_nb.store.files import read_json
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.store.stream_list import list_streams
from cpr_nb.store.task_lines import TaskLines
from cpr_nb.store.times import parse_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class SessionRecord:
    """What a session's folder says, in the form that writers of formats need.

    Args:
        snapshot: The session, with its tasks.
        redact: Whether `REDACTED` stands for whatever the user or an agent has written: prompts,
            answers, messages, commands and their output, folders.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> record = SessionRecord(read_session("/none/session-1"))
        >>> record.id, list(record.tasks())
        ('1', [])
    """

    def __init__(self, snapshot: Snapshot, *, redact: bool = False) -> None:
        self.snapshot = snapshot
        self.redact = redact
        self.id = snapshot.session_id
        self.name = text_or_none(snapshot.head.get("name"))
        self.state = snapshot.state
        self.created_at_s = parse_iso(snapshot.head.get("created_at"))
        self.ended_at_s = parse_iso(snapshot.head.get("ended_at"))

    @property
    def spec(self) -> dict[str, Any]:
        """The head of session.json; empty if it can't be read. Nothing in it is redacted."""
        return self._lines.head if self._lines else {}

    @cached_property
    def _lines(self) -> TaskLines | None:
        try:
            return TaskLines(self.snapshot.paths.session)
        except (OSError, ValueError, KeyError):
            return None  # a legacy session, or a damaged one

    @property
    def cwd(self) -> str | None:
        """The folder that the tasks worked in."""
        folder = text_or_none(self.snapshot.head.get("cwd"))
        return REDACTED if self.redact and folder else folder

    @property
    def cli_version(self) -> str | None:
        """The version of the Claude CLI."""
        return text_or_none(self.spec.get("claude_version"))

    @cached_property
    def git_commit(self) -> str | None:
        """The commit that the work started from; None if that is unknown."""
        return text_or_none(read_json(self.snapshot.paths.runner).get("git_commit"))

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """The columns of the frame whose rows the tasks are about; empty if there was none."""
        return read_columns(self.snapshot.paths.frame)

    def tasks(self) -> Iterator[TaskRecord]:
        """The tasks, in order; those of which status.json holds no object are left out."""
        streams = list_streams(self.snapshot.paths.root)
        for number_, fields in enumerate(self.snapshot.tasks or (), start=1):
            task_id = str(fields.get("transaction_id", ""))
            yield TaskRecord(self, number_, fields, streams.get(task_id, []), self._lines)


class TaskRecord:
    """A task of a session.

    Args:
        session: The session.
        number: Its number, from 1.
        fields: What status.json says of it.
        attempts: The numbers of its attempts that have a stream, in order.
        lines: The tasks in session.json; None if that can't be read.

    Attributes:
        id: The id of the task.
        state: Its state.
        outcome: How it ended; None if it has not ended.
        reason: Why; None if it has not ended.
        model: The model that it asked for, or that answered; None if that is unknown.
        cost_usd: What it cost by the CLI's own estimate; None if that is unknown.
        tokens: Its tokens by our names, over all attempts, as far as they are known.
        started_at_s: When it started, in seconds since the epoch; None if that is unknown.
        ended_at_s: When it ended; None if that is unknown.
        duration_s: How long it took; None if that is unknown.
        score: Its score; None if it has none.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> snapshot = Snapshot(SessionPaths("/none/session-1"), {}, [], "completed")
        >>> fields = {"transaction_id": "a", "state": "ended", "outcome": "failed"}
        >>> TaskRecord(SessionRecord(snapshot), 1, fields, [], None).outcome
        'failed'
    """

    def __init__(
        self,
        session: SessionRecord,
        number_: int,
        fields: dict[str, Any],
        attempts: list[int],
        lines: TaskLines | None,
    ) -> None:
        self.session = session
        self.number = number_
        self.fields = fields
        self.attempts = attempts
        self.id = str(fields.get("transaction_id", ""))
        self.state, self.outcome = task_state(fields)
        self.reason = text_or_none(fields.get("reason"))
        self.model = text_or_none(fields.get("response_model")) or text_or_none(fields.get("model"))
        self.cost_usd = number(fields.get("cost_usd"))
        counts = {name: integer(fields.get(name)) for name in TOKEN_FIELDS}
        self.tokens = {name: count for name, count in counts.items() if count is not None}
        self.started_at_s = parse_iso(fields.get("started_at"))
        self.ended_at_s = parse_iso(fields.get("ended_at"))
        self.duration_s = number(fields.get("duration_s"))
        self.score = number(fields.get("score"))
        self._lines = lines

    @property
    def spec(self) -> dict[str, Any]:
        """The task in session.json; empty if that can't be read. Nothing in it is redacted."""
        try:
            return self._lines.task(self.id) if self._lines else {}
        except (OSError, ValueError, KeyError):
            return {}

    @property
    def row(self) -> dict[str, Any]:
        """The row of the frame that it is about, and its factors; empty if it has none."""
        if self.session.redact:
            return {}
        spec = self.spec
        number_, factors = spec.get("row"), spec.get("factors")
        row = {}
        if isinstance(number_, int):
            for name, cells in self.session.columns.items():
                if 0 <= number_ < len(cells):
                    row[name] = cells[number_]
        return {**row, **(factors if isinstance(factors, dict) else {})}

    @property
    def prompt(self) -> str:
        """The whole prompt, or what status.json keeps of it."""
        prompt = self.spec.get("prompt", self.fields.get("prompt"))
        return self._text(prompt if isinstance(prompt, str) else "")

    @property
    def answer(self) -> str | None:
        """The answer; None if there is none."""
        answer = read_answer(self.session.snapshot.paths, self.id)
        return None if answer is None else self._text(answer)

    @property
    def error(self) -> str | None:
        """Why it failed, in words; None if it did not, or that is unknown."""
        error = text_or_none(self.fields.get("error"))
        return None if error is None else self._text(error)

    @property
    def request_model(self) -> str | None:
        """The model of its first line; None if that is unknown."""
        return text_or_none(self.fields.get("model"))

    def steps(self) -> Iterator[Step]:
        """The steps of all its attempts, in order. The prompt is none of them."""
        for attempt in self.attempts:
            path = self.session.snapshot.paths.stream(self.id, attempt)
            yield from stream_steps(path, attempt, redact=self.session.redact)

    def _text(self, text: str) -> str:
        return REDACTED if self.session.redact and text else text
