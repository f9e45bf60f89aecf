"""One task as a sample of an Inspect log, written while its stream is read."""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from contextlib import ExitStack
from typing import IO, Any

from cpr_nb.exchange.model_shares import model_shares
from cpr_nb.exchange.strict_json import strict_json
from cpr_nb.exchange.writers import inspect_events as written
from cpr_nb.model import states
from cpr_nb.model.events import SYNTHETIC, TOKEN_FIELDS
from cpr_nb.model.json_values import number
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.exchange.session_record import TaskRecord
    from cpr_nb.exchange.stream_steps import Step

#: What a session's model is called where nobody knows it: Inspect needs a name.
UNKNOWN_MODEL = "anthropic/unknown"
#: Of the texts that are written beside the sample, so many bytes stay in memory.
_IN_MEMORY_BYTES = 1 << 20
#: reason → Inspect's name of the limit, the option that set it
_LIMITS = {
    "timeout": ("time", "timeout_s"),
    "budget": ("cost", "task_budget_usd"),
    "max_turns": ("turn", "max_turns"),
}
_FIGURES = ("reason", "attempts", "num_turns", "cost_usd", "conversation_id", "branch", "node")


def model_name(model: str | None) -> str:
    """A model's name as Inspect wants it: behind its provider.

    Example:
        >>> model_name("claude-opus-5-5"), model_name(None)
        ('anthropic/claude-opus-5-5', 'anthropic/unknown')
    """
    return f"anthropic/{model}" if model and model != SYNTHETIC else UNKNOWN_MODEL


def sample_uuid(session_id: str, task_id: str) -> str:
    """The id of a sample, which is that of no other task anywhere."""
    whole = f"cpr:{session_id}/{task_id}".encode("utf-8", "replace").decode()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, whole))


class SampleWriter:
    """Writes the sample of a task.

    Its stream is read twice. The first time gives the conversation; the second time its events,
    beside which two lists are written aside: the pool of messages, and the attachments.

    Args:
        task: The task.
        out: Gets the sample, in UTF-8.
    """

    def __init__(self, task: TaskRecord, out: IO[bytes]) -> None:
        self.task = task
        self._out = out
        self.uuid = sample_uuid(task.session.id, task.id)
        self._names = written.Names(self.uuid)
        self._n_messages = 1  # of the task's own agent; the prompt is the first
        self._n_turns = 0
        self._left: Counter[str] = Counter()  # call → steps of its subagent that are to come
        self._at_s = task.started_at_s or task.session.created_at_s or 0.0
        self._began_s = self._at_s

    def write(self) -> dict[str, Any]:
        """Writes it.

        Returns:
            The summary of the sample, for the log's own list.
        """
        head = self._head()
        self._write(strict_json(head)[:-1])
        self._write_list("messages", self._messages())
        with ExitStack() as stack:
            pool, agents_pool, attachments = (
                stack.enter_context(tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES))
                for _ in range(3)
            )
            events = _Events(self, pool, agents_pool, attachments)
            self._write_list("events", events.all())
            self._write(',"events_data":{"messages":[')
            self._copy(pool, agents_pool)
            self._write('],"calls":[]},"attachments":{')
            self._copy(attachments)
            self._write("}")
        tail = {"output": self._output(), "turn_count": self._n_turns}
        self._write("," + strict_json(tail)[1:])
        return self._summary(head)

    def _write(self, text: str) -> None:
        self._out.write(text.encode())

    def _write_list(self, name: str, values: Iterator[Any]) -> None:
        self._write(f',"{name}":[')
        for i, value in enumerate(values):
            self._write(("," if i else "") + strict_json(value))
        self._write("]")

    def _copy(self, *files: IO[bytes]) -> None:
        """Appends what was written aside, each entry behind a comma, without the first comma."""
        is_first = True
        for file in files:
            file.seek(0)
            while piece := file.read(1 << 16):
                self._out.write(piece[1:] if is_first else piece)
                is_first = False

    def _messages(self) -> Iterator[dict[str, Any]]:
        """The conversation of the task's own agent."""
        yield written.prompt_message(self.task.prompt, self._names)
        for i, step in enumerate(self.task.steps()):
            if step.parent_call_id is not None:
                self._left[step.parent_call_id] += 1
                continue
            self._n_turns += step.source == "assistant" and step.model != SYNTHETIC
            for message in written.messages_of(step, i, self._names):
                self._n_messages += 1
                yield message

    # -- what is known without the stream ----------------------------------------------------

    def _head(self) -> dict[str, Any]:
        task = self.task
        head: dict[str, Any] = {
            "id": task.id,
            "epoch": 1,
            "input": task.prompt,
            "target": target(task),
            "metadata": self._metadata(),
            "model_usage": self._usage(),
            "started_at": None if task.started_at_s is None else utc_iso(task.started_at_s),
            "completed_at": None if task.ended_at_s is None else utc_iso(task.ended_at_s),
            "total_time": task.duration_s,
            "uuid": self.uuid,
            "scores": scores(task) or None,
            "limit": self._limit(),
            "error": self._error(),
        }
        return {name: value for name, value in head.items() if value is not None}

    def _metadata(self) -> dict[str, Any]:
        task = self.task
        figures = {f"cpr_{name}": task.fields.get(name) for name in _FIGURES}
        state = task.outcome or task.state
        known = {"cpr_session_id": task.session.id, "cpr_outcome": state, **figures}
        own = {name: value for name, value in known.items() if value is not None}
        return {**task.row, **own}

    def _usage(self) -> dict[str, Any]:
        usages: dict[str, Any] = {}
        for model, figures in model_shares(self.task).items():
            tokens = {name: int(figures.get(name) or 0) for name in TOKEN_FIELDS if name in figures}
            usages[model_name(model)] = written.usage(tokens, figures.get("cost_usd"))
        return usages

    def _limit(self) -> dict[str, Any] | None:
        kind, option = _LIMITS.get(self.task.reason or "", ("", ""))
        options = [self.task.spec.get("options"), self.task.session.spec.get("options")]
        for given in options:
            limit = number(given.get(option)) if isinstance(given, dict) else None
            if limit is not None:
                return {"type": kind, "limit": limit, "reason": self.task.reason}
        return None

    def _error(self) -> dict[str, Any] | None:
        task = self.task
        if task.outcome in (None, states.SUCCEEDED) or self._limit() is not None:
            return None
        said = f"{task.outcome}: {task.reason}" if task.reason else str(task.outcome)
        message = f"{said}: {task.error}" if task.error else said
        # Inspect's viewer shows only the traceback; where there is none, it takes the message, too.
        return dict.fromkeys(("message", "traceback", "traceback_ansi"), message)

    def _output(self) -> dict[str, Any]:
        task, model = self.task, model_name(self.task.model)
        answer = task.answer if task.outcome == states.SUCCEEDED else None
        if answer is None:
            return {"model": model, "choices": [], "completion": ""}
        message = {"role": "assistant", "content": answer, "source": "generate"}
        message["id"] = self._names.of("answer")
        choice = {"message": message, "stop_reason": "stop"}
        output = {"model": model, "choices": [choice], "completion": answer}
        return output if task.duration_s is None else {**output, "time": task.duration_s}

    def _summary(self, head: dict[str, Any]) -> dict[str, Any]:
        error, limit = head.get("error"), head.get("limit")
        summary = {
            **head,
            "input": head["input"][:1024],
            "error": error and error["message"],
            "limit": limit and limit["type"],
            "completed": self.task.outcome is not None,
            "message_count": self._n_messages,
            "turn_count": self._n_turns,
        }
        return {name: value for name, value in summary.items() if value is not None}


