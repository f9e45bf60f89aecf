"""The lines of a transcript: the fields that the tables need, and no others."""

from __future__ import annotations

from typing import Any

import msgspec

from cpr_nb.model.json_values import integer, text_or_none

#: A tool's result in the CLI's own form: only searched, where it is that of an agent.
_NOTHING = msgspec.Raw()


class CallInput(msgspec.Struct, gc=False):
    """The fields of a call's input that say what it is about."""

    file_path: Any = None
    notebook_path: Any = None
    command: Any = None
    pattern: Any = None
    url: Any = None
    query: Any = None
    description: Any = None


class Block(msgspec.Struct, gc=False):
    """A content block: a text, a call or a result."""

    type: str | None = None
    id: str | None = None
    name: str | None = None
    input: CallInput | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    text: msgspec.Raw = _NOTHING
    content: msgspec.Raw = _NOTHING


class CacheCreation(msgspec.Struct, gc=False):
    """Which tokens were written to the cache for an hour."""

    ephemeral_1h_input_tokens: int | None = None


class ServerTools(msgspec.Struct, gc=False):
    """What the API itself did for an answer."""

    web_search_requests: int | None = None


class Usage(msgspec.Struct, gc=False):
    """The tokens of an answer."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    server_tool_use: ServerTools | None = None
    speed: str | None = None


class Message(msgspec.Struct, gc=False):
    """What the user or the model said."""

    id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    content: list[Block] | str | None = None


class _Origin(msgspec.Struct, gc=False):
    sessionId: str | None = None  # noqa: N815 - as the CLI writes it


class _Decision(msgspec.Struct, gc=False):
    decision: str | None = None


class Line(msgspec.Struct, gc=False):
    """A line of the usual form; `odd_line` reads the others."""

    type: str
    uuid: str | None = None
    parentUuid: str | None = None  # noqa: N815
    logicalParentUuid: str | None = None  # noqa: N815
    timestamp: str | None = None
    sessionId: str | None = None  # noqa: N815
    requestSessionId: str | None = None  # noqa: N815
    forkedFrom: _Origin | None = None  # noqa: N815
    agentId: str | None = None  # noqa: N815
    isSidechain: bool | None = None  # noqa: N815
    isMeta: bool | None = None  # noqa: N815
    isCompactSummary: bool | None = None  # noqa: N815
    isApiErrorMessage: bool | None = None  # noqa: N815
    message: Message | str | None = None
    toolUseResult: msgspec.Raw = _NOTHING  # noqa: N815
    permissionDecision: _Decision | None = None  # noqa: N815
    cwd: str | None = None
    gitBranch: str | None = None  # noqa: N815
    version: str | None = None


_TEXTS = ("uuid", "parentUuid", "logicalParentUuid", "timestamp", "sessionId", "agentId")
_MORE_TEXTS = ("requestSessionId", "cwd", "gitBranch", "version")
_FLAGS = ("isSidechain", "isMeta", "isCompactSummary", "isApiErrorMessage")
_TOKENS = (
    *("input_tokens", "output_tokens"),
    *("cache_read_input_tokens", "cache_creation_input_tokens"),
)


def odd_line(fields: dict[str, Any]) -> Line | None:
    """A line of another form, with what fits; None if it has no type.

    Example:
        >>> odd_line({"type": "user", "uuid": 5, "cwd": "/w"}).cwd
        '/w'
    """
    if not isinstance(fields.get("type"), str):
        return None
    line = Line(fields["type"])
    for name in (*_TEXTS, *_MORE_TEXTS):
        setattr(line, name, text_or_none(fields.get(name)))
    for name in _FLAGS:
        setattr(line, name, fields[name] if isinstance(fields.get(name), bool) else None)
    message = fields.get("message")
    if isinstance(message, dict):
        line.message = _odd_message(message)
    return line


def _odd_message(fields: dict[str, Any]) -> Message:
    usage, content = fields.get("usage"), fields.get("content")
    message = Message(text_or_none(fields.get("id")), text_or_none(fields.get("model")))
    if isinstance(usage, dict):
        message.usage = Usage()
        for name in _TOKENS:
            setattr(message.usage, name, integer(usage.get(name)))
    if isinstance(content, str):
        message.content = content
    elif isinstance(content, list):
        message.content = [_odd_block(block) for block in content if isinstance(block, dict)]
    return message


def _odd_block(fields: dict[str, Any]) -> Block:
    block = Block()
    for name in ("type", "id", "name", "tool_use_id"):
        setattr(block, name, text_or_none(fields.get(name)))
    if isinstance(fields.get("is_error"), bool):
        block.is_error = fields["is_error"]
    if isinstance(fields.get("input"), dict):
        known = CallInput.__struct_fields__
        block.input = CallInput(**{k: v for k, v in fields["input"].items() if k in known})
    return block
