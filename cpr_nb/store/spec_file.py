"""session.json: the spec of a session, with all prompts in full."""

from __future__ import annotations

import json

from cpr_nb.store.files import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.files import Loads
    from cpr_nb.store.layout import SessionPaths


def read_spec(paths: SessionPaths, loads: Loads = json.loads) -> dict[str, Any]:
    """A session's spec: the content of session.json; empty for a legacy session."""
    return read_json(paths.session, loads)


def task_of(specs: object, index: int) -> dict[str, Any]:
    """What session.json says about one task, for whoever only shows it: anyone may have edited it.

    Args:
        specs: Its tasks.
        index: The task, from 0.

    Returns:
        Its fields; empty if there is none. What is not an object, and must be one, is left out.

    Example:
        >>> task_of([{"id": "a", "options": 5}], 0)
        {'id': 'a'}
    """
    spec = specs[index] if isinstance(specs, list) and index < len(specs) else None
    if not isinstance(spec, dict):
        return {}
    objects = ("options", "factors", "parent", "checkout", "input", "grades")
    return {k: v for k, v in spec.items() if k not in objects or isinstance(v, dict)}


def is_complete(spec: dict[str, Any]) -> bool:
    """Whether a spec has everything that is needed to run its tasks (again)."""
    texts = ("session_id", "cwd", "claude_path")
    return (
        all(isinstance(spec.get(name), str) for name in texts)
        and isinstance(spec.get("options"), dict)
        and isinstance(spec.get("max_parallel"), int)
        and _are_names(spec.get("env_names", []))
        and isinstance(spec.get("tasks"), list)
        and bool(spec["tasks"])
        and all(_is_task(task) for task in spec["tasks"])
    )


def _is_task(task: object) -> bool:
    return (
        isinstance(task, dict)
        and isinstance(task.get("id"), str)
        and isinstance(task.get("prompt"), str)
        and isinstance(task.get("options", {}), dict)
        and _are_names(task.get("env_names", []))
    )


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)
