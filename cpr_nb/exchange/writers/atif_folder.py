"""Writes ATIF 1.8, the trajectories of Harbor: a folder with one file a task.

The attempts of a task continue one another in its file. The conversation of a subagent is a
trajectory of its own inside the one whose call started it. A task is written step by step: what
subagents did waits in a temporary file, because it comes after all steps of their parent.
"""

from __future__ import annotations

import re
import tempfile
from itertools import count
from pathlib import Path

from cpr_nb.exchange.stream_steps import REDACTED, Step, ToolCall
from cpr_nb.exchange.strict_json import known, strict_json
from cpr_nb.model.events import SYNTHETIC
from cpr_nb.model.json_values import text_or_none
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

    from cpr_nb.exchange.session_record import SessionRecord, TaskRecord

SCHEMA_VERSION = "ATIF-v1.8"
AGENT_NAME = "claude-code"
#: Where in ``extra`` our own fields are.
OUR_EXTRA = "cpr"

_NOTES = (
    "total_steps counts the steps of this trajectory; the other totals are of the whole task: all "
    "its attempts, and its subagents."
)


def write(record: SessionRecord, path: str, *, with_content: bool) -> None:
    """Writes a session as a folder of trajectories.

    Args:
        record: The session.
        path: The folder, which is there, and empty.
        with_content: Not used: a trajectory has its content, unless that is redacted.

    Example:
        >>> from cpr_nb.exchange.session_record import SessionRecord
        >>> from cpr_nb.store.read import read_session
        >>> record = SessionRecord(read_session("/none/session-1"))
        >>> write(record, "atif-1", with_content=False)  # no task, no file
    """
    del with_content
    for task in record.tasks():
        target = Path(path) / file_name(task.number, task.id)
        with target.open("w", encoding="utf-8") as file, tempfile.TemporaryFile() as waiting:
            _Trajectory(task, file, waiting).write()


def file_name(number: int, task_id: str) -> str:
    """The name of a task's file: it sorts in the order of the tasks, and no id leaves the folder.

    Example:
        >>> file_name(7, "../../x")
        '0007-.._.._x.json'
    """
    return f"{number:04}-{re.sub(r'[^A-Za-z0-9._-]', '_', task_id)[:120]}.json"


