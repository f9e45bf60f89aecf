"""Finds what has the wrong type in a session.json: whoever trusts a session may have edited it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cpr_nb.model.destinations import kept_destination
from cpr_nb.model.options import OPTIONS, Option
from cpr_nb.model.scores import score_number
from cpr_nb.model.text import one_line


class _Kind(NamedTuple):
    """What a value must be: in words, and as a function."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e12


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _count(minimum: int, maximum: int | None = None) -> _Kind:
    words, most = f"a whole number from {minimum}", 10**12
    if maximum is not None:
        words, most = f"{words} to {maximum}", maximum
    return _Kind(words, lambda value: type(value) is int and minimum <= value <= most)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_TEXTS = _Kind("a list of texts", _are_texts)
_FLAG = _Kind("true or false", lambda value: isinstance(value, bool))
_NUMBER = _Kind("a number above 0", _is_number)
_OBJECT = _Kind("an object", lambda value: isinstance(value, dict))
_SETTING = _Kind("a text or an object", lambda value: isinstance(value, str | dict | list))
_OF_OPTIONS = {
    **dict.fromkeys(("text", "command", "folder", "executor", "moment"), _TEXT),
    **dict.fromkeys(("rules", "arguments", "folders", "tools"), _TEXTS),
    **dict.fromkeys(("seconds", "usd", "share"), _NUMBER),
    **dict.fromkeys(("system_prompt", "agents", "mcp_servers", "settings"), _SETTING),
    "flag": _FLAG,
    "notice": _Kind("a kept destination", lambda value: kept_destination(value) is not None),
    "schema": _OBJECT,
    "env": _OBJECT,
}
#: What may be missing or null has the type of a launch otherwise.
_SESSION = {
    **dict.fromkeys(("session_id", "name", "created_at", "cwd", "claude_path", "executor"), _TEXT),
    **dict.fromkeys(("claude_version", "parent_session_id", "identity", "mark"), _TEXT),
    **dict.fromkeys(("env_names", "warnings"), _TEXTS),
    "start_time": _count(0),
    "max_parallel": _count(0),
    "first_parallel": _count(1),
    "login_wait_s": _NUMBER,
    "own_environment": _FLAG,
    **dict.fromkeys(("options", "cluster", "after", "score", "grade", "grading"), _OBJECT),
    "best_of": _OBJECT,
}
_TASK = {
    **dict.fromkeys(("id", "prompt", "follows"), _TEXT),
    **dict.fromkeys(("options", "parent", "checkout", "factors", "input", "grades"), _OBJECT),
    "env_names": _TEXTS,
    "row": _count(0),
}
_SCORE_NUMBER = _Kind("a number", lambda value: score_number(value) is not None)
_SCORE = {
    **dict.fromkeys(("kind", "name"), _TEXT),
    **dict.fromkeys(("minimum", "maximum"), _SCORE_NUMBER),
}
_PARTS = {
    "parent": {"session_id": _TEXT, "task_id": _TEXT},
    "input": {"session_id": _TEXT, "task_id": _TEXT},
    "grades": {"session_id": _TEXT, "task_id": _TEXT},
    "checkout": {"current_branch": _TEXT, "base": _TEXT},
}


def wrong_types(spec: Mapping[str, Any]) -> Iterator[str]:
    """What of a spec has a type that no launch writes, in words.

    What is missing is not looked for, and options that this version does not know are left alone.

    Args:
        spec: The content of session.json.

    Example:
        >>> list(wrong_types({"cwd": 5, "tasks": [{"options": {"timeout_s": "1"}}]}))
        ['cwd is 5, not a text', "tasks[0].options.timeout_s is '1', not a number above 0"]
    """
    yield from _wrong_fields(spec, _SESSION, "")
    yield from _wrong_options(spec, "")
    if isinstance(spec.get("score"), dict):
        yield from _wrong_fields(spec["score"], _SCORE, "score.")
    if isinstance(spec.get("grade"), dict):
        texts = dict.fromkeys(("rubric", "model", "session_id"), _TEXT)
        yield from _wrong_fields(spec["grade"], texts, "grade.", needed=True)
    if isinstance(spec.get("best_of"), dict):
        counts = {"n": _count(2), "at_once": _count(1)}
        yield from _wrong_fields(spec["best_of"], counts, "best_of.", needed=True)
        yield from _wrong_fields(spec["best_of"], {"full_mark": _SCORE_NUMBER}, "best_of.")
    tasks = spec.get("tasks")
    for number, task in enumerate(tasks if isinstance(tasks, list) else ()):
        where = f"tasks[{number}]."
        if isinstance(task, dict):
            yield from _wrong_fields(task, _TASK, where)
            yield from _wrong_options(task, where)
            for name, kinds in _PARTS.items():
                part = task.get(name)
                if isinstance(part, dict):
                    yield from _wrong_fields(part, kinds, f"{where}{name}.", needed=True)


def _wrong_options(fields: Mapping[str, Any], where: str) -> Iterator[str]:
    options = fields.get("options")
    if isinstance(options, dict):
        kinds = {name: _kind(OPTIONS[name]) for name in options if name in OPTIONS}
        yield from _wrong_fields(options, kinds, f"{where}options.", needed=True)


def _kind(option: Option) -> _Kind:
    if option.kind == "count":
        return _count(option.minimum, option.maximum)
    if option.kind == "choice":
        return _Kind(f"one of {', '.join(option.choices)}", lambda value: value in option.choices)
    return _OF_OPTIONS[option.kind]


def _wrong_fields(
    fields: Mapping[str, Any], kinds: Mapping[str, _Kind], where: str, *, needed: bool = False
) -> Iterator[str]:
    for name, kind in kinds.items():
        value = fields.get(name)
        if not kind.fits(value) and (needed or value is not None):
            yield f"{where}{name} is {one_line(repr(value), 40)}, not {kind.words}"
