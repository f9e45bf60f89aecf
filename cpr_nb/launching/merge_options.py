"""Merges the options of several sessions into those of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpr_nb.model.errors import InputError
from cpr_nb.model.options import OPTIONS

#: Options of a session that a rerun of several sessions drops if they differ.
_NOT_SHARED = ("max_parallel", "name")


def merge_options(
    options: Mapping[str, Mapping[str, Any]], overriding: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The options of a session that reruns several: what they share, and what is each one's own.

    Args:
        options: Session → its options.
        overriding: Options that override those; ``env`` is merged already.

    Returns:
        The shared options, and for each session those that its tasks keep for themselves.

    Raises:
        InputError: If the sessions differ in an option that a session has only once.

    Example:
        >>> merge_options({"a": {"model": "opus"}, "b": {"model": "sonnet"}}, {})
        ({}, {'a': {'model': 'opus'}, 'b': {'model': 'sonnet'}})
    """
    shared: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {session: {} for session in options}
    for name in dict.fromkeys(name for session in options.values() for name in session):
        values = [session.get(name) for session in options.values()]
        if name in overriding and name != "env":
            continue
        if all(value == values[0] for value in values):
            shared[name] = values[0]
        elif name not in OPTIONS or OPTIONS[name].per_task:
            for session, session_options in options.items():
                if name in session_options:
                    own[session][name] = session_options[name]
        elif name not in _NOT_SHARED:
            raise InputError(f"the sessions have different values of {name}: give one", name)
    return {**shared, **{k: v for k, v in overriding.items() if k != "env"}}, own
