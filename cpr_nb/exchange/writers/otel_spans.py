"""Writes OpenTelemetry spans by the GenAI conventions, as OTLP JSON: one request a line.

Each task is a trace: the agent, its messages to the model, and its calls of tools, with a subagent
below the call that started it. Ids are derived from those of the task, so that the same session
has the same ids each time. A collector reads such a file (``otlpjsonfile``), and each line can be
posted to ``/v1/traces``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cpr_nb.exchange.strict_json import strict_json
from cpr_nb.exchange.writers.otel_messages import arguments_text, message_json, output_message
from cpr_nb.model import states
from cpr_nb.model.events import SYNTHETIC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO, Any

    from cpr_nb.exchange.session_record import SessionRecord, TaskRecord
    from cpr_nb.exchange.stream_steps import Step, ToolCall

#: The last version of the conventions before those of GenAI moved into a repository of their own,
#: which has no release yet. All of them are in development: this says which names are meant.
SCHEMA_URL = "https://opentelemetry.io/schemas/1.41.0"

_PROVIDER, _AGENT = "anthropic", "claude-code"
_INTERNAL, _CLIENT = 1, 3
_STATUS_ERROR = 2
# A collector limits the size of a request.
_SPANS_IN_A_LINE, _CHARS_IN_A_LINE = 500, 2_000_000


def write(record: SessionRecord, path: str, *, with_content: bool) -> None:
    """Writes a session as OTLP JSON.

    Args:
        record: The session.
        path: The file.
        with_content: Whether to add what was said, given to tools and returned by them.

    Example:
        >>> import os
        >>> from cpr_nb.exchange.session_record import SessionRecord
        >>> from cpr_nb.store.read import read_session
        >>> record = SessionRecord(read_session("/none/session-1"))
        >>> write(record, os.devnull, with_content=False)
    """
    with Path(path).open("w", encoding="utf-8") as file:
        lines = _Lines(file, record)
        for task in record.tasks():
            for span in _TaskTrace(task, with_content=with_content).spans():
                lines.add(span)
        lines.end()


class _Lines:
    """Writes spans, some hundreds a line, none of which it keeps.

    Args:
        file: Where to.
        record: The session that the spans are of.
    """

    def __init__(self, file: IO[str], record: SessionRecord) -> None:
        self._file = file
        self._head = strict_json(_request(record)).removesuffix("]}]}]}")
        self._n_spans = self._n_chars = 0

    def add(self, span: dict[str, Any]) -> None:
        """Writes a span."""
        text = strict_json(span)
        self._file.write(", " if self._n_spans else self._head)
        self._file.write(text)
        self._n_spans += 1
        self._n_chars += len(text)
        if self._n_spans == _SPANS_IN_A_LINE or self._n_chars > _CHARS_IN_A_LINE:
            self.end()

    def end(self) -> None:
        """Ends the line."""
        if self._n_spans:
            self._file.write("]}]}]}\n")
        self._n_spans = self._n_chars = 0


def _request(record: SessionRecord) -> dict[str, Any]:
    """A request without spans, whose last list is that of its spans."""
    from importlib.metadata import version

    resource = {
        "service.name": "cpr_nb",
        "service.version": version("cpr_nb"),
        "vcs.ref.head.revision": record.git_commit,
        "cpr.session_id": record.id,
        "cpr.session_name": record.name,
        "cpr.claude_version": record.cli_version,
    }
    of_scope = {
        "scope": {"name": "cpr_nb.exchange", "version": version("cpr_nb")},
        "schemaUrl": SCHEMA_URL,
        "spans": [],
    }
    of_resource = {
        "resource": {"attributes": _attributes(resource)},
        "schemaUrl": SCHEMA_URL,
        "scopeSpans": [of_scope],
    }
    return {"resourceSpans": [of_resource]}


class _TaskTrace:
    """The spans of one task.

    Args:
        task: The task.
        with_content: Whether to add what was said, given to tools and returned by them.
    """

    def __init__(self, task: TaskRecord, *, with_content: bool) -> None:
        self._task = task
        self._with_content = with_content
        self._key = f"{task.session.id}/{task.id}"
        self._trace_id = _hex_id(16, self._key)
        # The call of a subagent, or None for the task's own agent → the last moment known of it.
        self._moments_s: dict[str | None, float] = {}
        # The call of a subagent → when the call began and ended; None until the call was met.
        self._subagents: dict[str, tuple[float, float] | None] = {}

    def spans(self) -> Iterator[dict[str, Any]]:
        """The spans; none of a task that never started."""
        start_s = self._task.started_at_s
        if start_s is None:
            return
        parents = {step.parent_call_id for step in self._task.steps()}
        self._subagents = {call_id: None for call_id in parents if call_id is not None}
        self._moments_s[None] = start_s
        for step in self._task.steps():
            if step.source == "assistant" and step.model != SYNTHETIC:
                yield from self._step_spans(step)
        yield from self._subagent_spans()
        yield self._task_span(start_s, self._task.ended_at_s or max(self._moments_s.values()))

    def _task_span(self, start_s: float, end_s: float) -> dict[str, Any]:
        task, session = self._task, self._task.session
        attributes = {
            **_agent_attributes(session.cli_version),
            "gen_ai.conversation.id": task.fields.get("conversation_id"),
            "gen_ai.workflow.name": session.name,
            "gen_ai.request.model": task.request_model,
            "gen_ai.response.model": task.model,
            **_usage(task.tokens),
            "cpr.task_id": task.id,
            "cpr.task_num": task.number,
            "cpr.outcome": task.outcome,
            "cpr.state": task.state,
            "cpr.attempts": task.fields.get("attempts"),
            "cpr.cost_usd": task.cost_usd,
            "cpr.score": task.score,
        }
        span = self._span(f"invoke_agent {_AGENT}", _INTERNAL, (start_s, end_s), "agent")
        if task.outcome not in (None, states.SUCCEEDED):
            attributes["error.type"] = task.reason or task.outcome
            span["status"] = {"code": _STATUS_ERROR}
            if self._with_content and task.error:
                span["status"]["message"] = task.error
        if self._with_content:
            attributes["gen_ai.input.messages"] = message_json("user", task.prompt)
            attributes["gen_ai.output.messages"] = message_json("assistant", task.answer)
        return span | {"attributes": _attributes(attributes)}

    def _step_spans(self, step: Step) -> Iterator[dict[str, Any]]:
        """The message, and the calls that it makes."""
        owner = step.parent_call_id
        parent = ("agent", owner) if owner else ("agent",)
        start_s = self._moments_s.get(owner, self._moments_s[None])
        end_s = max(start_s, step.at_s or start_s)
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDER,
            "gen_ai.request.model": step.model,
            "gen_ai.response.model": step.model,
            "gen_ai.response.id": step.message_id or None,
            "gen_ai.response.finish_reasons": [step.stop_reason] if step.stop_reason else None,
            **_usage(step.tokens),
            "cpr.attempt": step.attempt,
            "cpr.time_is_known": None if step.at_s is not None else False,
        }
        if self._with_content:
            attributes["gen_ai.output.messages"] = output_message(step)
        key = ("chat", step.attempt, step.message_id or end_s, owner)
        name = f"chat {step.model}" if step.model else "chat"
        span = self._span(name, _CLIENT, (start_s, end_s), *key, parent=parent)
        yield span | {"attributes": _attributes(attributes)}
        self._moments_s[owner] = end_s
        for call in step.calls:
            yield from self._call_spans(call, step, end_s, parent)

    def _call_spans(
        self, call: ToolCall, step: Step, start_s: float, parent: tuple[Any, ...]
    ) -> Iterator[dict[str, Any]]:
        """The call, and the subagent that it starts."""
        end_s = max(start_s, call.ended_at_s or start_s)
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
            "cpr.attempt": step.attempt,
            "cpr.time_is_known": None if call.ended_at_s is not None else False,
        }
        span = self._span(
            f"execute_tool {call.name}", _INTERNAL, (start_s, end_s), "call", call.id, parent=parent
        )
        if call.is_error:
            attributes["error.type"] = "tool_error"
            span["status"] = {"code": _STATUS_ERROR}
        if self._with_content:
            attributes["gen_ai.tool.call.arguments"] = arguments_text(call.input)
            attributes["gen_ai.tool.call.result"] = call.output
        yield span | {"attributes": _attributes(attributes)}
        owner = step.parent_call_id
        self._moments_s[owner] = max(self._moments_s[owner], end_s)
        if call.id in self._subagents:
            self._moments_s.setdefault(call.id, start_s)
            self._subagents[call.id] = (start_s, end_s)

    def _subagent_spans(self) -> Iterator[dict[str, Any]]:
        """The subagents: one that works in the background ends after the call that started it."""
        for call_id, times_s in self._subagents.items():
            if times_s is None:
                continue  # the stream lacks the call
            times_s = times_s[0], max(times_s[1], self._moments_s[call_id])
            name, key, parent = "invoke_agent subagent", ("agent", call_id), ("call", call_id)
            span = self._span(name, _INTERNAL, times_s, *key, parent=parent)
            attributes = {**_agent_attributes(None), "gen_ai.agent.name": "subagent"}
            yield span | {"attributes": _attributes(attributes)}

    def _span(
        self,
        name: str,
        kind: int,
        times_s: tuple[float, float],
        *key: object,
        parent: tuple[Any, ...] = (),
    ) -> dict[str, Any]:
        """A span without attributes; its key tells it from the others of the task."""
        start_s, end_s = times_s
        span: dict[str, Any] = {
            "traceId": self._trace_id,
            "spanId": _hex_id(8, self._key, *key),
            "name": name,
            "kind": kind,
            "startTimeUnixNano": _nanoseconds(start_s),
            "endTimeUnixNano": _nanoseconds(max(start_s, end_s)),
        }
        if parent:
            span["parentSpanId"] = _hex_id(8, self._key, *parent)
        return span


def _agent_attributes(version: str | None) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": _PROVIDER,
        "gen_ai.agent.name": _AGENT,
        "gen_ai.agent.version": version,
    }


def _usage(tokens: dict[str, int]) -> dict[str, int | None]:
    """Tokens by the conventions: those of the input include the cached ones."""
    kinds = [tokens.get(f"{kind}_tokens") for kind in ("input", "cache_read", "cache_write")]
    return {
        "gen_ai.usage.input_tokens": None if kinds[0] is None else sum(k or 0 for k in kinds),
        "gen_ai.usage.output_tokens": tokens.get("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": tokens.get("cache_read_tokens"),
        "gen_ai.usage.cache_creation.input_tokens": tokens.get("cache_write_tokens"),
    }


def _hex_id(n_bytes: int, *key: object) -> str:
    digest = hashlib.sha256("\0".join(map(str, key)).encode("utf-8", "replace"))
    return digest.hexdigest()[: 2 * n_bytes]


def _nanoseconds(time_s: float) -> str:
    return str(round(time_s * 1000) * 1_000_000)


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The attributes that have a value."""
    return [{"key": key, "value": _value(v)} for key, v in values.items() if v is not None]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(part) for part in value]}}
    return {"stringValue": str(value)}
