"""A forecast in a notebook, a terminal and a file."""

from __future__ import annotations

import math
from typing import Any

from cpr_nb.display.decisions.band_chart import BandPanel, BandPoint, band_chart
from cpr_nb.display.decisions.decision_output import DecisionOutput, DecisionParts, Sentence
from cpr_nb.display.decisions.decision_table import Cell, Column, DecisionTable
from cpr_nb.model.errors import InputError
from cpr_nb.model.row_progress import SessionProgress
from cpr_nb.stats.draws import Prediction
from cpr_nb.stats.session_forecast import ForecastPoint, ShownForecast, slowdown
from cpr_nb.views.formatting import amount, clock, plural, short_count
from cpr_nb.views.task_figures import ESTIMATE_MARK

_MUCH_SLOWER = 1.5
_METHOD = (
    "90 % ranges of the totals, from 4,000 futures: half take the rows for lognormal, half only "
    "draw rows like those seen; rows that still run count as more than so far. Time: each future "
    "is scheduled on the slots, without waits for limits. `.table` has the figures, "
    "docs/forecasts.md the method."
)


class ForecastDecision(DecisionOutput):
    """The forecast of a session. The last expression of a cell shows it, and so does `print`.

    Args:
        shown: The forecast.
        table: Its figures as a DataFrame.
        past: In how many other forecasts the cost was in the range, and of how many.

    Attributes:
        figures: The figures: `cost_usd`, `time_s`, `n_tokens`, `n_failed`, `n_denied`, each with
            `value`, `low`, `high` and `wide`.
        progress: The rows that they rest on.
        table: The same as a DataFrame, one row per figure.
    """

    def __init__(self, shown: ShownForecast, table: Any, past: tuple[int, int] = (0, 0)) -> None:
        super().__init__(forecast_parts(shown, past), f"Forecast of {shown.session_id[:8]}")
        self.figures = shown.figures
        self.progress = shown.progress
        self.table = table

    def plot(self) -> Any:
        """The picture alone: how the forecast has narrowed.

        Raises:
            InputError: If there is only one moment: nothing has narrowed yet.
        """
        if not self._parts.charts:
            raise InputError(
                "shows how the forecast narrows, and there is only one moment so far: call it "
                "again once more rows have ended",
                "plot",
            )
        return super().plot()


def forecast_parts(shown: ShownForecast, past: tuple[int, int] = (0, 0)) -> DecisionParts:
    """What a forecast shows.

    Args:
        shown: The forecast.
        past: In how many other forecasts the cost was in the range, and of how many.
    """
    has_narrowed = len(shown.points) > 1
    charts = [_chart(shown)] if has_narrowed else []
    tables = [_narrowing(shown)] if has_narrowed else []
    method = _METHOD
    if past[1]:
        method = (
            f"{past[0]} of the last {plural(past[1], 'forecast')} contained the actual cost "
            f"(90 % should): `cpr.forecasts_df()`. {method}"
        )
    return DecisionParts(
        sentence=Sentence(_total_words(shown), _rest_words(shown)),
        facts=_facts(shown),
        notes=_notes(shown),
        charts=charts,
        tables=tables if has_narrowed and shown.is_over else [*tables, _figures(shown)],
        method=method,
    )


