"""Reads one transcript from where it was read last: its answers, its calls, its tree of lines."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import numpy as np

from cpr_nb.frames.jsonl import JsonlReader
from cpr_nb.frames.transcripts.line_tree import Integers, current_lines, line_keys
from cpr_nb.frames.transcripts.line_types import (
    Block,
    CacheCreation,
    Line,
    Message,
    ServerTools,
    Usage,
    odd_line,
)
from cpr_nb.model.text import one_line

_TITLE_CHARS = 200
_TARGET_CHARS = 120
_ERROR_CHARS = 300
# These lines never were an answer: a model that is none, and errors of the API.
_NO_MODEL = "<synthetic>"
# They wrote only the beginning of a subagent's count of output tokens.
_UNFINISHED_COUNTS = ("2.1.38", "2.1.39")
# What the CLI itself puts in the place of a prompt.
_NO_PROMPTS = ("<command-", "<local-command", "<bash-", "<task-notification", "Caveat: ")
_NO_FIGURES: tuple[None, ...] = (None,) * 7
_AGENT_ID = b'"agentId":"'

#: The columns of a file's answers, beside the file: the row of each is a tuple in this order.
MESSAGE_FIELDS = (
    *("number", "message_id", "at", "model"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("cache_write_1h_tokens", "n_web_searches", "is_fast", "is_sidechain", "is_foreign"),
)
#: The same of its calls.
CALL_FIELDS = (
    *("number", "tool_use_id", "message_number", "tool", "target", "started_at"),
    *("ended_at", "is_error", "permission", "error", "started_agent"),
)


class TranscriptReader(JsonlReader):
    """What is known of one file so far.

    Args:
        is_agent: Whether it is the file of a subagent.
    """

    decoder: ClassVar[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(Line)

    def __init__(self, *, is_agent: bool = False) -> None:
        super().__init__()
        self._is_agent = is_agent
        #: Id → its number, id, time, model, usage, whether it is of a sidechain, and its session;
        #: of an earlier reading, whether the session is another one.
        self.messages: dict[str, tuple[Any, ...]] = {}
        self.calls: dict[str, list[Any]] = {}
        #: Lines read before: their keys, their parents' keys, the answers that they belong to.
        self.nodes: list[tuple[Integers, Integers, Integers]] = []
        self.facts: dict[str, Any] = {}
        self.leaf = -1
        self._n_nodes = 0
        self._uuids: list[str | None] = []
        self._parents: list[str | None] = []
        self._numbers: list[int] = []

    def continue_from(
        self,
        facts: dict[str, Any],
        messages: list[tuple[Any, ...]],
        calls: list[list[Any]],
        nodes: tuple[Integers, Integers, Integers],
    ) -> None:
        """Takes over what an earlier reading knew."""
        self.facts = facts
        self.leaf = facts.pop("leaf")
        self.messages = {row[1]: (*row[:4], _usage_of(row[4:11]), *row[11:]) for row in messages}
        self.calls = {row[1]: row for row in calls}
        self.nodes = [nodes]
        self._n_nodes = len(nodes[0])

    def feed(self, data: bytes | memoryview) -> None:
        """Reads lines, in order."""
        whole = bytes(data)
        try:
            lines = self.decoder.decode_lines(whole)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            lines = []
        n_lines = whole.count(b"\n")
        if len(lines) != n_lines:  # a line that is no object, or of another form
            super().feed(whole)
            return
        self.n_bytes += len(whole)
        self.n_lines += n_lines
        self.handle_events(lines)

    def handle_events(self, events: list[Line]) -> None:
        """Handles lines, in order."""
        # One long loop: this is the only code that runs once per line of a gigabyte.
        add_uuid, add_parent = self._uuids.append, self._parents.append
        add_number = self._numbers.append
        at = session_id = None
        n_nodes, is_conversation = self._n_nodes, not self._is_agent
        for line in events:
            if line.timestamp is not None:
                at = line.timestamp
            if line.sessionId is not None:
                session_id = line.sessionId
            if line.uuid is None:
                continue
            number, message = -1, line.message
            if type(message) is Message:
                if line.type == "assistant":
                    number = self._add_answer(line, message)
                elif line.type == "user":
                    self._add_user(line, message)
                if not (line.isSidechain and is_conversation):
                    self.leaf = n_nodes
            n_nodes += 1
            add_uuid(line.uuid)
            add_parent(line.parentUuid or line.logicalParentUuid)
            add_number(number)
        self._n_nodes = n_nodes
        if at is not None:
            self.facts["last_at"] = at
        if session_id is not None:
            self.facts["session_id"] = session_id
        self._add_facts(events)

    def handle_odd_event(self, event: dict[str, Any]) -> None:
        """Handles one line of another form."""
        line = odd_line(event)
        if line is not None:
            self.handle_events([line])

    def _add_facts(self, lines: list[Line]) -> None:
        facts = self.facts
        if "first_at" not in facts:
            times = (line.timestamp for line in lines if line.timestamp is not None)
            first_at = next(times, None)
            if first_at is not None:
                facts["first_at"] = first_at
        if "cwd" not in facts:
            first = next((line for line in lines if line.cwd is not None), None)
            if first is not None:
                facts["cwd"] = first.cwd
                facts["git_branch"] = first.gitBranch
        last = next((line for line in reversed(lines) if line.version is not None), None)
        if last is not None:
            facts["claude_version"] = last.version

    def _add_answer(self, line: Line, message: Message) -> int:
        """Adds a line of an answer: the last line of a message counts. Returns its number."""
        if message.model == _NO_MODEL or line.isApiErrorMessage or message.id is None:
            return -1
        before = self.messages.get(message.id)
        number = len(self.messages) if before is None else before[0]
        at = line.timestamp if before is None else before[2]
        usage = message.usage
        if usage is None:
            usage = None if before is None else before[4]
        elif line.version in _UNFINISHED_COUNTS and (self._is_agent or line.isSidechain):
            usage.output_tokens = None
        origin = line.requestSessionId or line.sessionId
        if line.forkedFrom is not None and line.forkedFrom.sessionId is not None:
            origin = line.forkedFrom.sessionId
        is_sidechain = line.isSidechain is True
        self.messages[message.id] = (
            *(number, message.id, at, message.model),
            *(usage, is_sidechain, origin),
        )
        if type(message.content) is list:
            for block in message.content:
                if block.type == "tool_use" and block.id is not None:
                    self._add_call(block, block.id, number, line)
        return number

    def _add_call(self, block: Block, call_id: str, message_number: int, line: Line) -> None:
        if call_id in self.calls:
            return
        target = None
        if block.input is not None:
            for value in _targets(block):
                if isinstance(value, str) and value:
                    target = _short(value, _TARGET_CHARS)
                    break
        row = [len(self.calls), call_id, message_number, block.name, target, line.timestamp]
        self.calls[call_id] = [*row, None, None, None, None, None]

    def _add_user(self, line: Line, message: Message) -> None:
        content = message.content
        if type(content) is list:
            is_result = False
            for block in content:
                if block.type == "tool_result":
                    is_result = True
                    call = self.calls.get(block.tool_use_id or "")
                    if call is not None:
                        _add_result(call, block, line)
            if is_result:
                return
        if line.isMeta or line.isCompactSummary or line.isSidechain:
            return
        text = content if isinstance(content, str) else _first_text(content)
        if text is not None and not text.startswith(_NO_PROMPTS):
            self.facts["n_prompts"] = self.facts.get("n_prompts", 0) + 1
            if "title" not in self.facts:
                self.facts["title"] = _short(text, _TITLE_CHARS)

    def message_rows(self) -> list[tuple[Any, ...]]:
        """The answers so far, with the fields of `MESSAGE_FIELDS`."""
        own = self.facts.get("session_id")
        return [
            (*head, *_figures(usage), sidechain, origin is True or origin not in (own, None, False))
            for *head, usage, sidechain, origin in self.messages.values()
        ]

    def tree(self) -> tuple[Integers, Integers, Integers]:
        """The lines so far: keys, parents' keys, numbers of answers."""
        new = (
            line_keys(self._uuids),
            line_keys(self._parents),
            np.array(self._numbers, np.int64),
        )
        keys, parents, numbers = zip(*self.nodes, new, strict=True)
        return np.concatenate(keys), np.concatenate(parents), np.concatenate(numbers)

    def current_answers(self, tree: tuple[Integers, Integers, Integers]) -> Any:
        """Whether each answer is in the conversation as it stands, by its number."""
        keys, parents, numbers = tree
        is_current = np.zeros(len(self.messages), bool)
        chosen = numbers[current_lines(keys, parents, self.leaf)]
        is_current[chosen[chosen >= 0]] = True
        return is_current