def target(task: TaskRecord) -> str | list[str]:
    """What Inspect's scorers compare an answer with: the column ``target`` of the task's row."""
    value = task.row.get("target")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return "" if value is None else str(value)


def scores(task: TaskRecord) -> dict[str, Any]:
    """The scores of a task: its score, and whether its check passed."""
    found: dict[str, Any] = {}
    if task.score is not None:
        found["score"] = {"value": task.score}
    options = task.spec.get("options")
    own = options.get("check") if isinstance(options, dict) else None
    shared = task.session.spec.get("options", {}).get("check")
    if task.reason == "check_failed" or ((own or shared) and task.outcome == states.SUCCEEDED):
        found["check"] = {"value": "I" if task.reason == "check_failed" else "C"}
    return found


class _Events:
    """The events of a sample, in order; messages and long texts go into files beside them."""

    def __init__(
        self, sample: SampleWriter, pool: IO[bytes], agents_pool: IO[bytes], texts: IO[bytes]
    ) -> None:
        self._sample, self._task, self._names = sample, sample.task, sample._names
        self._pools = pool, agents_pool
        self._n = [0, sample._n_messages]  # entries of the pools: subagents' are behind the others
        self._ranges: dict[str | None, list[list[int]]] = {}  # what each agent was sent
        self._left = sample._left
        self._agents: dict[str, str] = {}  # call → the subagent that it started
        self._open: set[str] = set()  # the calls whose spans are open
        self._at_s = sample._at_s
        self._attempt: int | None = None

        def add(key: str, text: str) -> None:
            texts.write(f',"{key}":{strict_json(text)}'.encode())

        self._attachments = written.Attachments(add)

    def all(self) -> Iterator[dict[str, Any]]:
        """All events."""
        prompt = written.prompt_message(self._task.prompt, self._names)
        known = {"id": self._task.id, "input": self._task.prompt}
        sample = {**known, "target": target(self._task)}
        yield self._event({"event": "sample_init", "sample": sample})
        self._add(None, prompt)
        several = len(self._task.attempts) > 1
        for i, step in enumerate(self._task.steps()):
            if several and step.attempt != self._attempt:
                yield from self._begin_attempt(step.attempt)
            yield from self._of_step(step, i)
        if several and self._attempt is not None:
            yield self._event({"event": "span_end", "id": self._span(None)})
        for name, score in scores(self._task).items():
            yield self._event({"event": "score", "scorer": name, "score": score})
        error = self._sample._error()
        if error is not None:
            yield self._event({"event": "error", "error": error})

    def _begin_attempt(self, attempt: int) -> Iterator[dict[str, Any]]:
        if self._attempt is not None:
            yield self._event({"event": "span_end", "id": self._span(None)})
        self._attempt = attempt
        name = f"attempt {attempt}"
        yield self._event({"event": "span_begin", "id": self._span(None), "name": name})

    def _of_step(self, step: Step, number_: int) -> Iterator[dict[str, Any]]:
        agent = step.parent_call_id
        if agent is not None and agent not in self._open:
            self._open.add(agent)
            name = self._agents.get(agent, "subagent")
            began = {"event": "span_begin", "id": self._span(agent), "type": "agent", "name": name}
            yield self._event({**began, "parent_id": self._span(None)})
        if step.model == SYNTHETIC:
            yield self._event(self._own_words(step), agent)
        elif step.source == "assistant":
            yield from self._of_model(step, number_, agent)
        for message in written.messages_of(step, number_, self._names):
            self._add(agent, message)
        if agent is not None:
            self._left[agent] -= 1
            if self._left[agent] <= 0:
                yield self._event({"event": "span_end", "id": self._span(agent)})

    def _of_model(self, step: Step, number_: int, agent: str | None) -> Iterator[dict[str, Any]]:
        model = model_name(step.model)
        message = written.assistant_message(step, number_, self._names)
        event = {
            "event": "model",
            "model": model,
            "input": [],
            "input_refs": [list(one) for one in self._ranges.get(agent, [])],
            "tools": [],
            "tool_choice": "auto",
            "config": {},
            "output": written.model_output(step, message, model),
        }
        known = {"cpr_message_id": step.message_id, "cpr_tokens": step.tokens}
        event["metadata"] = {name: value for name, value in known.items() if value}
        yield self._timed(event, step.at_s, agent)
        for call in step.calls:
            if call.id in self._left:
                self._agents[call.id] = written.agent_name(call)
            tool = written.tool_event(call, self._names, self._agents.get(call.id))
            yield self._timed(tool, call.ended_at_s, agent)

    def _own_words(self, step: Step) -> dict[str, Any]:
        """What the CLI itself has written: why the API refused a request, for example."""
        if self._task.outcome == states.SUCCEEDED:
            return {"event": "info", "source": "claude-code", "data": step.text}
        model = model_name(self._task.model)
        output = {"model": model, "choices": [], "completion": ""}
        empty = {"input": [], "tools": [], "tool_choice": "auto", "config": {}}
        said = {"model": model, **empty, "output": output, "error": step.text}
        return {"event": "model", "input_refs": self._ranges.get(None, []), **said}

    def _timed(
        self, event: dict[str, Any], ended_at_s: float | None, agent: str | None
    ) -> dict[str, Any]:
        """An event that lasts from the one before it to its own end."""
        whole = self._event(event, agent)
        if ended_at_s is not None:
            self._at_s = max(self._at_s, ended_at_s)
            whole["completed"] = utc_iso(ended_at_s)
        return whole

    def _event(self, event: dict[str, Any], agent: str | None = None) -> dict[str, Any]:
        times = {
            "timestamp": utc_iso(self._at_s),
            "working_start": round(max(self._at_s - self._sample._began_s, 0.0), 3),
        }
        span = {"span_id": self._span(agent)} if agent or self._attempt else {}
        short: dict[str, Any] = self._attachments.short(event)
        return {**short, **times, **span}

    def _span(self, agent: str | None) -> str | None:
        if agent is not None:
            return self._names.of(f"agent-{agent}")
        return None if self._attempt is None else self._names.of(f"attempt-{self._attempt}")

    def _add(self, agent: str | None, message: dict[str, Any]) -> None:
        """Adds a message to the pool; the agent is sent it with its next request."""
        which = int(agent is not None)
        self._pools[which].write(("," + strict_json(self._attachments.short(message))).encode())
        position = self._n[which]
        self._n[which] += 1
        ranges = self._ranges.setdefault(agent, [])
        if ranges and ranges[-1][1] == position:
            ranges[-1][1] = position + 1
        else:
            ranges.append([position, position + 1])
