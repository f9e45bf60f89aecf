"""Values of JSON that anyone may have written: the number or text that they are, else None."""

from __future__ import annotations

_LARGEST = 1e15  # no figure comes near it, and sums stay finite


def number(value: object) -> float | None:
    """The value if it is a number of at least 0 that a float can hold, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= _LARGEST else None


def integer(value: object) -> int | None:
    """The value if it is a whole number of at least 0 that 64 bits can hold, else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < 1 << 63 else None


def text_or_none(value: object) -> str | None:
    """The value if it is a text, else None."""
    return value if isinstance(value, str) else None
