"""Figures and their ranges in words: ``8 (3 to 13)``, never ``±``."""

from __future__ import annotations

import math

_FRACTIONS = {0.5: "½", 0.25: "¼", 0.125: "⅛"}


def signed(value: float, digits: int = 0) -> str:
    """A number with the sign that people write; nothing is neither more nor less.

    Example:
        >>> signed(8.2), signed(-2.04, 1), signed(-0.2)
        ('+8', '−2.0', '0')
    """
    text = number(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def number(value: float, digits: int = 0) -> str:
    """A number with so many decimals.

    Example:
        >>> number(-7.26, 1), number(1234.5), number(float("nan"))
        ('−7.3', '1,234', 'unknown')
    """
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{abs(value):,.{digits}f}"
    return f"−{text}" if value < 0 and text.strip("0.,") else text


def range_words(low: float, high: float, digits: int = 0) -> str:
    """A range in words.

    Example:
        >>> range_words(3, 13), range_words(-7.26, 2, 1)
        ('3 to 13', '−7.3 to 2.0')
    """
    if math.isnan(low) or math.isnan(high):
        return "no range"
    return f"{number(low, digits)} to {number(high, digits)}"


def digits_for(*values: float) -> int:
    """How many decimals these figures need: steps of a third of their width, or less.

    Example:
        >>> digits_for(3, 8, 13), digits_for(0.031, 0.08, 0.13), digits_for(7.9, 8.0, 8.2)
        (0, 2, 1)
    """
    known = sorted(value for value in values if math.isfinite(value))
    width = known[-1] - known[0] if known else 0.0
    width = width or (abs(known[0]) if known else 0.0)
    if width == 0:
        return 0
    return min(6, max(0, -math.floor(math.log10(width / 3) + 1e-9)))


def ratio(value: float, n_digits: int = 2) -> str:
    """A ratio with so many significant digits.

    Example:
        >>> ratio(2.21), ratio(0.314), ratio(14.2), ratio(1.97, 3)
        ('2.2', '0.31', '14', '1.97')
    """
    if not math.isfinite(value) or value <= 0:
        return number(value, n_digits)
    return number(value, min(6, max(0, n_digits - 1 - math.floor(math.log10(value) + 1e-9))))


def ratio_words(low: float, high: float, n_digits: int = 2) -> str:
    """A range of ratios in words.

    Example:
        >>> ratio_words(1.97, 2.48), ratio_words(0.271, 0.35)
        ('2.0 to 2.5', '0.27 to 0.35')
    """
    if math.isnan(low) or math.isnan(high):
        return "no range"
    return f"{ratio(low, n_digits)} to {ratio(high, n_digits)}"


def factor(value: float) -> str:
    """A ratio as the label of an axis.

    Example:
        >>> factor(0.25), factor(1), factor(4), factor(0.9)
        ('× ¼', 'same', '× 4', '× 0.9')
    """
    return "same" if value == 1 else f"× {_FRACTIONS.get(value) or f'{value:g}'}"
