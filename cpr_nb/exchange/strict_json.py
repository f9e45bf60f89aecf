"""JSON for other tools: a number that JSON does not know is null, and any text survives."""

from __future__ import annotations

import json
import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def strict_json(value: Any) -> str:
    """A value as JSON on one line, of ASCII.

    Python also writes and reads ``NaN`` and ``Infinity``, which other readers refuse.

    Args:
        value: What ``json`` can write.

    Example:
        >>> strict_json({"a": [1.5, float("nan")]})
        '{"a": [1.5, null]}'
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def known(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: what is unknown is left out.

    Example:
        >>> known(cost_usd=0.0, score=None)
        {'cost_usd': 0.0}
    """
    return {name: value for name, value in fields.items() if value is not None}
