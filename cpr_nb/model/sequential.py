"""Pairs of one level and its baseline, in an order drawn before, until their difference is decided.

Pure. The runner decides with it, and the tests simulate with it.
"""

from __future__ import annotations

from cpr_nb.model.betting import Wealth, bar, interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BETTER = "better"
WORSE = "worse"
NO_DIFFERENCE = "no_difference"
#: What can be decided about a level.
VERDICTS = (BETTER, WORSE, NO_DIFFERENCE)

ROWS_LIKE_THESE = "rows like these"
THIS_TABLE = "this table"
#: What a decision can speak of.
SCOPES = (ROWS_LIKE_THESE, THIS_TABLE)


class SequentialTest:
    """Looks at the difference after every pair, as often as it likes, and errs in ``alpha`` of all.

    Once it has decided, no later pair changes that, or enters the interval.

    Args:
        n_rows: How many rows there are in all.
        alpha: How often it may be wrong.
        delta: A difference smaller than this one does not matter, in the unit of the differences
            (-1 to 1). None: it only asks which one is better.
        scope: What it speaks of: rows like these, or only the rows of this table.

    Attributes:
        verdict: What is decided, one of `VERDICTS`; empty before.
        differences: The pairs that entered, in their order.
        n_lost: The rows before or between them of which there is no pair.

    Example:
        >>> test = SequentialTest(100)
        >>> for _ in range(30):
        ...     test.add(0.5)
        >>> test.verdict, test.n_pairs
        ('better', 15)
    """

    def __init__(
        self,
        n_rows: int,
        alpha: float = 0.05,
        delta: float | None = None,
        scope: str = ROWS_LIKE_THESE,
    ) -> None:
        self._n_rows = n_rows
        self._alpha = alpha
        self._delta = delta
        self._is_table = scope == THIS_TABLE
        self.verdict = ""
        self.differences: list[float] = []
        self.n_lost = 0
        self._bet()

    def _bet(self) -> None:
        """Bets on the pairs so far, against each mean that a verdict must leave out."""
        n_rows = self._n_in_table
        self._zero = Wealth(0.0, n_rows)
        self._low = None if self._delta is None else Wealth(-self._delta, n_rows)
        self._high = None if self._delta is None else Wealth(self._delta, n_rows)
        for difference in self.differences:
            self._add_to_each(difference)

    @property
    def _n_in_table(self) -> int | None:
        return self._n_rows - self.n_lost if self._is_table else None

    @property
    def n_pairs(self) -> int:
        """How many pairs entered."""
        return len(self.differences)

    @property
    def mean(self) -> float | None:
        """The mean difference of the pairs; None before the first."""
        return sum(self.differences) / self.n_pairs if self.differences else None

    def add(self, difference: float) -> None:
        """The next row's pair: its mean under the level, minus that under the baseline.

        Args:
            difference: From -1 to 1.
        """
        if not self.verdict:
            self.differences.append(difference)
            self._add_to_each(difference)
            self.verdict = self._verdict()

    def lose(self) -> None:
        """The next row has no pair: what it would have had is not known, and never will be."""
        if not self.verdict:
            self.n_lost += 1
            if self._is_table:  # it is a smaller table
                self._bet()
                self.verdict = self._verdict()

    def interval(self) -> tuple[float, float]:
        """The means that no look so far has left out."""
        if self._n_in_table == 0:
            return -1.0, 1.0
        return interval(self.differences, alpha=self._alpha, n_rows=self._n_in_table)

    def _wealths(self) -> Iterator[Wealth]:
        for wealth in (self._zero, self._low, self._high):
            if wealth is not None:
                yield wealth

    def _add_to_each(self, difference: float) -> None:
        for wealth in self._wealths():
            wealth.add(difference)

    def _verdict(self) -> str:
        limit = bar(self._alpha)
        if self._zero.most_up >= limit:
            return BETTER
        if self._zero.most_down >= limit:
            return WORSE
        if self._low is not None and self._high is not None:
            is_near = self._low.most_up >= limit and self._high.most_down >= limit
            return NO_DIFFERENCE if is_near else ""
        return ""