class _Trajectory:
    """Writes the trajectory of one task.

    Args:
        task: The task.
        file: Where to.
        waiting: An empty file for the steps of subagents, until their turn comes.
    """

    def __init__(self, task: TaskRecord, file: IO[str], waiting: IO[bytes]) -> None:
        self._task = task
        self._file = file
        self._waiting = waiting
        self._id = f"{task.session.id}/{task.id}"
        # The call of a subagent → where its steps wait; and → the subagents that it called itself.
        self._places: dict[str, list[int]] = {}
        self._called: dict[str | None, list[str]] = {}

    def write(self) -> None:
        parents = {step.parent_call_id for step in self._task.steps()}
        self._places = {call_id: [] for call_id in parents if call_id is not None}
        self._file.write("{" + _fields(self._head(self._id)) + ', "steps": [')
        numbers = count(1)
        first = self._user_step(next(numbers), self._task.prompt, self._task.started_at_s)
        self._file.write(strict_json(first))
        attempt = None
        for step in self._task.steps():
            if step.parent_call_id in self._places:
                self._wait(step)
                continue
            if attempt is not None and step.attempt != attempt:
                self._next(_attempt_step(next(numbers), step))
            attempt = step.attempt
            self._next(self._step(next(numbers), step, None))
        self._file.write("], " + _fields(self._tail(next(numbers) - 1)))
        self._write_subagents(None)
        self._file.write("}\n")

    def _next(self, step: dict[str, Any]) -> None:
        self._file.write(", " + strict_json(step))

    def _wait(self, step: Step) -> None:
        """Keeps a step of a subagent in the temporary file."""
        parent = str(step.parent_call_id)
        places = self._places[parent]
        numbered = self._step(len(places) + 1, step, parent)
        places.append(self._waiting.tell())
        self._waiting.write(strict_json(numbered).encode() + b"\n")

    def _write_subagents(self, parent: str | None) -> None:
        """Writes the trajectories of those that an agent called: after its own steps."""
        called = list(dict.fromkeys(self._called.pop(parent, [])))
        if parent is None:  # those whose call no step has: the stream lacks lines
            reached = {call_id for call_ids in self._called.values() for call_id in call_ids}
            called += sorted(self._places.keys() - reached.union(called))
        for number, call_id in enumerate(called):
            self._file.write(', "subagent_trajectories": [' if number == 0 else ", ")
            head = self._head(self._subagent_id(call_id))
            self._file.write("{" + _fields(head) + ', "steps": [')
            for step_number, place in enumerate(self._places[call_id]):
                self._waiting.seek(place)
                line = self._waiting.readline().decode().rstrip("\n")
                self._file.write(", " * (step_number > 0) + line)
            self._file.write("]")
            self._write_subagents(call_id)
            self._file.write("}")
        if called:
            self._file.write("]")

    def _subagent_id(self, call_id: str) -> str:
        return f"{self._id}/{call_id}"

    def _head(self, trajectory_id: str) -> dict[str, Any]:
        session = self._task.session
        agent = known(
            name=AGENT_NAME,
            version=session.cli_version or "unknown",
            model_name=self._task.model,
        )
        return {
            "schema_version": SCHEMA_VERSION,
            "session_id": session.id,
            "trajectory_id": trajectory_id,
            "agent": agent,
        }

    def _tail(self, n_steps: int) -> dict[str, Any]:
        task, session = self._task, self._task.session
        ours = known(
            task_id=task.id,
            task_num=task.number,
            session_name=session.name,
            state=task.state,
            outcome=task.outcome,
            reason=task.reason,
            error=task.error,
            answer=task.answer,
            conversation_id=text_or_none(task.fields.get("conversation_id")),
            score=task.score,
            row=task.row or None,
            started_at=task.started_at_s and utc_iso(task.started_at_s),
            ended_at=task.ended_at_s and utc_iso(task.ended_at_s),
            duration_s=task.duration_s,
            cwd=session.cwd,
            git_commit=session.git_commit,
            tokens=task.tokens or None,
        )
        totals = known(total_cost_usd=task.cost_usd, total_steps=n_steps)
        totals |= {f"total_{name}": value for name, value in _counts(task.tokens).items()}
        return {"final_metrics": totals, "notes": _NOTES, "extra": {OUR_EXTRA: ours}}

    def _user_step(self, number: int, text: str, at_s: float | None) -> dict[str, Any]:
        return {"step_id": number, **_timestamp(at_s), "source": "user", "message": text}

    def _step(self, number: int, step: Step, owner: str | None) -> dict[str, Any]:
        """One step; a subagent that it calls is noted as one of its owner's."""
        if step.source != "assistant":
            return self._user_step(number, step.text, step.at_s) | _extra(attempt=step.attempt)
        fields: dict[str, Any] = {"step_id": number, **_timestamp(step.at_s), "source": "agent"}
        # The CLI itself writes a message about an error of the API: no model was called for it.
        is_of_model = step.model != SYNTHETIC
        if is_of_model:
            fields |= known(model_name=step.model)
        fields["message"] = step.text
        if step.thinking and is_of_model:
            fields["reasoning_content"] = step.thinking
        if step.calls:
            fields["tool_calls"] = [_call(call) for call in step.calls]
            results = [self._result(call, owner) for call in step.calls if _has_result(call)]
            if results:
                fields["observation"] = {"results": results}
        if step.tokens and is_of_model:
            fields["metrics"] = _metrics(step.tokens)
        fields["llm_call_count"] = int(is_of_model)
        return fields | _extra(
            attempt=step.attempt, message_id=step.message_id or None, stop_reason=step.stop_reason
        )

    def _result(self, call: ToolCall, owner: str | None) -> dict[str, Any]:
        result: dict[str, Any] = {"source_call_id": call.id, "content": call.output}
        if call.id in self._places:
            self._called.setdefault(owner, []).append(call.id)
            result["subagent_trajectory_ref"] = [{"trajectory_id": self._subagent_id(call.id)}]
        ended_at = call.ended_at_s and utc_iso(call.ended_at_s)
        return result | _extra(is_error=call.is_error, ended_at=ended_at)


def _has_result(call: ToolCall) -> bool:
    return call.output is not None


def _attempt_step(number: int, step: Step) -> dict[str, Any]:
    """Says that the next attempt begins."""
    return {
        "step_id": number,
        **_timestamp(step.at_s),
        "source": "system",
        "message": f"Attempt {step.attempt} begins.",
        **_extra(attempt=step.attempt),
    }


def _call(call: ToolCall) -> dict[str, Any]:
    fields = {"tool_call_id": call.id, "function_name": call.name, "arguments": call.input}
    if not isinstance(call.input, dict):  # the format wants an object
        fields["arguments"] = {}
        return fields | _extra(arguments=call.input if call.input == REDACTED else None)
    return fields


def _counts(tokens: dict[str, int]) -> dict[str, int]:
    """Tokens as the format counts them: those of the prompt include the cached ones."""
    counts = {}
    prompt = [tokens.get(f"{kind}_tokens") for kind in ("input", "cache_read", "cache_write")]
    if prompt[0] is not None:
        counts["prompt_tokens"] = sum(part or 0 for part in prompt)
    if "output_tokens" in tokens:
        counts["completion_tokens"] = tokens["output_tokens"]
    if "cache_read_tokens" in tokens:
        counts["cached_tokens"] = tokens["cache_read_tokens"]
    return counts


def _metrics(tokens: dict[str, int]) -> dict[str, Any]:
    """The tokens of a message; those of the cache also by the API's names, as Harbor has them."""
    extra = known(
        cache_creation_input_tokens=tokens.get("cache_write_tokens"),
        cache_read_input_tokens=tokens.get("cache_read_tokens"),
    )
    return {**_counts(tokens), **({"extra": extra} if extra else {})}


def _timestamp(at_s: float | None) -> dict[str, str]:
    return {} if at_s is None else {"timestamp": utc_iso(at_s)}


def _extra(**fields: Any) -> dict[str, Any]:
    extra = known(**fields)
    return {"extra": extra} if extra else {}


def _fields(fields: dict[str, Any]) -> str:
    """The fields of an object without its braces, to be followed by more."""
    return strict_json(fields)[1:-1]
