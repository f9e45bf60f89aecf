"""A comparison with its parts: sentence, picture of the ranges, table, and how they were made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cpr_nb.display.charts.svg import Chart
from cpr_nb.display.decisions import comparison_words as words
from cpr_nb.display.decisions.comparison_method import method_words
from cpr_nb.display.decisions.decision_output import DecisionOutput, DecisionParts
from cpr_nb.display.decisions.decision_table import Cell, Column, DecisionTable
from cpr_nb.display.decisions.interval_chart import Interval, Panel, interval_chart, summary_words
from cpr_nb.display.decisions.range_words import number, ratio, ratio_words
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
from cpr_nb.views.formatting import plural, usd_amount

_VERDICTS = {
    NOT_SHOWN: "○ not shown",
    DEPENDS_ON_FAILURES: "○ depends on failures",
    NO_DIFFERENCE: "● no difference that matters",
}
#: Column → what its axis is called, and its sides.
_AXES = {
    "ok": ("Success", "worse", "better"),
    "score": ("Score", "worse", "better"),
    "cost_usd": ("Cost", "costs less", "costs more"),
    "duration_s": ("Time", "less time", "more time"),
}
_MAX_REASONS = 4


class Comparison(DecisionOutput):
    """Levels compared with a baseline, row by row. A cell that ends in it shows it.

    Args:
        parts: What it shows.
        title: What it is about, on one line.
        table: A `pandas.DataFrame` with one row a level: the difference and its range, with and
            without failures, the cost. ``table.attrs["method"]`` says how the figures were made.
    """

    def __init__(self, parts: DecisionParts, title: str, table: Any) -> None:
        super().__init__(parts, title)
        self.table = table


def comparison_parts(comparison: LevelComparison, scope: str = "") -> DecisionParts:
    """What a comparison shows.

    Args:
        comparison: The comparison.
        scope: What a decision that stopped the session speaks of, such as ``on rows like these``.
    """
    base = words.level_name(comparison.baseline)
    return DecisionParts(
        sentence=words.comparison_sentence(comparison, scope),
        facts=_facts(comparison),
        charts=[_chart(comparison, base)],
        tables=[_table(comparison, base)],
        method=method_words(comparison),
    )


def _facts(comparison: LevelComparison) -> str:
    """How many rows there are, which are left out and why, and what is uncertain."""
    pairs = sorted({level.difference.n_pairs for level in comparison.levels})
    shown = str(pairs[0]) if len(pairs) == 1 else f"{pairs[0]} to {pairs[-1]}"
    where = "under both" if len(comparison.levels) == 1 else "under the baseline and each level"
    if any(level.is_sequence for level in comparison.levels):
        where = "of the order that was drawn at the launch"
    parts = [f"{shown} {'row' if shown == '1' else 'rows'} {where}"]
    n_later = max(level.n_later for level in comparison.levels)
    if n_later:
        parts.append(f"{plural(n_later, 'pair')} that ended later not in it")
    n_unpaired = max(level.n_unpaired for level in comparison.levels)
    if n_unpaired:
        parts.append(f"{plural(n_unpaired, 'row')} under only one of them left out")
    reasons = sorted(comparison.left_out.items(), key=lambda item: -item[1])
    if reasons:
        listed = ", ".join(f"{n} {one_line(why, 40)}" for why, n in reasons[:_MAX_REASONS])
        more = f", {len(reasons) - _MAX_REASONS} more reasons" if reasons[_MAX_REASONS:] else ""
        n_tasks = plural(sum(comparison.left_out.values()), "task")
        parts.append(f"{n_tasks} missing, not failures: {listed}{more}")
    return " · ".join([*parts, *_doubts(comparison)])


def _doubts(comparison: LevelComparison) -> list[str]:
    doubts: dict[str, None] = {}
    for level in comparison.levels:
        for difference, name in (
            (level.difference, comparison.metric.name),
            (level.bill, "cost_usd"),
        ):
            if difference is not None and difference.uncertain:
                axis = axis_words(name)[0].lower()
                doubts[f"{axis} uncertain: {difference.uncertain}"] = None
    return list(doubts)


def axis_words(name: str) -> tuple[str, str, str]:
    """What a column is called on an axis, and the sides of it.

    Example:
        >>> axis_words("score")
        ('Score', 'worse', 'better')
    """
    return _AXES.get(name, (one_line(name, 30), "lower", "higher"))


# -- the picture ---------------------------------------------------------------------------------


def _chart(comparison: LevelComparison, base: str) -> Chart:
    names = [
        (words.level_name(level.level), _detail(comparison, level)) for level in comparison.levels
    ]
    panels = [_metric_panel(comparison, base)]
    if comparison.metric.kind == SKEWED:
        differences = [level.typical for level in comparison.levels]
        panels.append(_ratio_panel("On a typical row", comparison.metric.name, differences, base))
    elif any(words.bill_words(level) for level in comparison.levels):
        bills = [level.bill for level in comparison.levels]
        panels.append(_ratio_panel("Cost", "cost_usd", bills, base))
    title = f"{panels[0].title}, with ranges"
    only_names = [name for name, _ in names]
    texts = [summary_words(panel.title, only_names, panel) for panel in panels]
    return interval_chart(title, names, panels, "; ".join(texts))


def _detail(comparison: LevelComparison, level: ComparedLevel) -> str:
    mean = f"mean {mean_words(comparison.metric, level.mean)}"
    cost = "" if math.isnan(level.cost_usd) else usd_amount(level.cost_usd)
    return " · ".join(text for text in (mean, cost) if text)


def _metric_panel(comparison: LevelComparison, base: str) -> Panel:
    metric = comparison.metric
    name, below, above = axis_words(metric.name)
    if metric.kind == SKEWED:
        return _ratio_panel(
            name, metric.name, [level.difference for level in comparison.levels], base
        )
    unit = words.unit_of(metric)
    intervals: list[Interval | None] = []
    for level in comparison.levels:
        is_decided = level.verdict in (BETTER, WORSE, NO_DIFFERENCE)
        value, low, high = (figure * unit.factor for figure in level.difference[:3])
        label = words.short_range(metric, level.difference)
        interval = Interval(value, low, high, label, is_decided)
        intervals.append(None if math.isnan(value) else interval)
    return Panel(f"{name},{unit.word} against {base}", intervals, below, above)


def _ratio_panel(
    title: str, name: str, differences: Sequence[Difference | None], base: str
) -> Panel:
    intervals: list[Interval | None] = []
    for difference in differences:
        if difference is None or math.isnan(difference.value):
            intervals.append(None)
            continue
        value, low, high = difference[:3]
        shown = "" if math.isnan(low) else f" ({ratio_words(low, high)})"
        is_decided = low > 1 or high < 1
        intervals.append(Interval(value, low, high, f"× {ratio(value)}{shown}", is_decided))
    _, below, above = axis_words(name)
    return Panel(f"{title}, times {base}", intervals, below, above, is_ratio=True)


# -- the table -----------------------------------------------------------------------------------


def _table(comparison: LevelComparison, base: str) -> DecisionTable:
    metric = comparison.metric
    has_both_ways = any(level.succeeded for level in comparison.levels)
    has_bill = any(words.bill_words(level) for level in comparison.levels)
    # The range of a session that was stopped early has none.
    has_p = not all(math.isnan(level.p_value) for level in comparison.levels)
    columns = [Column(), Column("mean", is_number=True)]
    columns += _pair_of_columns(_counted_title(metric, has_both_ways=has_both_ways))
    columns += _pair_of_columns("without failures") if has_both_ways else []
    columns += _pair_of_columns("typical row") if metric.kind == SKEWED else []
    columns.append(Column(_counts_title(metric), is_number=True))
    columns += _pair_of_columns("cost") if has_bill else []
    columns += [Column("p", is_number=True)] if has_p else []
    columns.append(Column(one_line(metric.name, 30)))
    mean = Cell(mean_words(metric, comparison.baseline_mean))
    rows = [[Cell(base), mean, Cell("the baseline", "mute", span=len(columns) - 2)]]
    for level in comparison.levels:
        cells = [Cell(words.level_name(level.level)), Cell(mean_words(metric, level.mean))]
        cells += _figure_cells(metric, level.difference)
        cells += _figure_cells(metric, level.succeeded) if has_both_ways else []
        cells += _ratio_cells(level.typical) if metric.kind == SKEWED else []
        cells.append(Cell(" / ".join(map(str, level.counts)) if level.counts else ""))
        cells += _ratio_cells(level.bill) if has_bill else []
        cells += [Cell(p_words(level.p_value))] if has_p else []
        rows.append([*cells, Cell(verdict_words(metric, level.verdict))])
    return DecisionTable(f"{one_line(comparison.factor, 40)} against {base}", columns, rows)


def _pair_of_columns(title: str) -> list[Column]:
    return [Column(title, is_number=True), Column(is_joined=True)]


def _counted_title(metric: Metric, *, has_both_ways: bool) -> str:
    if metric.kind == SKEWED:
        return "in all"
    if not has_both_ways:
        return "difference"
    return "failures count as 0" if metric.minimum == 0 else "failures count"


def _counts_title(metric: Metric) -> str:
    """What the three counts of rows are: more, the same, less than the baseline."""
    below = axis_words(metric.name)[1]
    names = {"worse": ("better", "worse"), "lower": ("higher", "lower")}
    first, last = names.get(below, ("more", "less"))
    return f"{first} / same / {last}"


def _figure_cells(metric: Metric, difference: Difference | None) -> list[Cell]:
    if metric.kind == SKEWED:
        return _ratio_cells(difference)
    if difference is None or math.isnan(difference.value):
        return [Cell(""), Cell("")]
    figure, shown = words.figure_and_range(metric, difference)
    return [Cell(figure), Cell(shown)]


def _ratio_cells(difference: Difference | None) -> list[Cell]:
    if difference is None or math.isnan(difference.value):
        return [Cell(""), Cell("")]
    shown = ratio_words(difference.low, difference.high, 3)
    return [Cell(f"× {ratio(difference.value, 3)}"), Cell(shown)]


def mean_words(metric: Metric, mean: float) -> str:
    """A mean as people read it.

    Example:
        >>> mean_words(Metric("ok", SHARE), 0.728), mean_words(Metric("cost_usd", SKEWED), 0.1)
        ('72.8 %', 'USD 0.10')
    """
    if math.isnan(mean):
        return "unknown"
    if metric.kind == SHARE:
        return f"{number(100 * mean, 1)} %"
    if metric.name.endswith("_usd"):
        return usd_amount(mean)
    if metric.kind == BOUNDED:
        return number(mean, 1 if metric.maximum - metric.minimum >= words.POINTS_RANGE else 2)
    return f"{mean:,.4g}".replace("-", "−")


def p_words(p_value: float) -> str:
    """A p-value as people read it.

    Example:
        >>> p_words(0.0004), p_words(0.0312), p_words(0.4)
        ('< 0.001', '0.031', '0.40')
    """
    if math.isnan(p_value):
        return ""
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def verdict_words(metric: Metric, verdict: str) -> str:
    """A verdict as people read it.

    Example:
        >>> verdict_words(Metric("ok", SHARE), BETTER)
        '▲ better'
        >>> verdict_words(Metric("cost_usd", SKEWED), BETTER)
        '▼ costs less'
    """
    if verdict in _VERDICTS:
        return _VERDICTS[verdict]
    _, below, above = axis_words(metric.name)
    is_more = (verdict == BETTER) != (metric.kind == SKEWED)
    return f"▲ {above}" if is_more else f"▼ {below}"
