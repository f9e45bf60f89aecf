"""How many tasks run at once where nobody said so: few at first, more while they mostly wait. Pure.

The start of a CLI takes half a second of a core. While tasks are short, more of them at once than
the cores carry only makes each one slower; while they wait for the API, the cores have nothing to
do. So the number begins with what the cores carry, and then follows how busy they are.
"""

from __future__ import annotations

from cpr_nb.model.record import AT_FIRST

#: The cores are not busy below this share, and more tasks may run.
NOT_BUSY = 0.7
#: Above this share they are too busy, and fewer tasks run by and by.
TOO_BUSY = 0.97
#: How busy the cores are to be.
GOAL = 0.85

WAITING = "tasks wait for the API"
BUSY = "the cores are busy"
MEMORY = "no more memory is free"
MOST = "the most by default"


class Growth:
    """The number of tasks that run at once by default.

    Args:
        first: The number at first; it never gets smaller.
        most: The largest number.

    Attributes:
        level: The number now.
        why: Why it is not another one, in words.

    Example:
        >>> growth = Growth(4, 16)
        >>> growth.measured(0.1, n_active=4, n_more=100)
        >>> growth.level, growth.why
        (6, 'tasks wait for the API')
    """

    __slots__ = ("_first", "_most", "level", "why")

    def __init__(self, first: int, most: int) -> None:
        self._first, self._most = first, max(first, most)
        self.level, self.why = first, AT_FIRST

    def measured(self, busy_share: float, *, n_active: int, n_more: int) -> None:
        """Follows how busy the cores are. Only while tasks wait for a place.

        Args:
            busy_share: How much of the time the cores were busy: 0 to 1.
            n_active: How many tasks run.
            n_more: For how many more there is memory.
        """
        if busy_share > TOO_BUSY and self.level > self._first:
            self.level = max(self._first, self.level - max(1, self.level // 8))
            self.why = BUSY
        elif busy_share >= NOT_BUSY:
            self.why = BUSY
        elif n_active >= self.level:  # else the number is not what holds tasks back
            self._grow(busy_share, n_active, n_more)

    def _grow(self, busy_share: float, n_active: int, n_more: int) -> None:
        by_cores = n_active * GOAL / max(busy_share, 0.01)
        wanted = min(self.level + max(1, self.level // 2), max(int(by_cores), self.level + 1))
        limits = ((wanted, WAITING), (self._most, MOST), (n_active + n_more, MEMORY))
        level, why = min(limits)
        self.level, self.why = max(self.level, level), why
