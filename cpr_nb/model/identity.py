"""What was asked, as a hash: whether two launches ask for the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpr_nb.model.spec import TaskSpec

#: What the same work may be called, and how much of it may be done at once.
_NO_MATTER = ("name", "max_parallel")
_RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def of_tasks(tasks: Iterable[TaskSpec], options: Mapping[str, Any]) -> str:
    """The identity of a launch or a map: its prompts and options.

    Args:
        tasks: The tasks; ids that nobody gave them don't count.
        options: The session's options, checked.

    Example:
        >>> from cpr_nb.model.spec import check_tasks
        >>> one, two = (of_tasks(check_tasks(["fix it"]), {"model": "opus"}) for _ in range(2))
        >>> one == two
        True
    """
    told = []
    for task in tasks:
        own_id = None if _RANDOM_ID.fullmatch(task.task_id) else task.task_id
        origin = [task.origin.get(name) for name in ("row", "factors")]
        told.append([own_id, task.prompt, _public(task.options), origin])
    return _hash("tasks", _public(options), told)


def of_request(options: Mapping[str, Any]) -> str:
    """The identity of a retry or a follow-up, but for its tasks.

    Args:
        options: The options that go before the old ones, checked.

    Example:
        >>> of_request({"model": "opus", "name": "a"}) == of_request({"model": "opus"})
        True
    """
    return _hash("request", _public(options))


def of_words(words: str) -> str:
    """The identity of what is said in a follow-up.

    Example:
        >>> of_words("go on") == of_words("Go on")
        False
    """
    return _hash(words)


def _public(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options without what does not matter, and without values that are never stored."""
    shown = {name: value for name, value in options.items() if name not in _NO_MATTER}
    return {**shown, "env": sorted(options.get("env", {}))}


def _hash(*parts: object) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
