"""The lines of a transcript are a tree: which of them are the conversation as it stands."""

from __future__ import annotations

from typing import Any

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]

_UUID_CHARS = 36
# The first 16 hexadecimal digits of a UUID: 64 bits tell the lines of a machine apart.
_PLACES = [n for n in range(_UUID_CHARS) if n not in (8, 13, 18, 23)][:16]
_DIGITS = np.full(256, 255, np.uint8)
for _number, _digit in enumerate(b"0123456789abcdef"):
    _DIGITS[_digit] = _number


def line_keys(uuids: list[str | None]) -> Integers:
    """The UUIDs of lines as numbers; 0 for none.

    Example:
        >>> line_keys(["00000000-0000-0001-8000-000000000000", None]).tolist()
        [1, 0]
    """
    present = [uuid or _NONE for uuid in uuids]
    if present and set(map(len, present)) == {_UUID_CHARS}:
        text = "".join(present)
        if text.isascii():
            characters = np.frombuffer(text.encode(), np.uint8).reshape(-1, _UUID_CHARS)
            digits = _DIGITS[characters[:, _PLACES]]
            if not (digits == 255).any():
                packed = np.ascontiguousarray(digits[:, ::2] << 4 | digits[:, 1::2])
                return packed.view(">u8").reshape(-1).astype(np.uint64).view(np.int64)
    return np.array([_odd_key(uuid) for uuid in uuids], np.int64)


_NONE = "-".join("0" * n for n in (8, 4, 4, 4, 12))


def _odd_key(uuid: str | None) -> int:
    """The number of an identifier that is no UUID in the usual form."""
    if not uuid:
        return 0
    from hashlib import blake2b

    digest = blake2b(uuid.lower().encode("utf-8", "replace"), digest_size=8).digest()
    digits = uuid.replace("-", "").lower()
    try:
        number = int(digits[:16], 16) if len(digits) == 32 else int.from_bytes(digest)
    except ValueError:
        number = int.from_bytes(digest)
    return number - (1 << 64) if number >= 1 << 63 else number


def current_lines(keys: Integers, parents: Integers, leaf: int) -> np.ndarray[Any, Any]:
    """Which lines lead from the beginning of a conversation to its end.

    Args:
        keys: The lines of a file, in order.
        parents: The line that each follows; 0 for a first one.
        leaf: The index of the last line of the conversation; -1 if there is none.

    Returns:
        A boolean for each line.

    Example:
        >>> current_lines(np.array([1, 2, 3]), np.array([0, 1, 1]), 2).tolist()
        [True, False, True]
    """
    is_current = np.zeros(len(keys), bool)
    if leaf < 0:
        return is_current
    order = np.argsort(keys, kind="stable")
    places = np.searchsorted(keys[order], parents).clip(max=len(keys) - 1)
    before = order[places]
    # A line whose parent is in no line of the file follows the line before it.
    before = np.where(keys[before] == parents, before, np.arange(len(keys)) - 1)
    before[parents == 0] = -1
    steps, index = before.tolist(), leaf
    seen = bytearray(len(keys))
    while index >= 0 and not seen[index]:
        seen[index] = 1
        index = steps[index]
    is_current[:] = np.frombuffer(seen, np.uint8)
    return is_current
