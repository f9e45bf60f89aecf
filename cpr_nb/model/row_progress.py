"""How far a row of a session is: what its tasks have used so far, and whether they have ended."""

from __future__ import annotations

from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class RowProgress(NamedTuple):
    """A row of which a task has begun; what is unknown is None.

    Attributes:
        cost_usd: What its tasks have cost so far, in US dollars.
        n_tokens: Their tokens so far.
        task_s: How long each task that has begun has run, in seconds.
        n_running: How many of its tasks run.
        n_waiting: How many have not begun.
        is_failed: Whether one of them failed.
        is_denied: Whether one of them asked for something that was denied.
        is_missing: Whether one of them ended in a way that says nothing about the row: the network
            was away, or somebody cancelled it.
    """

    cost_usd: float | None = None
    n_tokens: int | None = None
    task_s: Sequence[float] = ()
    n_running: int = 0
    n_waiting: int = 0
    is_failed: bool = False
    is_denied: bool = False
    is_missing: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether all its tasks have ended."""
        return not (self.n_running or self.n_waiting)


class SessionProgress(NamedTuple):
    """The rows of a session at one moment.

    Attributes:
        rows: Those of which a task has begun, in the order in which they began.
        n_more: How many rows have not begun, and will or may.
        tasks_per_row: How many tasks a row has.
        n_slots: How many tasks run at once.
        spent_usd: What all tasks have cost so far, also those whose rows are missing.
        n_tokens: All tokens so far.
        elapsed_s: How long tasks have run so far; times when none ran do not count.
        is_held: Whether the rows that have not begun wait for `Session.run_rest`.
    """

    rows: Sequence[RowProgress]
    n_more: int
    tasks_per_row: int
    n_slots: int
    spent_usd: float
    n_tokens: int
    elapsed_s: float
    is_held: bool = False

    @property
    def ended(self) -> list[RowProgress]:
        """The rows that have ended, and that say something about others."""
        return [row for row in self.rows if row.has_ended and not row.is_missing]

    @property
    def running(self) -> list[RowProgress]:
        """The rows that have begun and not ended."""
        return [row for row in self.rows if not row.has_ended]

    @property
    def n_missing(self) -> int:
        """How many rows have ended without saying anything about others."""
        return sum(row.has_ended and row.is_missing for row in self.rows)

    @property
    def n_rows(self) -> int:
        """How many rows there are, begun or not."""
        return len(self.rows) + self.n_more
