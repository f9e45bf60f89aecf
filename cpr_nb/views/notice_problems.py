"""The notices of a session that could not be sent, as lines that every interface shows."""

from __future__ import annotations

import os

from cpr_nb.model.json_values import integer, text_or_none
from cpr_nb.model.quick_json import loads
from cpr_nb.model.text import one_line
from cpr_nb.store.files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.layout import SessionPaths


def notice_warnings(paths: SessionPaths) -> list[str]:
    """The notices that were given up, one line each.

    Args:
        paths: The session's paths.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> notice_warnings(SessionPaths("/no/such/session-1"))
        []
    """
    try:
        names = sorted(os.listdir(paths.notices))
    except OSError:
        return []
    kinds = [name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl")]
    return [line for kind in kinds if (line := _problem(kind, _last(paths.notice(kind))))]


def _problem(kind: str, last: dict[str, Any]) -> str:
    if last.get("event") != "gave_up":
        return ""
    why = text_or_none(last.get("error")) or "unknown"
    tries = f" ({n} tries)" if (n := integer(last.get("n_tries")) or 1) > 1 else ""
    return one_line(f"the notice {kind} was not sent: {why}{tries}")


def _last(path: str) -> dict[str, Any]:
    """The last whole line of a notice's file; empty if there is none."""
    try:
        lines = read_file(path).split(b"\n")
        last = loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return last if isinstance(last, dict) else {}
