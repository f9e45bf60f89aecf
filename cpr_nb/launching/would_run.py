"""What a session would run, in words for the person who decides whether to trust it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cpr_nb.model.scores import FUNCTION
from cpr_nb.model.text import one_line
from cpr_nb.store.authorship import Authorship

#: The options that can run or allow something, in the order in which they are shown.
_OPTIONS = (
    "executor",
    "permissions",
    "check",
    "setup",
    "allow",
    "tools",
    "claude_args",
    "settings",
    "agents",
    "mcp_servers",
    "add_dirs",
    "worktree_dir",
)
_LABELS = ("claude", *_OPTIONS, "score", "in")
#: Options whose values are commands or arguments: in quotes.
_QUOTED = ("check", "setup", "claude_args")
_MOST_FOLDERS = 6
_NAMED_SESSIONS = 3

#: What is shown of a value, such as ``check 'make test'`` → the ids of the sessions that have it.
_Found = dict[str, list[str]]


def what_runs(spec: Mapping[str, Any]) -> str:
    """What the tasks of a session would run, on one line.

    Args:
        spec: Its session.json.

    Example:
        >>> what_runs({"claude_path": "claude", "cwd": "/shop", "options": {}, "tasks": [{}]})
        '1 task: claude claude · permissions edits · in /shop'
    """
    tasks = _tasks(spec)
    parts: dict[str, _Found] = {}
    _add(parts, spec, "")
    n_tasks = f"{len(tasks)} task" if len(tasks) == 1 else f"{len(tasks)} tasks"
    return f"{n_tasks}: {_joined({label: list(values) for label, values in parts.items()})}"


def what_all_run(sessions: Iterable[tuple[str, Authorship]]) -> str:
    """What the tasks of several sessions would run, on one line, with how many run each of it.

    Args:
        sessions: The id of each, and what it would run.
    """
    parts: dict[str, _Found] = {}
    for session_id, authorship in sessions:
        _add(parts, authorship.spec, session_id[:8])
    return _joined(
        {
            label: [f"{value} ({_who(ids)})" for value, ids in values.items()]
            for label, values in parts.items()
        }
    )


def _add(parts: dict[str, _Found], spec: Mapping[str, Any], session_id: str) -> None:
    """Adds what one session would run."""
    for label, value in dict.fromkeys(_values(spec)):
        ids = parts.setdefault(label, {}).setdefault(value, [])
        ids.append(session_id)


def _values(spec: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What is shown of a session: label and value, several values of a label where tasks differ."""
    yield "claude", _plain(spec.get("claude_path"))
    every = [{**_dict(spec.get("options")), **_dict(t.get("options"))} for t in _tasks(spec)]
    for name in _OPTIONS:
        for options in every:
            value = _permissions(options) if name == "permissions" else options.get(name)
            if value not in (None, [], {}, ""):
                yield name, _shown(name, value)
    score = _dict(spec.get("score"))
    if score.get("kind") == FUNCTION:
        yield "score", _whole(repr(score.get("name")))
    for options in every:
        yield "in", _plain(options.get("cwd", spec.get("cwd")))


def _permissions(options: Mapping[str, Any]) -> Any:
    if options.get("light") is True:
        return "read (light: no tools)"
    return options.get("permissions", "edits")


def _shown(name: str, value: Any) -> str:
    if name in _QUOTED:
        values = value if isinstance(value, list) else [value]
        return " ".join(_whole(repr(one)) for one in values)
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _whole(", ".join(value))
    return _whole(value if isinstance(value, str) else json.dumps(value, default=repr))


def _whole(text: str) -> str:
    """A value on one line, and all of it: its end could be what matters."""
    return one_line(text, len(text) + 1)


def _who(ids: list[str]) -> str:
    return str(len(ids)) + (f": {', '.join(ids)}" if 0 < len(ids) < _NAMED_SESSIONS else "")


def _joined(parts: Mapping[str, list[str]]) -> str:
    """The values of each label, in the order of the labels."""
    texts = []
    for label in sorted(parts, key=_LABELS.index):
        # Whatever runs is shown, however much there is: the last one could be what matters.
        values = parts[label]
        n_more = len(values) - _MOST_FOLDERS if label == "in" else 0
        shown = values if n_more <= 0 else [*values[:_MOST_FOLDERS], f"and {n_more} more"]
        texts.append(f"{label} {', '.join(shown)}")
    return " · ".join(texts)


def _tasks(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    tasks = spec.get("tasks")
    return [_dict(task) for task in tasks] if isinstance(tasks, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