def _figures(usage: Usage | None) -> tuple[Any, ...]:
    """The figures of an answer, in the order of `MESSAGE_FIELDS`."""
    if usage is None:
        return _NO_FIGURES
    cache, tools = usage.cache_creation, usage.server_tool_use
    return (
        *(usage.input_tokens, usage.output_tokens),
        *(usage.cache_read_input_tokens, usage.cache_creation_input_tokens),
        None if cache is None else cache.ephemeral_1h_input_tokens,
        None if tools is None else tools.web_search_requests,
        usage.speed is not None and usage.speed != "standard",
    )


def _usage_of(figures: tuple[Any, ...]) -> Usage | None:
    """The usage that has these figures."""
    if figures == _NO_FIGURES:
        return None
    usage = Usage(figures[0], figures[1], figures[2], figures[3])
    usage.cache_creation, usage.server_tool_use = CacheCreation(figures[4]), ServerTools(figures[5])
    usage.speed = "fast" if figures[6] else None
    return usage


def _targets(block: Block) -> tuple[Any, ...]:
    call = block.input
    if call is None:
        return ()
    return (
        *(call.file_path, call.notebook_path, call.command, call.pattern),
        *(call.url, call.query, call.description),
    )


def _add_result(call: list[Any], block: Block, line: Line) -> None:
    call[6] = line.timestamp
    call[7] = block.is_error is True  # the API omits it for a success
    decision = line.permissionDecision
    if decision is not None and decision.decision in ("accept", "reject"):
        call[8] = "allowed" if decision.decision == "accept" else "denied"
    if block.is_error:
        call[9] = _first_line(block.content)
    if call[3] in ("Agent", "Task"):
        call[10] = _agent_of(bytes(line.toolUseResult))


def _short(text: str, limit: int) -> str:
    """The beginning of a text, as `one_line` makes it; at a third of the cost in the usual case."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    line = " ".join(text[: 4 * limit].split())
    if not (line.isascii() and line.isprintable()):
        return one_line(text, limit)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _agent_of(result: bytes) -> str | None:
    """The id of the agent that a call has started, in the CLI's own form of its result."""
    start = result.find(_AGENT_ID)
    if start < 0:
        return None
    start += len(_AGENT_ID)
    return result[start : result.find(b'"', start)].decode("utf-8", "replace")


def _first_line(content: msgspec.Raw) -> str | None:
    """The beginning of an error, on one line."""
    try:
        value = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if isinstance(value, list):
        texts = (block.get("text") for block in value if isinstance(block, dict))
        value = next((text for text in texts if isinstance(text, str)), None)
    if not isinstance(value, str):
        return None
    return _short(value, _ERROR_CHARS)


def _first_text(content: list[Block] | None) -> str | None:
    for block in content or ():
        if block.type == "text":
            try:
                text = msgspec.json.decode(block.text)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return None
            return text if isinstance(text, str) else None
    return None
