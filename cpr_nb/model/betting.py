"""A confidence sequence for the mean difference of pairs: valid however often one looks. Pure.

Eight fixed stakes bet that the mean is larger than a supposed one, and eight that it is smaller. A
supposed mean is left out once the mean wealth of one side has reached ``2 / alpha`` (Ville's
inequality; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting").
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What each bet puts at stake. Their mean needs no tuning, and has no parameter to be chosen later.
STAKES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_LOG_N_STAKES = math.log(len(STAKES))
_ALMOST_0 = 1e-9
#: Halvings of the interval from -1 to 1: its ends are exact to a ten millionth.
_STEPS = 26


class Wealth:
    """The bets against one supposed mean of the differences.

    Args:
        mean: The supposed mean, from -1 to 1.
        n_rows: How many rows the table has, if only they count (each of them once); None for the
            mean over all rows like these.

    Attributes:
        log_up: The log of the mean wealth of those who bet that the true mean is larger.
        log_down: The same of those who bet that it is smaller.
        most_up: The largest ``log_up`` so far; it never falls again.
        most_down: The same of ``log_down``.

    Example:
        >>> wealth = Wealth(0.0)
        >>> wealth.add(1.0)
        >>> round(wealth.log_up, 3), round(wealth.log_down, 3)
        (0.302, -0.435)
    """

    __slots__ = (
        *("_down", "_n", "_n_rows", "_sum", "_supposed", "_up"),
        *("log_down", "log_up", "most_down", "most_up"),
    )

    def __init__(self, mean: float, n_rows: int | None = None) -> None:
        self._supposed = (mean + 1) / 2
        self._n_rows = n_rows
        self._n = 0
        self._sum = 0.0
        self._up = [0.0] * len(STAKES)
        self._down = [0.0] * len(STAKES)
        self.log_up = self.log_down = 0.0
        self.most_up = self.most_down = 0.0

    def add(self, difference: float) -> None:
        """Bets on another pair: what its row has under one level minus under the baseline."""
        value = (difference + 1) / 2
        supposed = min(max(self._mean_of_the_rest(), _ALMOST_0), 1 - _ALMOST_0)
        gain_up, gain_down = value / supposed - 1, (1 - value) / (1 - supposed) - 1
        for number, stake in enumerate(STAKES):
            self._up[number] += math.log1p(stake * gain_up)
            self._down[number] += math.log1p(stake * gain_down)
        self._n += 1
        self._sum += value
        self.log_up, self.log_down = _log_mean(self._up), _log_mean(self._down)
        self._settle_by_counting()
        self.most_up = max(self.most_up, self.log_up)
        self.most_down = max(self.most_down, self.log_down)

    def _mean_of_the_rest(self) -> float:
        """What the mean of the pairs to come would have to be."""
        if self._n_rows is None:
            return self._supposed
        return (self._n_rows * self._supposed - self._sum) / (self._n_rows - self._n)

    def _settle_by_counting(self) -> None:
        """Of a table, even the most extreme rest may no longer lead to the supposed mean."""
        if self._n_rows is None:
            return
        rest = self._n_rows * self._supposed - self._sum
        error = _ALMOST_0 * self._n_rows  # sums of tenths are not exact
        if rest < -error:
            self.log_up = math.inf
        if rest > self._n_rows - self._n + error:
            self.log_down = math.inf


def bar(alpha: float) -> float:
    """The log of the wealth at which a supposed mean is left out.

    Args:
        alpha: How often the true mean may be left out at any look; half of it on each side.

    Example:
        >>> round(bar(0.05), 3)
        3.689
    """
    return math.log(2 / alpha)


def interval(
    differences: Sequence[float], *, alpha: float = 0.05, n_rows: int | None = None
) -> tuple[float, float]:
    """The means that no look so far has left out.

    Args:
        differences: One a pair, from -1 to 1, in the order that was drawn before.
        alpha: How often the true mean may be left out at any look.
        n_rows: How many rows the table has, if only they count; None for all rows like these.

    Returns:
        The lowest and the highest of them.

    Example:
        >>> [round(end, 2) for end in interval([1, 0, 1, 1, 0, 1, 1, 1] * 4)]
        [0.41, 0.92]
        >>> interval([0.0, 0.5], n_rows=2)
        (0.25, 0.25)
    """
    if n_rows is not None and len(differences) == n_rows:  # nothing is left to bet on
        mean = sum(differences) / n_rows
        return mean, mean
    limit = bar(alpha)
    low = _last_shown(-1.0, lambda mean: _is_shown(mean, differences, n_rows, limit)[0])
    high = _last_shown(1.0, lambda mean: _is_shown(mean, differences, n_rows, limit)[1])
    return low, high


def _is_shown(
    mean: float, differences: Sequence[float], n_rows: int | None, limit: float
) -> tuple[bool, bool]:
    """Whether a supposed mean is shown to be too small, and whether it is shown to be too large."""
    wealth = Wealth(mean, n_rows)
    for difference in differences:
        wealth.add(difference)
    return wealth.most_up >= limit, wealth.most_down >= limit


def _last_shown(start: float, is_shown: Callable[[float], bool]) -> float:
    """The mean farthest from one end of the range that is left out from that side."""
    shown, open_ = start, -start
    for _ in range(_STEPS):
        middle = (shown + open_) / 2
        if is_shown(middle):
            shown = middle
        else:
            open_ = middle
    return shown


def _log_mean(logs: Sequence[float]) -> float:
    """The log of the mean of numbers that are given by their logs."""
    most = max(logs)
    if math.isinf(most):
        return most
    return most + math.log(sum(math.exp(log - most) for log in logs)) - _LOG_N_STAKES
