"""Reads the stream of a shared process: where one task's lines end, and the next one's begin.

The border is the line ``conversation_reset``, exactly: whatever a task still had to say stands
before it. Behind it come lines of the old conversation's id and of the new one, in an order that
differs between versions of the CLI. The first ``init`` says which conversation is the new one.
From there on, each line of another conversation is a mark, too: nobody knows whose it is.
"""

from __future__ import annotations

import os

from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.json_values import text_or_none
from cpr_nb.model.lines import LineSplitter
from cpr_nb.store.files import is_shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

#: A turn or a conversation begins.
INIT = "init"
#: A turn has ended.
RESULT = "result"
#: The border: what follows is of another conversation.
RESET = "conversation_reset"
#: The list of what runs in the background has changed; see `n_live`.
BACKGROUND = "background_tasks_changed"
#: A hook begins.
HOOK = "hook_started"
#: The CLI's part of the control protocol.
RESPONSE = "response"
#: A line of another conversation.
LINE_OF_ANOTHER = "line_of_another"
#: A line that is no event: torn, or glued to a torn one. Or the file became shorter.
UNREADABLE = "unreadable"
#: What `ProcessStream.tools_used` has for a Bash command that was started in the background.
BACKGROUND_BASH = "Bash in the background"

_KINDS = {
    ("system", "init"): INIT,
    ("system", "background_tasks_changed"): BACKGROUND,
    ("system", "hook_started"): HOOK,
}
_TYPES = {
    "result": RESULT,
    "conversation_reset": RESET,
    "control_request": RESPONSE,
    "control_response": RESPONSE,
}
_CHUNK_BYTES = 1 << 18


class Mark:
    """A line of a process's stream that its reader has to know of.

    Args:
        kind: One of the kinds above.
        begin: Where the line begins in the file, in bytes.
        end: Where the next line begins.
        event: The line; empty if it is unreadable.
    """

    __slots__ = ("begin", "end", "event", "kind")

    def __init__(self, kind: str, begin: int, end: int, event: dict[str, Any]) -> None:
        self.kind, self.begin, self.end, self.event = kind, begin, end, event


def n_live(mark: Mark) -> int:
    """How much still runs in the background, by a mark of the kind `BACKGROUND`.

    Example:
        >>> n_live(Mark(BACKGROUND, 0, 9, {"tasks": [{"task_id": "b1"}]}))
        1
    """
    tasks = mark.event.get("tasks")
    return len(tasks) if isinstance(tasks, list) else 0


def offsets_of_conversations(path: str) -> dict[str, int]:
    """Where the stream of each conversation begins that a process's file has: behind its clear.

    Args:
        path: The file.

    Raises:
        OSError: If it can't be read.
    """
    offsets: dict[str, int] = {}
    stream, is_clear = ProcessStream(path), False
    try:
        for mark in stream.poll():
            if mark.kind == RESET:
                is_clear = True
            elif mark.kind == RESULT and is_clear:
                is_clear = False
                offsets[text_or_none(mark.event.get("session_id")) or ""] = mark.end
    finally:
        stream.close()
    return offsets


class ProcessStream:
    """The stream of a shared process, read as it grows: only what is new, only whole lines.

    Args:
        path: Its file, which must exist.
        offset: Where to begin.

    Attributes:
        fd: The file's descriptor; it stays open until `close`, so nobody can remove the file.
        conversation_id: The conversation that goes on; empty if a line of any may come, as behind
            a border until the next ``init``. A reader that begins in the middle sets it.
        end: Behind the last whole line that was read.
        tools_used: The names of the tools that were called; its user clears it.

    Raises:
        OSError: If the file can't be opened.
    """

    __slots__ = ("_lines", "_read_to", "conversation_id", "end", "fd", "tools_used")

    def __init__(self, path: str, offset: int = 0) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.conversation_id = ""
        self.end = self._read_to = offset
        self.tools_used: set[str] = set()
        self._lines = LineSplitter()

    def poll(self) -> list[Mark]:
        """Reads what is new.

        Raises:
            OSError: If it can't be read.
        """
        marks = []
        for line in self._new_lines():
            begin, self.end = self.end, self.end + len(line) + 1
            marks += self._marks(line, begin)
        if os.fstat(self.fd).st_size < self._read_to:  # someone has cut it: what comes is torn
            marks.append(Mark(UNREADABLE, self.end, self.end, {}))
        return marks

    def finish(self) -> list[Mark]:
        """Reads to the end, including a last line without a line feed.

        Raises:
            OSError: If it can't be read.
        """
        marks = self.poll()
        torn = self._lines.rest()
        if torn:
            begin, self.end = self.end, self._read_to
            marks += self._marks(torn, begin)
        return marks

    @property
    def is_open(self) -> bool:
        """Whether a process still has the file as its output, as its lock shows."""
        return is_shared(self.fd)

    def close(self) -> None:
        """Closes the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _new_lines(self) -> Iterator[bytes]:
        while chunk := os.pread(self.fd, _CHUNK_BYTES, self._read_to):
            self._read_to += len(chunk)
            yield from self._lines.feed(chunk)

    def _marks(self, line: bytes, begin: int) -> list[Mark]:
        """The mark that a line is, if it is one."""
        # Each line is parsed: only that shows for sure that none is glued to a torn one.
        event = parse_line(line)
        if event is None:
            return [Mark(UNREADABLE, begin, self.end, {})]
        self._add_tools(event)
        kind = self._kind(event)
        return [Mark(kind, begin, self.end, event)] if kind else []

    def _kind(self, event: dict[str, Any]) -> str | None:
        conversation_id = text_or_none(event.get("session_id"))
        if conversation_id and self.conversation_id not in ("", conversation_id):
            return LINE_OF_ANOTHER
        kind = _TYPES.get(event["type"]) or _KINDS.get((event["type"], str(event.get("subtype"))))
        if kind == RESET:
            self.conversation_id = ""
        elif kind == INIT:
            self.conversation_id = conversation_id or ""
        return kind

    def _add_tools(self, event: dict[str, Any]) -> None:
        if event["type"] != "assistant":
            return
        for block in content_blocks(event):
            if block.get("type") == "tool_use":
                name, tool_input = str(block.get("name")), block.get("input")
                in_background = isinstance(tool_input, dict) and tool_input.get("run_in_background")
                self.tools_used.add(BACKGROUND_BASH if name == "Bash" and in_background else name)