def duration_words(value_s: float) -> str:
    """A duration in words.

    Example:
        >>> duration_words(42.4), duration_words(1850), duration_words(7700)
        ('42 s', '31 min', '2 h 08 min')
    """
    if value_s < 90:
        return f"{value_s:.0f} s"
    minutes = round(value_s / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _cost(prediction: Prediction) -> str:
    return _words(prediction, lambda value: f"USD {_usd(value)}", _usd)


def _usd(value: float) -> str:
    return f"{value:,.0f}" if value >= 50 else amount(value)


def _words(prediction: Prediction, first: Any, other: Any) -> str:
    """A figure with its range, or its low end."""
    if not prediction.is_known:
        return "unknown"
    if prediction.wide:
        return f"at least {first(prediction.low)}"
    if prediction.low == prediction.high:
        return str(first(prediction.value))
    ends = f"{other(prediction.low)} to {other(prediction.high)}"
    return f"{ESTIMATE_MARK} {first(prediction.value)} ({ends})"


def _total_words(shown: ShownForecast) -> str:
    cost, time_s = shown.figures.cost_usd, shown.figures.time_s
    progress = shown.progress
    if shown.is_over:
        n = len(progress.rows)
        rows = "its row has" if n == 1 else f"all {n} rows have"
        least = "At least " if _n_unknown_costs(progress) else ""
        return f"{least}USD {amount(cost.value)} and {duration_words(time_s.value)}: {rows} ended."
    words = f"{_cost(cost)} in total, and {_words(time_s, duration_words, duration_words)}"
    return f"{words[0].upper()}{words[1:]} at {progress.n_slots} at once."


def _rest_words(shown: ShownForecast) -> str:
    ended = shown.progress.ended
    n_to_come = shown.progress.n_more + len(shown.progress.running)
    n_failed = sum(row.is_failed for row in ended)
    n_denied = sum(row.is_denied for row in ended)
    if shown.is_over and not ended:
        return "None of them says how many of others would fail."
    # Of a row with several tasks, as with vary or repeats, one is enough.
    verb = "failed" if shown.progress.tasks_per_row == 1 else "had a failure"
    if shown.is_over:
        return f"{n_failed or 'None'} of {len(ended)} {verb}."
    failed = shown.figures.n_failed
    words = [
        f"{n_failed or 'None'} of {len(ended)} {verb}, so {_count_range(failed)} of the other "
        f"{n_to_come} may."
    ]
    if n_denied:
        what = ", ".join(f"`{rule}`" for rule in shown.denied_rules[:3]) or "something"
        denied = _count_range(shown.figures.n_denied)
        words.append(
            f"{n_denied} of {len(ended)} asked for {what} and were denied; {denied} of the other "
            f"{n_to_come} may be."
        )
    return " ".join(words)


def _count_range(prediction: Prediction) -> str:
    """A range of counts in words.

    Example:
        >>> _count_range(Prediction(3, 0, 9)), _count_range(Prediction(12, 2, 45))
        ('up to 9', '2 to 45')
    """
    if not prediction.is_known:
        return "an unknown number"
    low, high = round(prediction.low), round(prediction.high)
    return f"{low} to {high}" if 0 < low < high else f"up to {high}"


def _facts(shown: ShownForecast) -> str:
    progress = shown.progress
    n_largest, share = shown.figures.largest
    prediction = shown.figures.cost_usd
    texts = [
        f"{len(progress.ended) + progress.n_missing} of {plural(progress.n_rows, 'row')} ended",
        f"USD {_usd(progress.spent_usd)} spent",
        f"{duration_words(progress.elapsed_s)} so far" if not shown.is_over else "",
        "" if shown.is_over else "90 % ranges",
    ]
    is_wide = not prediction.wide and prediction.low > 0 and prediction.high / prediction.low > 1.2
    if is_wide and not shown.is_over and share > 1.5 * n_largest / max(len(progress.ended), 1):
        rows = "1 row" if n_largest == 1 else f"{n_largest} rows"
        texts.append(
            f"so wide because {rows} of the {len(progress.ended)} took {100 * share:.0f} % of "
            "the cost"
        )
    return " · ".join(text for text in texts if text)


def _notes(shown: ShownForecast) -> list[str]:
    progress, notes = shown.progress, []
    if progress.is_held:
        notes.append(
            "Nothing more runs until you say so: `s.run_rest()`. "
            f"The {plural(len(progress.rows), 'row')} that ran count and are not run again."
        )
    if shown.wide and not shown.is_over:
        notes.append(f"Only the low ends can be trusted: {shown.wide}.")
    slower = slowdown(progress)
    if slower > _MUCH_SLOWER and not shown.is_over:
        notes.append(
            f"So far it took {slower:.1f} times as long as {progress.n_slots} at once would need. "
            "The range of the time goes from all of them at once to this pace."
        )
    if progress.n_missing:
        rows, it = plural(progress.n_missing, "row"), "it" if progress.n_missing == 1 else "they"
        notes.append(
            f"{rows} ended without saying anything about others (cancelled, or let down by "
            f"network, account or machine): only what {it} cost is in the sum."
        )
    if n_unknown := _n_unknown_costs(progress):
        what = "it is not in the sum" if shown.is_over else "the forecast of the cost lacks it"
        notes.append(f"The cost of {plural(n_unknown, 'row')} is unknown: {what}.")
    return notes


def _n_unknown_costs(progress: SessionProgress) -> int:
    """How many rows have ended, and nobody knows what they cost."""
    return sum(row.has_ended and row.cost_usd is None for row in progress.rows)


def _chart(shown: ShownForecast) -> Any:
    costs = [_band_point(point, point.cost_usd) for point in shown.points]
    times = [_band_point(point, point.time_s) for point in shown.points]
    unit, words = ("h:mm", _hours) if times[-1].value >= 3600 else ("min:s", _minutes)
    panels = [
        BandPanel("Total cost, USD", costs, _usd),
        BandPanel(f"Total time, {unit}", times, words),
    ]
    return band_chart("How the forecast narrows", panels, "rows ended")


def _minutes(value_s: float) -> str:
    """A duration beside an axis, rounded as in the table.

    Example:
        >>> _minutes(20.6)
        '0:21'
    """
    return clock(round(value_s))


def _hours(value_s: float) -> str:
    """A duration beside an axis.

    Example:
        >>> _hours(7700)
        '2:08'
    """
    minutes = round(value_s / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def _band_point(point: ForecastPoint, prediction: Prediction) -> BandPoint:
    return BandPoint(point.n_ended, prediction.value, prediction.low, prediction.high)


def _narrowing(shown: ShownForecast) -> DecisionTable:
    columns = [
        Column("rows ended", is_number=True),
        Column("total USD", is_number=True),
        Column("90 % range"),
        Column("total time", is_number=True),
        Column("90 % range"),
    ]
    step = max(1, math.ceil(len(shown.points) / 5))
    points = [*shown.points[:-1:step], shown.points[-1]]
    rows = []
    for point in points:
        is_actual = shown.is_over and point is shown.points[-1]
        tone = "strong" if is_actual else ""
        rows.append(
            [
                Cell(str(point.n_ended)),
                Cell(_middle(point.cost_usd, amount, is_actual), tone),
                Cell(_range(point.cost_usd, _usd, is_actual), "mute" if is_actual else ""),
                Cell(_middle(point.time_s, duration_words, is_actual), tone),
                Cell(_range(point.time_s, duration_words, is_actual), "mute" if is_actual else ""),
            ]
        )
    return DecisionTable("How the forecast narrows", columns, rows)


def _middle(prediction: Prediction, words: Any, is_actual: bool = False) -> str:
    if not prediction.is_known:
        return "unknown"
    return (
        str(words(prediction.value)) if is_actual else f"{ESTIMATE_MARK} {words(prediction.value)}"
    )


def _range(prediction: Prediction, words: Any, is_actual: bool = False) -> str:
    if is_actual:
        return "actual"
    if not prediction.is_known:
        return ""
    if prediction.wide:
        return f"at least {words(prediction.low)}"
    return f"{words(prediction.low)} to {words(prediction.high)}"


def _figures(shown: ShownForecast) -> DecisionTable:
    figures, progress = shown.figures, shown.progress
    n_failed = sum(row.is_failed for row in progress.ended)
    n_denied = sum(row.is_denied for row in progress.ended)
    columns = [
        Column(),
        Column("so far", is_number=True),
        Column("in total", is_number=True),
        Column("90 % range"),
    ]
    lines = [
        ("cost, USD", amount(progress.spent_usd), figures.cost_usd, _usd),
        ("time", duration_words(progress.elapsed_s), figures.time_s, duration_words),
        ("tokens", short_count(progress.n_tokens), figures.n_tokens, _count),
        ("rows that failed", str(n_failed), figures.n_failed.plus(n_failed), _rounded),
        ("rows with denials", str(n_denied), figures.n_denied.plus(n_denied), _rounded),
    ]
    rows = [
        [
            name,
            so_far,
            _middle(prediction, words, shown.is_over),
            _range(prediction, words, shown.is_over),
        ]
        for name, so_far, prediction, words in lines
    ]
    return DecisionTable("The figures of the forecast", columns, rows)


def _count(value: float) -> str:
    return short_count(round(value))


def _rounded(value: float) -> str:
    return f"{value:.0f}"
