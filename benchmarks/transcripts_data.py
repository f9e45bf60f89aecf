"""Synthetic transcripts of Claude Code, of any size, in the shapes of real ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_START = datetime(2026, 3, 1, 8, tzinfo=UTC)
_MODELS = ("claude-opus-4-8", "claude-sonnet-5-5", "claude-haiku-4-5-20251001")
_TOOLS = ("Read", "Bash", "Edit", "Grep", "mcp__issues__search")
_WORDS = (
    "the parser returns a value that no caller of this function uses so it can go away\n"
    "    for index, line in enumerate(lines): if line.startswith('#'): continue  # a comment\n"
    'error: expected "str", got "int" in tests/test_parser.py:118 (see the fixture `tables`)\n'
)
_POOL = _WORDS * 200
_SESSION_BYTES = 4_000_000


def write_transcripts(folder: Path, n_bytes: int, seed: int = 0) -> int:
    """Writes transcripts until they have about so many bytes.

    Args:
        folder: The folder that becomes ``projects``.
        n_bytes: The bytes that they have together, at least.
        seed: What is drawn depends only on it.

    Returns:
        How many bytes were written.
    """
    draw = random.Random(seed)
    written = number = 0
    while written < n_bytes:
        project = folder / f"-home-someone-project-{number % 7}"
        session_id = _uuid(draw)
        target = min(_SESSION_BYTES, max(n_bytes - written, 1))
        written += _write(project / f"{session_id}.jsonl", session_id, None, target, draw, number)
        if number % 3 == 0:
            agent = f"{draw.getrandbits(64):016x}"
            path = project / session_id / "subagents" / f"agent-{agent}.jsonl"
            written += _write(path, session_id, agent, target // 4, draw, number)
        number += 1
    return written


def _write(
    path: Path, session_id: str, agent: str | None, n_bytes: int, draw: random.Random, number: int
) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("w", encoding="ascii") as file:
        for line in _lines(session_id, agent, draw, number):
            text = json.dumps(line, separators=(",", ":")) + "\n"
            file.write(text)
            written += len(text)
            if written >= n_bytes:
                return written
    return written


def _uuid(draw: random.Random) -> str:
    digits = f"{draw.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _text(draw: random.Random, mean_chars: int) -> str:
    n_chars = int(draw.expovariate(1 / mean_chars)) + 20
    begin = draw.randrange(len(_WORDS))
    return _POOL[begin : begin + n_chars]


def _lines(
    session_id: str, agent: str | None, draw: random.Random, number: int
) -> Iterator[dict[str, Any]]:
    """The lines of one transcript, without an end."""
    at = _START + timedelta(hours=7 * number)
    parent: str | None = None

    def line(kind: str, **fields: Any) -> dict[str, Any]:
        nonlocal parent, at
        at += timedelta(milliseconds=draw.randrange(20, 4000))
        uuid = _uuid(draw)
        entry = {
            "parentUuid": parent,
            "isSidechain": agent is not None,
            **({"agentId": agent} if agent else {}),
            "userType": "external",
            "cwd": f"/home/someone/project-{number % 7}",
            "sessionId": session_id,
            "version": "2.1.220",
            "gitBranch": "main",
            "type": kind,
            **fields,
            "uuid": uuid,
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
        }
        parent = uuid
        return entry

    while True:
        yield line("user", message={"role": "user", "content": _text(draw, 300)})
        yield line("attachment", attachment={"type": "skills", "content": _text(draw, 2500)})
        for _ in range(draw.randrange(2, 12)):
            yield from _turn(line, draw)


def _turn(line: Any, draw: random.Random) -> Iterator[dict[str, Any]]:
    """One answer of the model, a block a line, and the results of its calls."""
    message = {
        "id": f"msg_{draw.getrandbits(96):024x}",
        "type": "message",
        "role": "assistant",
        "model": draw.choice(_MODELS),
        "stop_reason": "tool_use",
        "usage": {
            "input_tokens": draw.randrange(1, 200),
            "cache_creation_input_tokens": draw.randrange(0, 9000),
            "cache_read_input_tokens": draw.randrange(0, 150_000),
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": draw.randrange(1, 2000),
            "service_tier": "standard",
        },
    }
    request_id = f"req_{draw.getrandbits(96):024x}"
    blocks: list[dict[str, Any]] = []
    if draw.random() < 0.4:
        thinking = {"type": "thinking", "thinking": _text(draw, 400)}
        blocks.append({**thinking, "signature": "s" * 400})
    if draw.random() < 0.5:
        blocks.append({"type": "text", "text": _text(draw, 250)})
    calls = [f"toolu_{draw.getrandbits(96):024x}" for _ in range(draw.choice((1, 1, 1, 2)))]
    for call in calls:
        tool_input = {"file_path": "/home/someone/a.py", "command": _text(draw, 120)}
        name = draw.choice(_TOOLS)
        blocks.append({"type": "tool_use", "id": call, "name": name, "input": tool_input})
    for block in blocks:
        yield line("assistant", message={**message, "content": [block]}, requestId=request_id)
    for call in calls:
        output = _text(draw, 1500)
        result = {"tool_use_id": call, "type": "tool_result", "content": output}
        if draw.random() < 0.1:
            result["is_error"] = True
        message_of_result = {"role": "user", "content": [result]}
        stdout = {"stdout": output, "stderr": "", "interrupted": False}
        yield line("user", message=message_of_result, toolUseResult=stdout)
