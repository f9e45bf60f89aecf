"""Merges the options of several sessions into those of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpr_nb.model.errors import InputError
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.states import NOTICES

#: Options of a session that a rerun of several sessions drops if they differ.
#: What belongs to the executor of a session.
OF_NODES = ("nodes", "slots", "lease_s")
_NOT_SHARED = ("max_parallel", "name", "nice", "executor", *OF_NODES, *NOTICES)


def merge_options(
    options: Mapping[str, Mapping[str, Any]], overriding: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The options of a session that reruns several: what they share, and what is each one's own.

    Args:
        options: Session → its options.
        overriding: Options that override those; ``env`` is already merged.

    Returns:
        The shared options, and for each session those that its tasks keep for themselves.

    Raises:
        InputError: If the sessions differ in an option that a session has only once.

    Example:
        >>> merge_options({"a": {"model": "opus"}, "b": {"model": "sonnet"}}, {})
        ({}, {'a': {'model': 'opus'}, 'b': {'model': 'sonnet'}})
    """
    shared = {name: value for name, value in overriding.items() if name != "env"}
    own: dict[str, dict[str, Any]] = {session: {} for session in options}
    names = dict.fromkeys(name for session in options.values() for name in session)
    for name in names:
        if name in overriding and name != "env":
            continue
        values = {key: session[name] for key, session in options.items() if name in session}
        if len(values) == len(options) and _all_equal(list(values.values())):
            shared[name] = next(iter(values.values()))
        elif name not in OPTIONS or OPTIONS[name].per_task:
            for session, value in values.items():
                own[session][name] = value
        elif name not in _NOT_SHARED:
            raise InputError(f"the sessions have different values of {name}: pass one", name)
    return shared, own


def _all_equal(values: list[Any]) -> bool:
    return all(value == values[0] for value in values)
