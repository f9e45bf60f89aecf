"""Usage in groups: a bar for each, or a column for each day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num
from cpr_nb.views import formatting

_MAX_BARS, _MAX_LANES = 24, 8
_LEFT, _RIGHT, _ROW = 300.0, svg.WIDTH - 110.0, 18.0
_LANE, _GAP = 44.0, 12.0
_COST = "cost_usd"


class GroupUsage(NamedTuple):
    """One row of usage.

    Args:
        label: The group.
        day: The day, if the rows are of days; None if it is unknown.
        value: The figure; None if it is unknown.
    """

    label: str
    day: date | None
    value: float | None


def draw_usage(rows: Sequence[GroupUsage], figure: str, n_unknown: int, *, has_days: bool) -> Chart:
    """Draws usage in groups, those with the most first.

    Args:
        rows: The usage.
        figure: The name of the figure, such as ``cost_usd``.
        n_unknown: How many costs are unknown, and so not in the figures.
        has_days: Whether the rows are of days.

    Example:
        >>> rows = [GroupUsage("opus", None, 3.0), GroupUsage("haiku", None, 1.5)]
        >>> draw_usage(rows, "cost_usd", 2, has_days=False)
        <Chart: Usage: cost: USD 4.50 in 2 groups · 2 costs unknown>
    """
    known = [row for row in rows if row.value is not None]
    totals: dict[str, float] = {}  # a group of which nothing is known has no total
    for row in known:
        totals[row.label] = totals.get(row.label, 0.0) + (row.value or 0.0)
    labels = dict.fromkeys(row.label for row in rows)
    order = sorted(labels, key=lambda label: (label not in totals, -totals.get(label, 0.0)))
    words = figure.removesuffix("_usd").replace("_", " ")
    title = f"Usage: {words}"
    summary = _summary(rows, figure, len(order), n_unknown, has_days=has_days)
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, summary, anchor="end", kind="mute", limit=120),
    ]
    dated = [row for row in known if row.day is not None]
    if not known:
        parts.append(svg.text(0, 44, f"No {words} is known.", kind="mute"))
        bottom = 50.0
    elif has_days and dated:
        drawn, bottom = _lanes(dated, order, figure)
        parts += drawn
    else:
        drawn, bottom = _bars(totals, order, figure)
        parts += drawn
    return Chart(svg.document(title, summary, bottom + 6, parts), f"{title}: {summary}")


def _summary(
    rows: Sequence[GroupUsage], figure: str, n_groups: int, n_unknown: int, *, has_days: bool
) -> str:
    known = [row.value for row in rows if row.value is not None]
    text = _amount(sum(known) if known or not rows else None, figure)
    if any(row.label for row in rows):
        text += f" in {formatting.plural(n_groups, 'group')}"
    days = sorted({row.day for row in rows if row.day is not None})
    if has_days and days:
        text += f", {days[0]} to {days[-1]}" if len(days) > 1 else f" on {days[0]}"
    if n_unknown:
        text += f" · {formatting.plural(n_unknown, 'cost')} unknown"
    return text


def _amount(value: float | None, figure: str) -> str:
    if value is None:
        return "unknown"
    if figure == _COST:
        return f"USD {value:.2f}" if value >= 0.005 or not value else f"USD {value:.4f}"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _bars(totals: dict[str, float], order: list[str], figure: str) -> tuple[list[str], float]:
    """One bar per group, with its name and figure."""
    most, bars, labels = totals[order[0]] or 1.0, list[str](), list[str]()
    y = 32.0
    for label in order[:_MAX_BARS]:
        total = totals.get(label)
        width = max(1.5, (total or 0.0) / most * (_RIGHT - _LEFT))
        if total is not None:
            bars.append(svg.bar(_LEFT, y, width, _ROW - 6))
        labels.append(svg.text(_LEFT - 8, y + 10, _end_of(label), anchor="end"))
        labels.append(svg.text(_LEFT + width + 6, y + 10, _amount(total, figure), kind="mute"))
        y += _ROW
    rest = order[_MAX_BARS:]
    if rest:
        of_rest = [totals[label] for label in rest if label in totals]
        amount = _amount(sum(of_rest) if of_rest else None, figure)
        words = f"{formatting.plural(len(rest), 'other')}: {amount}"
        labels.append(svg.text(_LEFT, y + 10, words, kind="mute"))
        y += _ROW
    return [svg.group("rest", bars), *labels], y


def _end_of(label: str) -> str:
    """A label that has room: of a long one the end, where paths differ."""
    most = 46
    return label if len(label) <= most else f"…{label[1 - most :]}"


def _lanes(rows: Sequence[GroupUsage], order: list[str], figure: str) -> tuple[list[str], float]:
    """One lane of columns per group, a column a day, all on one scale."""
    lane_of = {label: label for label in order[:_MAX_LANES]}
    if len(order) > _MAX_LANES:
        others = formatting.plural(len(order) - _MAX_LANES + 1, "other")
        lane_of = {label: label for label in order[: _MAX_LANES - 1]}
        lane_of |= dict.fromkeys(order[_MAX_LANES - 1 :], others)
    lanes: dict[str, dict[date, float]] = {}
    for label in order:
        lanes.setdefault(lane_of[label], {})
    for row in rows:
        lane = lanes[lane_of[row.label]]
        if row.day is not None and row.value is not None:
            lane[row.day] = lane.get(row.day, 0.0) + row.value
    days = [row.day for row in rows if row.day is not None]
    first, last = min(days), max(days)
    most = max(value for lane in lanes.values() for value in lane.values())
    parts, y = list[str](), 34.0
    for label, lane in lanes.items():
        parts += _lane(lane, (first, last), y, most)
        parts.append(svg.text(_LEFT - 8, y + _LANE, _end_of(label), anchor="end"))
        total = _amount(sum(lane.values()) if lane else None, figure)
        parts.append(svg.text(svg.WIDTH, y + _LANE, total, anchor="end", kind="mute"))
        y += _LANE + _GAP
    parts.append(svg.text(_LEFT, y + 4, str(first), kind="mute"))
    scale = f"highest column: {_amount(most, figure)}"
    parts.append(svg.text((_LEFT + _RIGHT) / 2, y + 4, scale, anchor="middle", kind="mute"))
    if last > first:
        parts.append(svg.text(_RIGHT, y + 4, str(last), anchor="end", kind="mute"))
    return parts, y + 6


def _lane(
    lane: dict[date, float], between: tuple[date, date], top: float, most: float
) -> list[str]:
    first, last = between
    step = (_RIGHT - _LEFT) / ((last - first) / timedelta(days=1) + 1)
    width = min(40.0, step * 0.8 if step > 4 else step)
    columns = []
    for day, value in sorted(lane.items()):
        height = max(0.5, value / most * _LANE) if value > 0 else 0.0
        x = _LEFT + (day - first).days * step
        columns.append(svg.bar(x, top + _LANE - height, width, height))
    base = svg.hairlines(f"M{num(_LEFT)} {num(top + _LANE)}H{num(_RIGHT)}")
    return [svg.group("rest", columns), base]
