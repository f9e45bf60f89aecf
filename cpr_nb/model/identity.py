"""The identity of a launch, as a hash: two launches with the same identity ask for the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpr_nb.model.spec import TaskSpec

#: Options that do not change the work: its name, how much runs at once, how long it may wait.
_IRRELEVANT = ("name", "max_parallel", "login_wait_s", "machine_wait_s")
_RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def of_tasks(tasks: Iterable[TaskSpec], options: Mapping[str, Any]) -> str:
    """The identity of a launch or a map: its prompts and options.

    Args:
        tasks: The tasks; random ids don't count.
        options: The session's options, checked.

    Example:
        >>> from cpr_nb.model.spec import check_tasks
        >>> one, two = (of_tasks(check_tasks(["fix it"]), {"model": "opus"}) for _ in range(2))
        >>> one == two
        True
    """
    rows = []
    for task in tasks:
        own_id = None if _RANDOM_ID.fullmatch(task.task_id) else task.task_id
        origin = [task.origin.get(name) for name in ("row", "factors")]
        rows.append([own_id, task.prompt, _relevant(task.options), origin])
    return _hash("tasks", _relevant(options), rows)


def of_request(options: Mapping[str, Any]) -> str:
    """The identity of a retry or a follow-up, without its tasks.

    Args:
        options: The options that override the old ones, checked.

    Example:
        >>> of_request({"model": "opus", "name": "a"}) == of_request({"model": "opus"})
        True
    """
    return _hash("request", _relevant(options))


def of_words(words: str) -> str:
    """The identity of a follow-up's prompt.

    Example:
        >>> of_words("go on") == of_words("Go on")
        False
    """
    return _hash(words)


def _relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without irrelevant ones, and without values that are never stored."""
    shown = {name: value for name, value in options.items() if name not in _IRRELEVANT}
    return {**shown, "env": sorted(options.get("env", {}))}


def _hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
