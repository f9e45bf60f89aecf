"""Text that would drive a terminal or hide in it, and a results directory that is full of it.

What may not reach a terminal is said here by Unicode's categories, apart from how `model.text` says
it.
"""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

#: One of each kind: C0, C1, DEL, turned around, isolated, no width, other ends of lines, tags, a
#: filler, half a pair.
SAMPLES = (
    "\x1b]0;title\x07", "\x1b[2J", "\r", "\b", "\x9b31m", "\x85", "\x7f", "\u202egpj\u202c",
    "\u2066a\u2069", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029", "\ufeff", "\xad",
    "\U000e0041\U000e0042", "\u3164", "\u061c", "\u2060", "a\u200db", "\ud800", "\x00",
)  # fmt: skip
ALL = "Z" + "".join(SAMPLES) + "\tend\n"

#: Any text in which such characters are common.
TEXTS = st.lists(
    st.sampled_from(SAMPLES)
    | st.sampled_from(["\n", "\t", "é", "👩\u200d💻", "שלום", "x"])
    | st.text(),
    min_size=1,
    max_size=5,
).map("".join)

# Signs that Unicode counts as marks of format, but which have a shape.
_VISIBLE_MARKS = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
_VISIBLE_MARKS |= {*range(0x13430, 0x13440)}


def forbidden(text: str) -> set[str]:
    """What is in a text that may not reach a terminal."""
    return {c for before, c in zip(" " + text, text, strict=False) if _is_forbidden(before, c)}


def _is_forbidden(before: str, character: str) -> bool:
    if character in "\u200c\u200d":  # they join signs and letters, but none of the Latin script
        return before < "\u0300"
    if character in "\n\t" or ord(character) in _VISIBLE_MARKS:
        return False
    fillers = "\u115f\u1160\u3164\uffa0\u034f"
    return unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs") or character in fillers


class Screen(io.StringIO):
    """A terminal that keeps what is written to it, or a pipe that does."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def as_name(text: str) -> str:
    """The text as a part of a file's name."""
    name = text.replace("/", "|").replace("\0", "|")
    return name.encode("utf-8", "surrogatepass")[:60].decode("utf-8", "ignore")


# --- A results directory --------------------------------------------------------------------------

_EVENTS: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init", "session_id": "T", "model": "T", "cwd": "T"},
    {"type": "system", "subtype": "api_retry", "error": "T", "attempt": "T"},
    {"type": "system", "subtype": "permission_denied", "tool_name": "T", "message": "T"},
    {"type": "assistant", "timestamp": "T", "message": {"model": "T", "content": [
        {"type": "text", "text": "T"},
        {"type": "tool_use", "id": "1", "name": "T", "input": {"command": "T"}},
        {"type": "tool_use", "id": "2", "name": "T", "input": {"T": "T"}},
    ]}},
    {"type": "user", "message": {"content": [
        {"type": "tool_result", "tool_use_id": "1", "content": "T", "is_error": True},
        {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "T"}]},
    ]}},
    {"type": "result", "subtype": "T", "is_error": True, "result": "T", "num_turns": "T",
     "permission_denials": [
        {"tool_name": "Bash", "tool_use_id": "1", "tool_input": {"command": "T"}},
        {"tool_name": "T", "tool_use_id": "2", "tool_input": {"file_path": "T"}},
     ]},
]  # fmt: skip
_TASK: dict[str, Any] = {
    "task_num": "T", "prompt": "T", "note": "T", "error": "T", "branch": "T", "worktree": "T",
    "harvest_error": "T", "kept_because": "T",
    "n_denials": "T", "model": "T", "conversation_id": "T", "n_files_changed": "T",
    "started_at": "T", "ended_at": "T", "attempts": 1, "lines_added": "T", "lines_deleted": "T",
}  # fmt: skip
_HEAD: dict[str, Any] = {
    "name": "T", "error": "T", "notice": "T", "warnings": ["T", "T"], "cwd": "T", "total": 3,
    "created_at": "T", "waiting_for": "T", "waiting_until": "T", "max_parallel": "T", "model": "T",
    "host": "T", "n_denials": 3, "n_unsaved": 3, "n_kept": 3,
    "n_failed": 1, "n_succeeded": 1, "git_commit": "T",
    "parent_session_id": "T", "start_time": 1, "end_time": 2, "permissions": "T",
}  # fmt: skip
_OPTIONS = {"permissions": "T", "allow": ["T"], "check": "T", "setup": "T", "model": "T", "T": "T"}
_RECORD = {
    "stage": "T", "worktree": "T", "branch": "T", "common_dir": "T", "admin_dir": "T",
    "base": "T", "notes": ["T"],
}  # fmt: skip


def filled(value: Any, text: str) -> Any:
    """A value of JSON in which each "T" is the text."""
    if isinstance(value, dict):
        return {filled(name, text): filled(one, text) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, text) for one in value]
    return text if value == "T" else value


def write_results(results: Path, text: str) -> list[str]:
    """Writes sessions whose every field is the text; returns their folders' names."""
    ids = [f"0000000{number}{as_name(text)}" for number in range(4)]
    _write_session(results / f"session-{ids[0]}", text, {"schema_version": 1}, "completed")
    _write_session(results / f"session-{ids[1]}", text, {"schema_version": 1}, "running")
    _write_session(results / f"session-{ids[2]}", text, {}, "error")
    (results / f"session-{ids[3]}").mkdir()  # without a file in it
    return ids


def _write_session(folder: Path, text: str, more: dict[str, Any], overall: str) -> None:
    folder.mkdir(parents=True)
    ends = [
        {"state": "ended", "status": "completed", "success": 1, "outcome": "succeeded"},
        {"state": "ended", "status": "completed", "success": 0, "outcome": "failed", "reason": "T"},
        {"state": "running", "status": "running", "success": 0},
    ]
    names = [f"{as_name(text)}{number}" for number in range(len(ends))]
    tasks = [
        {**_TASK, **end, "transaction_id": name} for name, end in zip(names, ends, strict=True)
    ]
    head = {**_HEAD, **more, "overall_status": overall}
    asked = {**_HEAD, **more, "options": _OPTIONS, "claude_path": "/T", "env_names": ["T"]}
    files: dict[str, Any] = {
        "status.json": {**head, "tasks": tasks},
        "session.json": {
            **asked,
            "tasks": [{"id": n, "prompt": "T", "options": {}} for n in names],
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(filled(value, text)))
    (folder / "runner.lock").touch()
    stream = "".join(json.dumps(filled(event, text)) + "\n" for event in _EVENTS)
    for name in names:
        (folder / f"task-{name}.jsonl").write_text(stream)
        (folder / f"task-{name}.worktree.json").write_text(json.dumps(filled(_RECORD, text)))
        for ending in (".txt", ".err", ".patch"):
            (folder / f"task-{name}{ending}").write_bytes(text.encode("utf-8", "replace"))
