"""Writes transcripts line by line, in the shapes of Claude Code."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

_NAMESPACE = uuid.UUID(int=19)


class TranscriptWriter:
    """One file of a conversation, or of a subagent.

    Each line follows the line before it, unless `rewind` says otherwise.
    """

    def __init__(
        self, projects: Path, session_id: str, agent: str | None = None, version: str = "2.1.332"
    ) -> None:
        self.session_id, self.agent, self.version = session_id, agent, version
        project = projects / "-w-project"
        folder = project / session_id / "subagents" if agent else project
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / (f"agent-{agent}.jsonl" if agent else f"{session_id}.jsonl")
        self.lines: list[dict[str, Any]] = []
        self._parent: str | None = None

    def line(self, kind: str, **fields: Any) -> dict[str, Any]:
        number = len(self.lines) + 1
        line = {
            "parentUuid": self._parent,
            "isSidechain": self.agent is not None,
            "type": kind,
            "uuid": str(uuid.uuid5(_NAMESPACE, f"{self.path.stem} {number}")),
            "timestamp": f"2026-11-28T08:{number // 60:02d}:{number % 60:02d}.000Z",
            "cwd": "/w/project",
            "sessionId": self.session_id,
            "version": self.version,
            "gitBranch": "main",
            **({"agentId": self.agent} if self.agent else {}),
            **fields,
        }
        self._parent = line["uuid"]
        self._append(line)
        return line

    def _append(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def user(self, text: str, **fields: Any) -> dict[str, Any]:
        return self.line("user", message={"role": "user", "content": text}, **fields)

    def answer(
        self,
        message_id: str,
        *blocks: dict[str, Any],
        output: int = 10,
        model: str = "claude-sonnet-4-6",
        usage: dict[str, Any] | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        """One line of an answer: `output` is what this line says of its output tokens."""
        message = {
            "id": message_id,
            "role": "assistant",
            "model": model,
            "content": list(blocks) or [{"type": "text", "text": "done"}],
            "usage": {
                "input_tokens": 1,
                "output_tokens": output,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 1000,
                **(usage or {}),
            },
        }
        return self.line("assistant", message=message, **fields)

    def result(self, call_id: str, text: str = "ok", **fields: Any) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": call_id, "content": text}
        if "is_error" in fields:
            block["is_error"] = fields.pop("is_error")
        return self.line("user", message={"role": "user", "content": [block]}, **fields)

    def rewind(self, line: dict[str, Any]) -> None:
        """The next line follows this one."""
        self._parent = line["uuid"]

    def copy_from(self, other: TranscriptWriter, **fields: Any) -> None:
        """What a fork or a resume does: the other's lines, under its own session id."""
        for line in list(other.lines):
            self._append({**line, "sessionId": self.session_id, **fields})
            self._parent = line["uuid"]


def call(call_id: str, tool: str = "Read", **tool_input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": tool, "input": tool_input}
