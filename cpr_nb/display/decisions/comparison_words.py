"""A comparison in sentences: what was found about each level, and what these rows could show."""

from __future__ import annotations

import math
from typing import NamedTuple

from cpr_nb.display.decisions.decision_output import Sentence
from cpr_nb.display.decisions.range_words import (
    digits_for,
    number,
    range_words,
    ratio,
    ratio_words,
    signed,
)
from cpr_nb.model.text import one_line
from cpr_nb.stats.comparison import (
    BETTER,
    DEPENDS_ON_FAILURES,
    NO_DIFFERENCE,
    NOT_SHOWN,
    WORSE,
    ComparedLevel,
    LevelComparison,
)
from cpr_nb.stats.metric_kinds import BOUNDED, SHARE, SKEWED, Metric
from cpr_nb.stats.pairs import Difference

#: From this range on, differences of a score are called points.
POINTS_RANGE = 10
_MAX_NAME = 40
_MAX_DIGITS = 6
#: Ratios → verb and what is compared, of a level and of a typical row of it.
_RATIO_WORDS = {
    "cost_usd": ("costs", "as much"),
    "duration_s": ("takes", "as long"),
}


class Unit(NamedTuple):
    """How differences of a metric are written.

    Args:
        factor: What they are multiplied by: shares become points of a hundred.
        word: The word after them, with a space before it.
    """

    factor: float
    word: str

    def figure(self, value: float, digits: int, *, is_signed: bool = False) -> str:
        """A difference in this unit, without the word."""
        value *= self.factor
        return signed(value, digits) if is_signed else number(value, digits)

    def range(self, low: float, high: float, digits: int) -> str:
        """A range in this unit."""
        return range_words(low * self.factor, high * self.factor, digits)

    def digits(self, *figures: float) -> int:
        """How many decimals these figures need: the end of a range must not look like 0."""
        scaled = [figure * self.factor for figure in figures]
        digits = digits_for(*scaled)
        if min(scaled) > 0 or max(scaled) < 0:
            nearest = min(map(abs, scaled))
            while digits < _MAX_DIGITS and round(nearest, digits) == 0:
                digits += 1
        return digits


def unit_of(metric: Metric) -> Unit:
    """The unit of a metric's differences.

    Example:
        >>> unit_of(Metric("ok", SHARE)), unit_of(Metric("score", BOUNDED, 0, 1)).word
        (Unit(factor=100.0, word=' points'), '')
    """
    if metric.kind == SHARE:
        return Unit(100.0, " points")
    is_wide = metric.kind == BOUNDED and metric.maximum - metric.minimum >= POINTS_RANGE
    return Unit(1.0, " points" if is_wide else "")


def level_name(level: object) -> str:
    """A level as people read it."""
    return one_line(str(level), _MAX_NAME)


def comparison_sentence(comparison: LevelComparison, scope: str = "") -> Sentence:
    """What was found about all levels; the first one that is decided comes first.

    Args:
        comparison: The comparison.
        scope: What a decision that stopped the session speaks of, such as ``on rows like these``.
    """
    levels = sorted(comparison.levels, key=lambda level: level.verdict not in (BETTER, WORSE))
    texts = [_level_sentence(comparison, level, scope) for level in levels]
    rest = [*texts[1:], _detectable(comparison)]
    return Sentence(texts[0], " ".join(text for text in rest if text))


def _level_sentence(comparison: LevelComparison, level: ComparedLevel, scope: str) -> str:
    if not level.difference.n_pairs:
        name, base = level_name(level.level), level_name(comparison.baseline)
        what = "on which both have ended"
        if comparison.metric.name != "ok":
            what = f"that has {one_line(comparison.metric.name, 40)} under both"
        return f"{name} and {base} have no row in common {what}."
    if comparison.metric.kind == SKEWED:
        return _ratio_sentence(comparison, level)
    return _difference_sentence(comparison, level, scope if level.is_sequence else "")


def _difference_sentence(comparison: LevelComparison, level: ComparedLevel, scope: str) -> str:
    name, base = level_name(level.level), level_name(comparison.baseline)
    where = f" {scope}" if scope else ""
    cost = bill_words(level)
    if level.verdict in (BETTER, WORSE):
        at = f", at {cost[0]} times the cost{cost[1]}" if cost else ""
        return f"{name} {_by_how_much(comparison.metric, level.difference, base)}{where}{at}."
    lead = f"{name} costs {cost[0]} times as much as {base}{cost[1]}; " if cost else ""
    subject = "it" if lead else name
    if level.verdict == NO_DIFFERENCE:
        text = f"between {name} and {base} there is no difference that matters{where}"
    else:
        words = _better_or_worse(comparison.metric)
        text = f"whether {subject} is {words} than {base}{where}"
    if level.verdict == DEPENDS_ON_FAILURES:
        text += f" {_both_ways(comparison.metric, level)}."
    elif level.verdict == NO_DIFFERENCE:
        text += f" ({signed_range(comparison.metric, level.difference)})."
    else:
        text += f" is not shown ({signed_range(comparison.metric, level.difference)})."
    return lead + text if lead else text[:1].upper() + text[1:]


