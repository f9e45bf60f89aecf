"""How a forecast has narrowed: a band around a line, side by side for several figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num

_TOP, _BOTTOM, _GAP, _LEFT = 34.0, 150.0, 60.0, 64.0
_LABEL_WIDTH = 70.0


class BandPoint(NamedTuple):
    """What was known at one place of the axis.

    Args:
        at: The place.
        value: The figure.
        low: The low end of its range.
        high: The high end; NaN where there is none.
    """

    at: float
    value: float
    low: float
    high: float


class BandPanel(NamedTuple):
    """One figure.

    Args:
        title: What it is, with its unit.
        points: What was known of it, from left to right.
        words: A value as it stands beside the axis.
    """

    title: str
    points: Sequence[BandPoint]
    words: Callable[[float], str]


def band_chart(title: str, panels: Sequence[BandPanel], axis: str) -> Chart:
    """Draws panels side by side.

    Args:
        title: What it is.
        panels: One or two, each with a point or more.
        axis: What the places are.

    Example:
        >>> points = [BandPoint(30, 96, 79, 118), BandPoint(400, 91, 91, 91)]
        >>> chart = band_chart("Forecast", [BandPanel("Cost, USD", points, str)], "rows ended")
        >>> "Cost, USD" in chart.svg, chart.text
        (True, 'Forecast: Cost, USD 91 at 400 rows ended')
    """
    width = (svg.WIDTH - _GAP * (len(panels) - 1)) / len(panels)
    parts, words = [], []
    for place, panel in enumerate(panels):
        parts += _draw(panel, place * (width + _GAP), width, axis)
        last = panel.points[-1]
        words.append(f"{panel.title} {panel.words(last.value)} at {last.at:g} {axis}")
    text = f"{title}: {', '.join(words)}"
    return Chart(svg.document(title, text, _BOTTOM + 40, parts), text)


def _draw(panel: BandPanel, left: float, width: float, axis: str) -> list[str]:
    points = [point for point in panel.points if math.isfinite(point.value)]
    parts = [svg.text(left, 18, panel.title, kind="name", limit=60)]
    if not points:
        return [*parts, svg.text(left, 60, "not known", kind="mute")]
    x_of, y_of, low, high = _axes(points, left + _LEFT, left + width - _LABEL_WIDTH)
    parts.append(svg.hairlines(f"M{num(left + _LEFT)} {num(_BOTTOM)}H{num(left + width)}"))
    band = [point for point in points if math.isfinite(point.high)]
    if len(band) > 1:
        over = "L".join(f"{num(x_of(p.at))} {num(y_of(p.high))}" for p in band)
        under = "L".join(f"{num(x_of(p.at))} {num(y_of(p.low))}" for p in reversed(band))
        # The presentation attributes are for what shows the SVG as an image.
        colour = 'fill="#1565c0" fill-opacity=".18"'
        parts.append(f'<path class="band" {colour} d="M{over}L{under}Z"/>')
    line = "L".join(f"{num(x_of(p.at))} {num(y_of(p.value))}" for p in points)
    parts.append(f'<path class="mid" stroke="#1565c0" fill="none" d="M{line}"/>')
    last = points[-1]
    x, y = x_of(last.at), y_of(last.value)
    parts.append(f'<circle class="pt" cx="{num(x)}" cy="{num(y)}" r="4"/>')
    parts.append(svg.text(x + 10, y + 4, panel.words(last.value), kind="name"))
    for value in (low, high) if high > low else (low,):
        parts.append(
            svg.text(
                left + _LEFT - 8, y_of(value) + 4, panel.words(value), anchor="end", kind="mute"
            )
        )
    parts.append(svg.text(x_of(points[0].at), _BOTTOM + 16, f"{points[0].at:g}", kind="mute"))
    if len(points) > 1:
        parts.append(svg.text(x, _BOTTOM + 16, f"{last.at:g}", anchor="middle", kind="mute"))
    middle = left + _LEFT + (width - _LEFT - _LABEL_WIDTH) / 2
    parts.append(svg.text(middle, _BOTTOM + 32, axis, anchor="middle", kind="mute"))
    return parts


def _axes(
    points: Sequence[BandPoint], left: float, right: float
) -> tuple[Callable[[float], float], Callable[[float], float], float, float]:
    ends = [end for p in points for end in (p.low, p.value, p.high) if math.isfinite(end)]
    low, high = min(ends), max(ends)
    first, last = points[0].at, points[-1].at

    def x_of(place: float) -> float:
        return left + (right - left) * ((place - first) / (last - first) if last > first else 0.5)

    def y_of(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return _BOTTOM - 12 - (_BOTTOM - 12 - _TOP) * share

    return x_of, y_of, low, high
