"""How well grades agree with the labels of people: Cohen's kappa, by statsmodels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cpr_nb.model.errors import InputError, StatsMissing
from cpr_nb.stats.estimates import CONFIDENCE, Estimate, share_interval

#: With more distinct labels a table of them says nothing about the rows that were labelled.
MOST_LEVELS = 11
#: Below so many rows the interval of kappa is only a hint: its formula holds for many rows.
_FEW_ROWS = 30
#: How disagreements count if the labels are numbers: by the square of the difference.
_WEIGHTS = "quadratic"


class Agreement(NamedTuple):
    """How well grades agree with labels.

    Args:
        kappa: Cohen's kappa: 1 for full agreement, 0 for what chance alone would give. NaN where
            grades or labels are all alike: then chance alone would agree, too.
        low: The lower end of its interval; NaN if there is none.
        high: The upper end.
        share: The share of rows on which both agree, with its interval.
        n: How many rows have a grade and a label.
        n_agree: On how many of them both agree.
        n_without: How many rows lack one of the two.
        levels: The labels, in order. A grade counts as the label that is nearest to it.
        weights: ``quadratic`` if the labels are numbers of an order; empty for True and False.
        confidence: That of the intervals.
        uncertain: Why the figures are uncertain; empty if they are not.
    """

    kappa: float
    low: float
    high: float
    share: Estimate
    n: int
    n_agree: int
    n_without: int
    levels: tuple[float, ...]
    weights: str
    confidence: float
    uncertain: str

    def __str__(self) -> str:
        kind = "Cohen's kappa" + (f" ({self.weights} weights)" if self.weights else "")
        value = "can't be computed" if np.isnan(self.kappa) else f"is {self.kappa:.2f}"
        shown = f"{kind} {value}{_range(self.low, self.high)}; grades and labels agree on "
        shown += f"{self.n_agree} of {self.n} rows{_range(self.share.low, self.share.high, 100)}."
        if self.n_without:
            rows = "row has" if self.n_without == 1 else "rows have"
            shown += f" {self.n_without} {rows} no grade or no label."
        return shown + (f" Uncertain: {self.uncertain}." if self.uncertain else "")


def _range(low: float, high: float, scale: int = 1) -> str:
    if np.isnan(low) or np.isnan(high):
        return ""
    if scale == 100:
        return f" ({100 * low:.0f} to {100 * high:.0f} %)"
    return f" ({low:.2f} to {high:.2f})"


def agreement(
    grades: Sequence[float],
    labels: Sequence[float],
    *,
    rows: Sequence[Hashable] | None = None,
    threshold: float = 0.5,
    confidence: float = CONFIDENCE,
) -> Agreement:
    """How well grades agree with labels.

    Args:
        grades: A grade from 0 to 1 for each row; NaN where there is none.
        labels: The label of each row from 0 to 1; NaN where there is none. Where all of them are 0
            or 1, the grades are cut at the threshold, else each counts as the nearest label.
        rows: The row that each is about; None if each is about a row of its own.
        threshold: A grade from here on counts as 1, if the labels are 0 and 1.
        confidence: That of the intervals.

    Raises:
        InputError: If they can't be compared.
        StatsMissing: If statsmodels or SciPy is not installed.

    Example:
        >>> found = agreement([0.9, 0.8, 0.2, 0.1, 0.7, 0.4], [1, 1, 0, 0, 0, 0])
        >>> round(found.kappa, 3), found.n_agree, found.n
        (0.667, 5, 6)
    """
    both = np.array([grades, labels], dtype=float)
    has_both = ~np.isnan(both).any(axis=0)
    given, wanted = both[:, has_both]
    n, n_without = int(has_both.sum()), int((~has_both).sum())
    levels = _checked_levels(wanted)
    is_binary = bool(np.isin(levels, (0.0, 1.0)).all())
    if is_binary:
        levels = np.array([0.0, 1.0])
        codes = (given >= threshold).astype(int)
    else:
        codes = np.abs(given[:, None] - levels[None, :]).argmin(axis=1)
    label_codes = np.searchsorted(levels, wanted)
    agree = codes == label_codes
    counts = np.zeros((len(levels), len(levels)))
    np.add.at(counts, (codes, label_codes), 1)
    kappa, low, high = _kappa(counts, None if is_binary else levels, confidence)
    means, repeats = _row_means(agree, rows, has_both)
    return Agreement(
        *(kappa, low, high),
        share_interval(means, repeats, confidence=confidence),
        *(n, int(agree.sum()), n_without),
        tuple(float(level) for level in levels),
        "" if is_binary else _WEIGHTS,
        confidence,
        _doubt(n, len(means), kappa, low),
    )


def _checked_levels(labels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The distinct labels, in order."""
    if len(labels) < 2:
        rows = "1 row has" if len(labels) == 1 else "no row has"
        raise InputError(f"{rows} both a grade and a label: at least 2 are needed", "labels")
    if ((labels < 0) | (labels > 1)).any():
        raise InputError(
            "must be True and False, or from 0 to 1 as grades are: divide stars from 0 to 5 by 5",
            "labels",
        )
    levels = np.unique(labels)
    if len(levels) > MOST_LEVELS:
        raise InputError(
            f"has {len(levels)} distinct values; kappa is for up to {MOST_LEVELS}: round them",
            "labels",
        )
    return levels


def _doubt(n: int, n_rows: int, kappa: float, low: float) -> str:
    if np.isnan(kappa):
        return "the grades or the labels are all alike, where chance alone would agree, too"
    if np.isnan(low):
        return "in full agreement the formula for the interval of kappa knows no spread"
    if n_rows < n:
        return "the interval of kappa treats several answers of a row as if they were independent"
    return f"only {n} rows" if n < _FEW_ROWS else ""


def _n_used(counts: npt.NDArray[np.float64], axis: int) -> int:
    return int((counts.sum(axis=axis) > 0).sum())


def _row_means(
    agree: npt.NDArray[np.bool_], rows: Sequence[Hashable] | None, has_both: npt.NDArray[np.bool_]
) -> tuple[list[float], list[int]]:
    """The share of each row's answers that agree, and how many these are."""
    keys = range(len(has_both)) if rows is None else rows
    by_row: dict[Hashable, list[bool]] = {}
    kept = [key for key, is_known in zip(keys, has_both, strict=True) if is_known]
    for key, one in zip(kept, agree, strict=True):
        by_row.setdefault(key, []).append(bool(one))
    values = list(by_row.values())
    return [sum(one) / len(one) for one in values], [len(one) for one in values]


def _kappa(
    counts: npt.NDArray[np.float64], levels: npt.NDArray[np.float64] | None, confidence: float
) -> tuple[float, float, float]:
    """Cohen's kappa of a table of counts, and its interval."""
    try:
        from statsmodels.stats.inter_rater import cohens_kappa
    except ImportError:
        raise StatsMissing("agreement needs statsmodels") from None
    if min(_n_used(counts, 0), _n_used(counts, 1)) < 2:
        return float("nan"), float("nan"), float("nan")
    given = None if levels is None else np.asarray(levels)
    found = cohens_kappa(counts, given, wt=None if levels is None else _WEIGHTS)
    kappa, error = float(found.kappa), float(found.std_kappa)
    if not error > 0:
        return kappa, float("nan"), float("nan")
    from cpr_nb.stats.quantiles import t_quantile

    reach = float(t_quantile(confidence, np.inf)) * error
    return kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach)
