"""Which tasks are about the same row of a frame, or the same prompt of a launch."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def prompt_rows(specs: Sequence[Mapping[str, Any]]) -> list[int]:
    """The number of each task's row, from 0.

    Args:
        specs: What session.json says of each task: ``row`` and ``factors``, as far as it has them.

    Example:
        >>> prompt_rows([{"row": 4}, {"row": 4}, {"row": 0}])
        [4, 4, 0]
        >>> levels = {"factors": {"model": "opus"}}, {"factors": {"model": "haiku"}}
        >>> prompt_rows([*levels, *levels])
        [0, 0, 1, 1]
        >>> prompt_rows([{}, {}])
        [0, 1]
    """
    if all(type(spec.get("row")) is int for spec in specs):
        return [spec["row"] for spec in specs]
    # Those of one prompt follow each other, one for each combination of the factors.
    n_levels = max(1, len({repr(spec.get("factors")) for spec in specs}))
    return [number // n_levels for number in range(len(specs))]
