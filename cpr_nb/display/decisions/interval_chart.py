"""Figures with their ranges, one line a row: a dot, its range, and the figure above it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num
from cpr_nb.display.decisions.range_words import digits_for, factor, number, signed

_TOP, _FIRST, _ROW = 34.0, 76.0, 58.0
_NAME_WIDTH = 160.0
_CHARACTER = 6.8  # about as wide as a bold figure of 12 px
_MAX_TICKS = 7
_LARGEST = 1e12  # what is beyond stands at the edge


class Interval(NamedTuple):
    """A figure with its range.

    Args:
        value: The figure; NaN if it is unknown.
        low: The lower end of its range; NaN if it has none.
        high: The upper end.
        label: What stands above it.
        is_decided: Whether its dot is filled.
    """

    value: float
    low: float
    high: float
    label: str
    is_decided: bool = True


class Panel(NamedTuple):
    """An axis and what is on it.

    Args:
        title: What it shows.
        intervals: One a row; None where nothing is known.
        below: What the side below the reference means, such as ``worse``.
        above: What the side above it means.
        is_ratio: Whether its figures are ratios: then the axis is logarithmic.
    """

    title: str
    intervals: Sequence[Interval | None]
    below: str = ""
    above: str = ""
    is_ratio: bool = False


class _Axis(NamedTuple):
    left: float
    right: float
    position: Callable[[float], float]  # of a figure, from the left
    ticks: list[tuple[float, str]]
    reference: float


def interval_chart(
    title: str, names: Sequence[tuple[str, str]], panels: Sequence[Panel], description: str = ""
) -> Chart:
    """Draws panels side by side, with the same rows.

    Args:
        title: What it is.
        names: The name of each row, and what stands below it.
        panels: One or two.
        description: What it shows, for those who can't see it.

    Example:
        >>> panel = Panel("Score", [Interval(8, 3, 13, "+8 (3 to 13)")], "worse", "better")
        >>> "+8 (3 to 13)" in interval_chart("Score", [("opus", "mean 81")], [panel]).svg
        True
    """
    bottom = _FIRST + _ROW * len(names) - 34
    parts = []
    for place, (name, detail) in enumerate(names):
        y = _FIRST + place * _ROW
        parts.append(svg.text(0, y - 4, name, kind="name", limit=22))
        parts.append(svg.text(0, y + 13, detail, kind="mute", limit=26))
    for panel, (left, right) in zip(panels, _places(len(panels)), strict=True):
        parts += _draw_panel(panel, left, right, bottom)
    document = svg.document(title, description or title, bottom + 38, parts)
    return Chart(document, f"{title}: {description}" if description else title)


def _places(n_panels: int) -> list[tuple[float, float]]:
    """Where the panels begin and end."""
    width = (svg.WIDTH - _NAME_WIDTH) / n_panels
    return [
        (_NAME_WIDTH + place * width + 20, _NAME_WIDTH + (place + 1) * width - 40)
        for place in range(n_panels)
    ]


def _draw_panel(panel: Panel, left: float, right: float, bottom: float) -> list[str]:
    axis = _axis(panel, left, right)
    parts = [svg.text(left - 20, 18, panel.title, kind="name", limit=60)]
    lines, zero = "", ""
    for value, label in axis.ticks:
        line = f"M{num(axis.position(value))} {num(_TOP)}V{num(bottom)}"
        if value == axis.reference:
            zero = line
        else:
            lines += line
        x = axis.position(value)
        parts.append(svg.text(x, bottom + 16, label, anchor="middle", kind="mute"))
    parts += [svg.hairlines(lines)] if lines else []
    parts += [f'<path class="step" d="{zero}"/>'] if zero else []
    x = axis.position(axis.reference)
    if panel.below:
        below = f"← {panel.below}"
        parts.append(svg.text(x - 8, bottom + 32, below, anchor="end", kind="mute"))
    if panel.above:
        parts.append(svg.text(x + 8, bottom + 32, f"{panel.above} →", kind="mute"))
    for place, interval in enumerate(panel.intervals):
        parts += _draw_interval(interval, axis, _FIRST + place * _ROW)
    return parts


def _draw_interval(interval: Interval | None, axis: _Axis, y: float) -> list[str]:
    if interval is None or not math.isfinite(interval.value):
        middle = (axis.left + axis.right) / 2
        return [svg.text(middle, y + 4, "no figure", anchor="middle", kind="mute")]
    x = axis.position(interval.value)
    parts = []
    if not (math.isnan(interval.low) or math.isnan(interval.high)):
        low, high = axis.position(interval.low), axis.position(interval.high)
        path = f"M{num(low)} {num(y - 5)}v10M{num(high)} {num(y - 5)}v10"
        # An open dot is hollow: its line ends at it.
        path += f"M{num(low)} {num(y)}H{num(x - 5)}" if x - 5 > low else ""
        path += f"M{num(x + 5)} {num(y)}H{num(high)}" if x + 5 < high else ""
        parts.append(f'<path class="ci" d="{path}"/>')
    kind = "pt" if interval.is_decided else "open"
    parts.append(f'<circle class="{kind}" cx="{num(x)}" cy="{num(y)}" r="5"/>')
    half = len(interval.label) * _CHARACTER / 2
    middle = min(max(x, axis.left - 20 + half), axis.right + 36 - half)
    return [*parts, svg.text(middle, y - 14, interval.label, anchor="middle", kind="halo")]


def _axis(panel: Panel, left: float, right: float) -> _Axis:
    figures = [
        figure
        for interval in panel.intervals
        if interval is not None
        for figure in interval[:3]
        if math.isfinite(figure) and (figure > 0 or not panel.is_ratio)
    ]
    if panel.is_ratio:
        ticks, reference = _ratio_ticks([math.log2(figure) for figure in figures]), 1.0
        low, high = math.log2(ticks[0]), math.log2(ticks[-1])
        labels = [factor(tick) for tick in ticks]
    else:
        ticks, reference = _even_ticks(figures), 0.0
        low, high = ticks[0], ticks[-1]
        digits = digits_for(*ticks[:2]) if len(ticks) > 1 else 0
        labels = [signed(tick, digits) for tick in ticks]

    def position(figure: float) -> float:
        if panel.is_ratio:
            figure = math.log2(figure) if figure > 0 else low
        share = (figure - low) / (high - low)
        return left + (right - left) * min(1.0, max(0.0, share))

    return _Axis(left, right, position, list(zip(ticks, labels, strict=True)), reference)


def _even_ticks(figures: Sequence[float]) -> list[float]:
    """Round figures that cover these, and 0.

    Example:
        >>> _even_ticks([-7.0, 13.0])
        [-8.0, -4.0, 0.0, 4.0, 8.0, 12.0, 16.0]
    """
    low = max(-_LARGEST, min([0.0, *figures]))
    high = min(_LARGEST, max([0.0, *figures]))
    if high - low < 1 / _LARGEST:
        low, high = -1.0, 1.0
    step = 10.0 ** math.floor(math.log10((high - low) / _MAX_TICKS))
    for factor_ in (1, 2, 4, 5, 10, 20, 40, 50):
        first, last = math.floor(low / (step * factor_)), math.ceil(high / (step * factor_))
        if last - first < _MAX_TICKS:
            return [place * step * factor_ for place in range(first, last + 1)]
    return [low, 0.0, high]


def _ratio_ticks(logs: Sequence[float]) -> list[float]:
    """Ratios that cover these, given as their binary logarithms, and 1.

    Example:
        >>> _ratio_ticks([-1.7, 1.3]), _ratio_ticks([0.05, 0.1])
        ([0.25, 0.5, 1.0, 2.0, 4.0], [0.8, 0.9, 1.0, 1.11, 1.25])
    """
    most = max([0.0, *map(abs, logs)])
    if most <= math.log2(1.25):
        return [0.8, 0.9, 1.0, 1.11, 1.25]
    most_log = math.log2(_LARGEST)
    low = math.floor(max(-most_log, min([0.0, *logs])))
    high = math.ceil(min(most_log, max([0.0, *logs])))
    step = max(1, math.ceil((high - low) / (_MAX_TICKS - 1)))
    first, last = math.floor(low / step), math.ceil(high / step)
    return [2.0 ** (place * step) for place in range(first, last + 1)]


def summary_words(title: str, names: Sequence[str], panel: Panel) -> str:
    """What a panel shows, for those who can't see it.

    Example:
        >>> panel = Panel("Score", [Interval(8, 3, 13, "+8 (3 to 13)"), None])
        >>> summary_words("Score", ["opus", "haiku"], panel)
        'Score: opus +8 (3 to 13), haiku unknown'
    """
    labels = [interval.label if interval else number(math.nan) for interval in panel.intervals]
    pairs = ", ".join(f"{name} {label}" for name, label in zip(names, labels, strict=True))
    return f"{title}: {pairs}"
