"""What is left, in every view: the same forecast, and never only of what has ended."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from testkit.played_sessions import play_session

from cpr_nb.model.row_progress import RowProgress, SessionProgress
from cpr_nb.stats import live_forecast as module
from cpr_nb.stats.live_forecast import live_forecast
from cpr_nb.stats.session_forecast import forecast
from cpr_nb.stats.slots import least_s
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.figure_texts import left_text, range_text
from cpr_nb.views.figures import Figures, session_figures
from cpr_nb.views.rows_so_far import RowsSoFar


def running_session(folder: Path, n_ended: int, **head: object) -> Snapshot:
    """A session of 100 rows of about 10 s on 4 slots, as its runner sees it."""
    chance = random.Random(5)
    durations = [10 * chance.lognormvariate(0, 0.3) for _ in range(100)]
    root = str(play_session(folder, durations, until_end_of=n_ended, **head))
    snapshot = read_session(root)
    snapshot.state = "running"
    return snapshot


def test_the_live_view_shows_what_the_forecast_says(tmp_path: Path) -> None:
    snapshot = running_session(tmp_path, 40)
    figures = session_figures(snapshot, live_forecast)
    shown = figures.session(snapshot)
    progress = RowsSoFar(snapshot).progress()
    made = forecast(progress, snapshot.session_id, module._N_FUTURES)
    assert shown.total_usd is not None
    assert shown.total_usd[1] == pytest.approx(made.cost_usd.low)


def test_where_fewer_ran_at_once_than_there_are_slots_the_time_says_so() -> None:
    rows = [RowProgress(0.1, 100, [2.0 + number / 20]) for number in range(20)]
    needed_s = least_s([row.task_s[0] for row in rows], 16)
    made = {}
    for elapsed_s in (needed_s, 40.0):
        progress = SessionProgress(rows, 20, 1, 16, 2.0, 2000, elapsed_s)
        made[elapsed_s] = forecast(progress, "3f2a").time_s.plus(-elapsed_s)
    assert made[needed_s].high < 8, "20 rows on 16 slots: two rounds"
    assert made[40.0].low < 8 < 30 < made[40.0].high, "they took 40 s so far"


def test_with_few_rows_there_is_the_range_for_few(tmp_path: Path) -> None:
    snapshot = running_session(tmp_path, 10)
    assert live_forecast(snapshot, session_figures(snapshot)) is None
    assert session_figures(snapshot, live_forecast).session(snapshot).left_s is not None


def test_what_waits_for_the_word_is_not_left(tmp_path: Path) -> None:
    """A pilot of 44 tasks, of which 40 have ended: only 4 are left."""
    head = {"pilot": {"state": "runs", "n_tasks": 44, "n_held": 56}}
    snapshot = running_session(tmp_path, 40)
    all_tasks = session_figures(snapshot, live_forecast).session(snapshot)
    snapshot = running_session(tmp_path, 40, number=2, **head)
    held_figures = session_figures(snapshot, live_forecast).session(snapshot)
    assert all_tasks.total_usd and held_figures.total_usd
    assert held_figures.total_usd[0] < 0.6 * all_tasks.total_usd[0]


def test_where_the_high_end_means_nothing_it_is_not_shown(tmp_path: Path) -> None:
    snapshot = running_session(tmp_path, 10)
    figures = Figures(9, 100, {}, None, 1.0, True, 10.0, (130.0, math.inf), (3.0, 2.0, math.inf))
    assert left_text(figures, snapshot) == "at least 2 min, at least USD 2.00 in total"
    assert range_text(0.2, math.inf) == "an unknown time"