def _by_how_much(metric: Metric, difference: Difference, base: str) -> str:
    """Such as ``scores 8 points higher than sonnet (3 to 13)``."""
    low, high = difference.low, difference.high
    is_more = difference.value >= 0
    size = abs(difference.value)
    ends = (low, high) if is_more else (-high, -low)
    unit = unit_of(metric)
    digits = unit.digits(size, *ends)
    figure = unit.figure(size, digits) + unit.word
    shown = unit.range(*ends, digits)
    if metric.kind == SHARE:
        direction = "more" if is_more else "less"
        return f"succeeds {figure} {direction} often than {base} ({shown})"
    verb = "scores" if metric.name == "score" else f"has a {one_line(metric.name, 40)} that is"
    return f"{verb} {figure} {'higher' if is_more else 'lower'} than {base} ({shown})"


def _both_ways(metric: Metric, level: ComparedLevel) -> str:
    """How a difference depends on failures."""
    counted = from_to(metric, level.difference)
    without = from_to(metric, level.succeeded or level.difference)
    as_what = "if they count as the worst score" if metric.kind == BOUNDED else "if they count"
    if metric.kind == BOUNDED and metric.minimum == 0:
        as_what = "if they count as 0"
    return f"depends on how failures count ({counted}, {as_what}; {without}, without them)"


def short_range(metric: Metric, difference: Difference) -> str:
    """Such as ``+8 (3 to 13)``."""
    figure, shown = figure_and_range(metric, difference)
    return figure if math.isnan(difference.low) else f"{figure} ({shown})"


def figure_and_range(metric: Metric, difference: Difference) -> tuple[str, str]:
    """Such as ``+8`` and ``3 to 13``."""
    value, low, high = difference[:3]
    unit = unit_of(metric)
    digits = unit.digits(value, low, high)
    return unit.figure(value, digits, is_signed=True), unit.range(low, high, digits)


def signed_range(metric: Metric, difference: Difference) -> str:
    """Such as ``−2, from −7 to +2``, with its unit."""
    return from_to(metric, difference) + unit_of(metric).word


def from_to(metric: Metric, difference: Difference) -> str:
    """A difference and its range, such as ``−2, from −7 to +2``."""
    value, low, high = difference.value, difference.low, difference.high
    if metric.kind == SKEWED:
        return f"{ratio(value)} times, from {ratio(low)} to {ratio(high)}"
    unit = unit_of(metric)
    digits = unit.digits(value, low, high)
    figure = unit.figure(value, digits, is_signed=True)
    if math.isnan(low):
        return f"{figure}, no range"
    ends = [unit.figure(end, digits, is_signed=True) for end in (low, high)]
    return f"{figure}, from {ends[0]} to {ends[1]}"


def _better_or_worse(metric: Metric) -> str:
    if metric.kind == SHARE or metric.name == "score":
        return "better or worse"
    return "higher or lower"


def bill_words(level: ComparedLevel) -> tuple[str, str] | None:
    """How many times the baseline's bill a level's is, and the range; None if nobody knows."""
    bill = level.bill
    if bill is None or math.isnan(bill.value):
        return None
    shown = "" if math.isnan(bill.low) else f" ({ratio_words(bill.low, bill.high)})"
    return ratio(bill.value), shown


def _ratio_sentence(comparison: LevelComparison, level: ComparedLevel) -> str:
    name, base = level_name(level.level), level_name(comparison.baseline)
    verb, as_what = _RATIO_WORDS.get(
        comparison.metric.name, (f"has {one_line(comparison.metric.name, 40)} in all", "as much")
    )
    total = level.difference
    shown = "no range" if math.isnan(total.low) else ratio_words(total.low, total.high)
    text = f"In all, {name} {verb} {ratio(total.value)} times {as_what} as {base} ({shown})"
    typical = level.typical
    if typical is not None and not math.isnan(typical.low):
        shown = ratio_words(typical.low, typical.high)
        text += f", on a typical row {ratio(typical.value)} times ({shown})"
    if level.verdict == NOT_SHOWN:
        return f"{text}: whether it is more or less is not shown."
    if level.verdict == DEPENDS_ON_FAILURES and level.succeeded is not None:
        without = from_to(comparison.metric, level.succeeded)
        return f"{text}; that depends on failures: {without}, on rows that both succeeded on."
    return f"{text}."


def _detectable(comparison: LevelComparison) -> str:
    """How large a difference would have been shown, where one was not."""
    open_levels = [
        level
        for level in comparison.levels
        if level.verdict in (NOT_SHOWN, DEPENDS_ON_FAILURES)
        and not level.is_sequence
        and 0 < level.difference.detectable < math.inf  # 0: the rows say nothing of chance
    ]
    if not open_levels:
        return ""
    widest = max(open_levels, key=lambda level: level.difference.detectable).difference
    if comparison.metric.kind == SKEWED:
        figure = f"a ratio of {ratio(widest.detectable)} (or {ratio(1 / widest.detectable)})"
        return f"Had there been {figure}, these rows would very likely have shown it."
    if widest.detectable >= _width(comparison.metric):
        return "So few rows would hardly have shown any difference, however large."
    unit = unit_of(comparison.metric)
    figure = unit.figure(widest.detectable, unit.digits(widest.detectable)) + unit.word
    if widest.detectable_at_least:
        words = f"at least {figure}, and perhaps more, would very likely have shown up"
        return f"Only a difference of {words} in these rows."
    return f"A difference of {figure} or more would very likely have shown up in these rows."


def _width(metric: Metric) -> float:
    """The largest difference that there can be."""
    if metric.kind == SHARE:
        return 1.0
    return metric.maximum - metric.minimum if metric.kind == BOUNDED else math.inf
