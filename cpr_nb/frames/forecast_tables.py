"""Forecasts of sessions: made, kept beside what came true, and as tables."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import RESULTS_DIR_ATTR, TIME, Column, DataFrame, table
from cpr_nb.frames.table_html import set_html
from cpr_nb.model import states
from cpr_nb.model.denial_summary import DenialSummary
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.json_values import number
from cpr_nb.model.public import public
from cpr_nb.model.row_progress import SessionProgress
from cpr_nb.stats.draws import Prediction
from cpr_nb.stats.session_forecast import FEWEST_ENDED, ForecastPoint, ShownForecast, forecast
from cpr_nb.store import catalog
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.forecast_file import append_forecast, read_forecasts
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.times import utc_iso
from cpr_nb.views.rows_so_far import RowsSoFar
from cpr_nb.views.stream_denials import read_denials

#: A picture of how the forecast has narrowed has at most so many moments.
_MOST_POINTS = 14
_FUTURES_A_POINT = 1000
_FEWEST_BEFORE = 10  # rows of the first moment, without a pilot
_MOST_STREAMS = 200  # that are read to name what was denied

FORECASTS = (
    Column("session_id", "string", "the session"),
    Column("name", "string", "its name"),
    Column("at", TIME, "when the forecast was shown"),
    Column("n_ended", "Int64", "rows that had ended then"),
    Column("n_rows", "Int64", "rows in all"),
    Column("cost_usd", "Float64", "what all rows were expected to cost, in US dollars"),
    Column("cost_low_usd", "Float64", "the low end of the range"),
    Column("cost_high_usd", "Float64", "its high end; missing if only the low end was trusted"),
    Column("actual_cost_usd", "Float64", "what they did cost; missing before the session's end"),
    Column("is_cost_held", "boolean", "whether that was in the range"),
    Column("time_s", "Float64", "how long tasks were expected to run in all, in seconds"),
    Column("time_low_s", "Float64", "the low end of the range"),
    Column("time_high_s", "Float64", "its high end; missing if only the low end was trusted"),
    Column("actual_time_s", "Float64", "how long they did run; missing before the session's end"),
    Column("is_time_held", "boolean", "whether that was in the range"),
)


def make_forecast(snapshot: Snapshot) -> ShownForecast:
    """Predicts the rest of a session, as of now and as it would have been earlier.

    Args:
        snapshot: The session, with its tasks.

    Raises:
        SessionNotUsable: If too few rows have ended.
    """
    rows = RowsSoFar(snapshot)
    progress = rows.progress()
    if not progress.n_rows:
        raise SessionNotUsable(f"can't forecast {snapshot.session_id}: it has no rows yet")
    is_over = not (progress.n_more or progress.running)
    if len(progress.ended) < FEWEST_ENDED and not is_over:
        raise SessionNotUsable(
            f"can't forecast {snapshot.session_id}: {len(progress.ended)} of its rows have ended "
            f"in a way that says something about others; it needs {FEWEST_ENDED}, better 20"
        )
    figures = forecast(progress, snapshot.session_id)
    now = ForecastPoint(len(progress.ended), figures.cost_usd, figures.time_s)
    return ShownForecast(
        session_id=snapshot.session_id,
        at=utc_iso(time.time()),
        progress=progress,
        figures=figures,
        points=[*_earlier(snapshot, rows, len(progress.ended)), now],
        denied_rules=_denied_rules(snapshot) if any(row.is_denied for row in progress.rows) else (),
    )


def _earlier(snapshot: Snapshot, rows: RowsSoFar, n_now: int) -> Iterator[ForecastPoint]:
    """What would have been forecast at the ends of earlier rows."""
    ends_s = rows.ends_s()
    pilot = snapshot.head.get("pilot")
    first = _FEWEST_BEFORE
    if isinstance(pilot, dict):
        n_pilot = int(number(pilot.get("n_tasks")) or 0) // rows.tasks_per_row
        first = max(FEWEST_ENDED, n_pilot)
    if n_now <= first or len(ends_s) <= first:
        return
    step = max(1, math.ceil((n_now - first) / _MOST_POINTS))
    for n_ended in range(first, min(n_now, len(ends_s)), step):
        progress = rows.progress(ends_s[n_ended - 1])
        figures = forecast(progress, snapshot.session_id, _FUTURES_A_POINT)
        if figures.cost_usd.is_known:
            yield ForecastPoint(len(progress.ended), figures.cost_usd, figures.time_s)


def _denied_rules(snapshot: Snapshot) -> list[str]:
    denials: list[dict[str, Any]] = []
    denied = [task for task in snapshot.tasks or () if task.get("n_denials")]
    for task in denied[:_MOST_STREAMS]:
        denials += read_denials(snapshot.paths.newest_stream(task))
    return DenialSummary(denials).rules


def figures_table(shown: ShownForecast) -> DataFrame:
    """The figures of a forecast as a table, one row per figure.

    Args:
        shown: The forecast.
    """
    figures = shown.figures
    rows = [
        ("cost_usd", shown.progress.spent_usd, figures.cost_usd),
        ("time_s", shown.progress.elapsed_s, figures.time_s),
        ("n_tokens", shown.progress.n_tokens, figures.n_tokens),
        ("n_failed", sum(row.is_failed for row in shown.progress.ended), figures.n_failed),
        ("n_denied", sum(row.is_denied for row in shown.progress.ended), figures.n_denied),
    ]
    cells = [
        {
            "figure": name,
            "so_far": float(so_far),
            "expected": prediction.value + (so_far if name in ("n_failed", "n_denied") else 0),
            "low": prediction.low + (so_far if name in ("n_failed", "n_denied") else 0),
            "high": prediction.high + (so_far if name in ("n_failed", "n_denied") else 0),
        }
        for name, so_far, prediction in rows
    ]
    made = pd.DataFrame(cells).set_index("figure")
    made.attrs["method"] = "90 % ranges of the totals; docs/forecasts.md"
    return made


# -- forecasts beside what came true ---------------------------------------------------------


def keep_forecast(snapshot: Snapshot, shown: ShownForecast) -> None:
    """Keeps a forecast in the session's folder, if the session is ours and not over.

    Args:
        snapshot: The session.
        shown: The forecast.
    """
    if shown.is_over or read_marks().is_foreign(snapshot.head, snapshot.session_id):
        return
    fields: dict[str, Any] = {"at": shown.at, "n_ended": len(shown.progress.ended)}
    fields["n_rows"] = shown.progress.n_rows
    for name, unit, prediction in (
        ("cost", "usd", shown.figures.cost_usd),
        ("time", "s", shown.figures.time_s),
    ):
        fields |= _as_json(name, unit, prediction)
    append_forecast(snapshot.paths, fields)


def _as_json(name: str, unit: str, prediction: Prediction) -> dict[str, float]:
    values = {
        f"{name}_{unit}": prediction.value,
        f"{name}_low_{unit}": prediction.low,
        f"{name}_high_{unit}": prediction.high,
    }
    return {key: round(value, 6) for key, value in values.items() if math.isfinite(value)}


@public
def forecasts_df(results_dir: str | os.PathLike[str] | None = None) -> DataFrame:
    """Every forecast that `Session.forecast` has shown, beside what came true.

    Args:
        results_dir: The results directory, if it is not the default one.

    Returns:
        One row per forecast, the newest session first: what was forecast, its range, what it was
        in the end, and whether that was in the range. Nine of ten should be.

    Raises:
        ResultsDirError: If the results directory can't be read.

    Example:
        >>> import cpr_nb as cpr
        >>> len(cpr.forecasts_df("/none"))
        0
    """
    folder = catalog.results_dir(results_dir, os.environ)
    rows = [row for head in catalog.list_sessions(folder) for row in _kept_rows(head)]
    made = table(rows, FORECASTS)
    made.attrs[RESULTS_DIR_ATTR] = str(folder)
    return set_html(made)


def _kept_rows(head: Snapshot) -> Iterator[dict[str, Any]]:
    kept = read_forecasts(head.paths)
    if not kept:
        return
    actual = _actual(head)
    for fields in kept:
        row = {name: value for name, value in fields.items() if name in _KEPT}
        row |= {"session_id": head.session_id, "name": head.head.get("name")}
        if actual is not None:
            row["actual_cost_usd"], row["actual_time_s"] = actual.spent_usd, actual.elapsed_s
            for name, unit in (("cost", "usd"), ("time", "s")):
                row[f"is_{name}_held"] = _is_held(row, name, unit)
        yield row


_KEPT = {column.name for column in FORECASTS} - {"session_id", "name"}


def _actual(head: Snapshot) -> SessionProgress | None:
    """What a session used in the end; None if not all its rows have run."""
    if head.state not in states.ENDED_STATES:
        return None
    progress = RowsSoFar(read_session(head.paths.root)).progress()
    return None if progress.n_more or progress.n_missing else progress


def _is_held(row: dict[str, Any], name: str, unit: str) -> bool | None:
    low, high = number(row.get(f"{name}_low_{unit}")), number(row.get(f"{name}_high_{unit}"))
    if low is None:
        return None
    actual = row[f"actual_{name}_{unit}"]
    return bool(low <= actual and (high is None or actual <= high))


def past_forecasts(snapshot: Snapshot) -> tuple[int, int]:
    """In how many of the forecasts of other sessions the cost was in the range, and of how many.

    Args:
        snapshot: A session of the results directory.
    """
    held = forecasts_df(Path(snapshot.paths.root).parent)
    others = held[held["session_id"] != snapshot.session_id]["is_cost_held"].dropna()
    return int(others.sum()), len(others)
