"""What is known from outside of the default number of tasks at once, which follows measurements."""

from __future__ import annotations

from testkit.task_book import Book


class LevelBook:
    """The part of the book that knows how many tasks may run at once."""

    books: list[Book]
    max_parallel: int
    window: float | None
    answered_at: float

    def begin_level(self, first_parallel: int | None) -> None:
        self.first = self.level = first_parallel  # None: someone has set how many run
        self.levels = (first_parallel, first_parallel)  # what it may be now: from, to

    @property
    def n_active(self) -> int:
        return sum(book.active for book in self.books)

    def check_level(self) -> None:
        """It follows what was measured, and nothing else."""
        low, high = self.levels
        if self.level is not None:
            assert low <= self.level <= high, f"{self.level} at once, not {low} to {high}"
        self.levels = self.level, self.level

    def measured(self, busy_share: float, n_more: int) -> None:
        level = self.level
        if level is None or self.first is None or self.answered_at < 0:
            return
        if self.window is not None and self.window < level:
            return  # what the API bears is what counts
        low = high = level
        if busy_share > 0.97:
            low = high = max(self.first, min(level - 1, level - level // 8))
        elif busy_share < 0.7 and self.n_active >= level:
            high = min(level + max(1, level // 2), self.max_parallel, self.n_active + n_more)
            low, high = min(level + 1, high), max(level, high)
            low = max(level, low)
        self.levels = low, high
