"""Whole numbers in few bytes, without the module array, which loads collections."""

from __future__ import annotations

_BYTES = 8


class Numbers:
    """A list of whole numbers from 0 that only grows, in 8 bytes each.

    Example:
        >>> numbers = Numbers()
        >>> numbers.append(7)
        >>> numbers[0], len(numbers)
        (7, 1)
    """

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, number: int) -> None:
        """Adds a number."""
        self._data += number.to_bytes(_BYTES, "little")

    def __len__(self) -> int:
        return len(self._data) // _BYTES

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return int.from_bytes(self._data[index * _BYTES : (index + 1) * _BYTES], "little")
