"""The tool calls that were denied to a task, from its stream."""

from __future__ import annotations

from cpr_nb.model.denial_reasons import REASON_MARKS, denials_of
from cpr_nb.model.events import RunFacts
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARKS = (b'"permission_denials"', *REASON_MARKS)


def read_denials(stream_path: str) -> list[dict[str, Any]]:
    """Reads which tool calls an attempt was denied.

    Args:
        stream_path: The attempt's stream.

    Returns:
        The denials, with their reasons; none if the stream can't be read.

    Example:
        >>> read_denials("/no/such/stream")
        []
    """
    facts = RunFacts()
    try:
        with open_regular(stream_path) as stream:
            for line in stream:
                if any(mark in line for mark in _MARKS):
                    facts.feed(line)
    except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
        pass
    return denials_of(facts.result)
