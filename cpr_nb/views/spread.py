"""How a figure of tasks is spread, such as their duration, also while many of them still run.

The tasks that end first are the short ones, so their mean alone promises too much. So the spread is
fitted to the tasks that ended and, as "at least so much", to those that run. It is a log-normal
distribution, fitted by expectation and maximisation in a few rounds. One task of an assumed spread
counts beside the real ones, so that a single one is enough to begin with.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# A folder may say anything: within these, nothing overflows.
_LEAST, _LARGEST = 1e-6, 1e9
_LEAST_SD, _LARGEST_SD = 0.1, 2.0
_FARTHEST = 35.0  # standard deviations
_SQRT_HALF = math.sqrt(0.5)
_ROUNDS = 4
_BISECTIONS = 18
_DENSITY_AT_MEAN = 1 / math.sqrt(2 * math.pi)
_MOST_MEANS = 20.0  # no quantile is further away than this many means


class Sample:
    """The sums of the values of tasks that ended: a value is added and removed in no time.

    Example:
        >>> sample = Sample()
        >>> sample.add(2.0)
        >>> sample.n, sample.mean
        (1, 2.0)
    """

    __slots__ = ("n", "sum_logs", "sum_squares", "total")

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self.sum_logs = 0.0
        self.sum_squares = 0.0  # of the logarithms

    def add(self, value: float, count: int = 1) -> None:
        """Adds a positive value; a count of -1 removes it."""
        value = min(max(value, _LEAST), _LARGEST)
        log = _log(value)
        self.n += count
        self.total += count * value
        self.sum_logs += count * log
        self.sum_squares += count * log * log

    @property
    def mean(self) -> float:
        """The mean of the values; there must be one."""
        return self.total / self.n


class Spread:
    """A log-normal distribution.

    Args:
        mean_log: The mean of its logarithms.
        sd_log: Their standard deviation.
        n: How many tasks that ended it was fitted to.

    Attributes:
        mean: What a task has on average: the mean of the values, not of the fitted curve.
        running_left: What the running tasks that it was fitted to will still add: the mean, and
            the variance.
    """

    __slots__ = ("mean", "mean_log", "n", "running_left", "sd_log")

    def __init__(self, mean_log: float, sd_log: float, n: int) -> None:
        self.mean_log = mean_log
        self.sd_log = sd_log
        self.n = n
        self.mean = self._mean_and_square(0.0)[0]
        self.running_left = (0.0, 0.0)

    def left(self, reached: float) -> tuple[float, float]:
        """What a task that has reached a value will still add: the mean and the variance."""
        mean, square = self._mean_and_square(reached)
        return max(mean - reached, 0.0), max(square - mean * mean, 0.0)

    @property
    def variance(self) -> float:
        """The variance of a task that has not started."""
        return self.left(0.0)[1]

    def most_left(self, reached: Sequence[float], share: float) -> float:
        """What the largest of several tasks will still add, with this probability or more.

        Args:
            reached: What each has reached.
            share: The probability.
        """
        shares_above = [_above(self._place(value)) for value in reached]
        low, high = 0.0, _MOST_MEANS * (self.mean + max(reached))
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            within = 1.0
            for value, above in zip(reached, shares_above, strict=True):
                within *= 1 - _above(self._place(value + middle)) / above
            if within < share:
                low = middle
            else:
                high = middle
        return low

    def longest(self, n_tasks: int, share: float) -> float:
        """What the largest of several tasks that start now will have, with this probability.

        Args:
            n_tasks: How many there are.
            share: The probability.
        """
        return self.most_left([0.0], share ** (1 / n_tasks))

    def _place(self, value: float) -> float:
        return (_log(value) - self.mean_log) / self.sd_log

    def _mean_and_square(self, reached: float) -> tuple[float, float]:
        """The mean and the mean square of tasks that have more than they have reached."""
        place, variance = self._place(reached), self.sd_log * self.sd_log
        mean = math.exp(self.mean_log + variance / 2)
        square = math.exp(2 * self.mean_log + 2 * variance)
        share = _above(place)
        return (
            mean * _above(place - self.sd_log) / share,
            square * _above(place - 2 * self.sd_log) / share,
        )


def fit(sample: Sample, at_least: Sequence[float], assumed_sd: float) -> Spread:
    """Fits a spread to the tasks that ended and to those that run.

    Args:
        sample: The values of the tasks that ended; there must be one.
        at_least: What each running task has reached.
        assumed_sd: The standard deviation of the logarithms that counts as one more task.

    Example:
        >>> sample = Sample()
        >>> sample.add(60.0)
        >>> round(fit(sample, [], 0.5).mean)
        60
    """
    logs = [_log(value) for value in at_least]
    n = sample.n + len(logs)
    mean, assumed = sample.sum_logs / sample.n, assumed_sd * assumed_sd
    spread = max(sample.sum_squares - sample.n * mean * mean, 0.0)
    variance = (spread + assumed) / (sample.n + 1)
    for _ in range(_ROUNDS if logs else 0):
        total, squares = sample.sum_logs, sample.sum_squares
        sd = max(math.sqrt(variance), _LEAST_SD)
        for log in logs:
            place = (log - mean) / sd
            hazard = _hazard(place)
            total += mean + sd * hazard
            squares += mean * mean + 2 * mean * sd * hazard + variance * (1 + place * hazard)
        mean = total / n
        variance = (max(squares - n * mean * mean, 0.0) + assumed) / (n + 1)
    sd = min(max(math.sqrt(variance), _LEAST_SD), _LARGEST_SD)
    fitted = Spread(mean, sd, sample.n)
    left = [fitted.left(value) for value in at_least]
    fitted.running_left = sum(one for one, _ in left), sum(one for _, one in left)
    fitted.mean = (sample.total + sum(at_least) + fitted.running_left[0]) / n
    return fitted


def _above(place: float) -> float:
    """The share of a normal distribution above a place; never zero."""
    return math.erfc(min(place, _FARTHEST) * _SQRT_HALF) / 2


def _hazard(place: float) -> float:
    """How much further a normal distribution is on average above a place than its mean."""
    place = min(place, _FARTHEST)
    return math.exp(-place * place / 2) * _DENSITY_AT_MEAN / _above(place)


def _log(value: float) -> float:
    return math.log(min(max(value, _LEAST), _LARGEST))
