"""The tool calls that were denied to a task, from its stream."""

from __future__ import annotations

from cpr_nb.model.denials import denials_of
from cpr_nb.model.events import RunFacts
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_denials(stream_path: str) -> list[dict[str, Any]]:
    """Reads which tool calls an attempt was denied.

    Args:
        stream_path: The attempt's stream.

    Returns:
        The denials; none if the stream can't be read.

    Example:
        >>> read_denials("/no/such/stream")
        []
    """
    facts = RunFacts()
    try:
        with open_regular(stream_path) as stream:
            for line in stream:
                if b'"permission_denials"' in line:
                    facts.feed(line)
    except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
        pass
    return denials_of(facts.result)
