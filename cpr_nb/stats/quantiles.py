"""Student's t distribution, from SciPy: the only place that imports it."""

from __future__ import annotations

from typing import Any

from cpr_nb.model.errors import StatsMissing


def has_scipy() -> bool:
    """Whether SciPy is installed, so that there can be intervals.

    Example:
        >>> has_scipy()
        True
    """
    try:
        import scipy.special  # noqa: F401
    except ImportError:
        return False
    return True


def t_quantile(confidence: float, df: Any) -> Any:
    """How many standard errors a two-sided interval reaches to each side.

    Args:
        confidence: The share of intervals that hold the truth, from 0 to 1.
        df: The degrees of freedom, above 0; a number or an array.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> round(float(t_quantile(0.95, 9)), 4)
        2.2622
    """
    return _special().stdtrit(df, 0.5 + confidence / 2)


def t_quantile_below(share: float, df: Any) -> Any:
    """The value that this share of the distribution lies below.

    Args:
        share: From 0 to 1.
        df: The degrees of freedom.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> round(float(t_quantile_below(0.8, 9)), 4)
        0.8834
    """
    return _special().stdtrit(df, share)


def t_p_value(t: float, df: float) -> float:
    """How often an estimate is so many standard errors or more away from the truth.

    Args:
        t: The distance in standard errors, to either side.
        df: The degrees of freedom.

    Raises:
        StatsMissing: If SciPy is not installed.

    Example:
        >>> round(t_p_value(-2.2622, 9), 3)
        0.05
    """
    return float(2 * _special().stdtr(df, -abs(t)))


def _special() -> Any:
    try:
        import scipy.special
    except ImportError:
        raise StatsMissing from None
    return scipy.special
