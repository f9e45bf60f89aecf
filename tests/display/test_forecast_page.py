"""What a forecast says: the ranges, why they are wide, and what to do."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from testkit.played_sessions import play_session

import cpr_nb as cpr
from cpr_nb.stats.session_forecast import forecast
from cpr_nb.store.times import parse_iso
from cpr_nb.views.rows_so_far import RowsSoFar


def durations(n: int, sigma: float = 0.5, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [60 * chance.lognormvariate(0, sigma) for _ in range(n)]


def test_a_pilot_says_what_the_rest_costs_and_waits_for_the_word(tmp_path: Path) -> None:
    session = cpr.Session(play_session(tmp_path, durations(300), n_pilot=30, failed=[0]))
    shown = session.forecast()
    text = str(shown)
    assert text.startswith("≈ USD ") and "in total, and ≈" in text and "at 4 at once" in text
    assert "1 of 30 failed, so" in " ".join(text.split())
    assert "30 of 300 rows ended" in text and "s.run_rest()" in text and "±" not in text
    known = shown.figures.cost_usd
    assert known.low < sum(durations(300)) / 100 < known.high
    assert list(shown.table.columns) == ["so_far", "expected", "low", "high"]
    assert shown.table.loc["cost_usd", "low"] == known.low
    with pytest.raises(cpr.InputError, match="there is only one moment so far"):
        shown.plot()


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    session = cpr.Session(play_session(tmp_path, durations(100), n_pilot=30))
    assert str(session.forecast()) == str(session.forecast())


@pytest.mark.parametrize(
    ("n_pilot", "sigma", "why"),
    [(12, 0.3, "only 12 rows have ended"), (30, 1.8, "a few")],
    ids=["few rows", "very different"],
)
def test_where_the_high_end_means_nothing_there_is_none(
    tmp_path: Path, n_pilot: int, sigma: float, why: str
) -> None:
    folder = play_session(tmp_path, durations(200, sigma), n_pilot=n_pilot)
    shown = cpr.Session(folder).forecast()
    assert str(shown).startswith("At least USD ")
    assert f"Only the low ends can be trusted: {why}" in str(shown) or why in str(shown)
    assert shown.table.loc["cost_usd", ["high"]].isna().all()


def test_it_narrows_and_ends_as_what_it_was(tmp_path: Path) -> None:
    all_s = durations(200)
    shown = cpr.Session(play_session(tmp_path, all_s)).forecast()
    assert f"USD {sum(all_s) / 100:.0f}" in str(shown)
    assert "all 200 rows have ended" in str(shown) and "actual" in str(shown)
    assert 'class="band"' in shown.plot().svg
    html = shown._repr_mimebundle_()["text/html"]
    assert "<script" not in html and "rows ended" in html


def test_rows_that_still_run_count_as_more_than_so_far(tmp_path: Path) -> None:
    """What ends first is short: its mean alone would promise half of the truth."""
    all_s = durations(200, 0.9)
    folder = play_session(tmp_path, all_s, n_slots=32, until_end_of=30)
    session = cpr.Session(folder)
    rows = RowsSoFar(session.snapshot)
    at_s = max(t for task in session.snapshot.tasks or () if (t := parse_iso(task.get("ended_at"))))
    progress = rows.progress(at_s)
    naive = sum(row.cost_usd or 0 for row in progress.ended) / 30 * 200
    made = forecast(progress, "1").cost_usd
    assert naive < 0.75 * sum(all_s) / 100 < made.value
    assert made.low < sum(all_s) / 100


def test_with_one_row_there_is_no_forecast(tmp_path: Path) -> None:
    folder = play_session(tmp_path, durations(9), until_end_of=1)
    with pytest.raises(cpr.SessionNotUsable, match="it needs 2, better 20"):
        cpr.Session(folder).forecast()


def test_a_row_of_several_tasks_has_a_failure_and_does_not_fail(tmp_path: Path) -> None:
    folder = play_session(tmp_path, durations(6), failed=[0, 2])
    spec = json.loads((folder / "session.json").read_text())
    for index, task in enumerate(spec["tasks"]):
        task |= {"row": index // 2, "factors": {"model": ["haiku", "opus"][index % 2]}}
    (folder / "session.json").write_text(json.dumps(spec))
    assert "all 3 rows have ended. 2 of 3 had a failure." in str(cpr.Session(folder).forecast())


def test_nothing_is_said_of_failures_where_no_row_tells(tmp_path: Path) -> None:
    folder = play_session(tmp_path, durations(1))
    status = json.loads((folder / "status.json").read_text())
    status["tasks"][0] |= {"outcome": "cancelled", "reason": "cancelled"}
    (folder / "status.json").write_text(json.dumps(status))
    text = " ".join(str(cpr.Session(folder).forecast()).split())
    assert "its row has ended." in text and "failed." not in text
    assert "1 row ended without saying anything about others" in text
    assert "only what it cost is in the sum" in text


def test_rows_that_say_nothing_have_ended_and_unknown_costs_make_a_least(tmp_path: Path) -> None:
    folder = play_session(tmp_path, durations(40), n_pilot=30)
    status = json.loads((folder / "status.json").read_text())
    ran = [task for task in status["tasks"] if task.get("attempts")]
    ran[0] |= {"outcome": "failed", "reason": "network", "cost_usd": None}
    (folder / "status.json").write_text(json.dumps(status))
    text = " ".join(str(cpr.Session(folder).forecast()).split())
    assert "30 of 40 rows ended" in text and "None of 29 failed" in text
    assert "The cost of 1 row is unknown: the forecast of the cost lacks it." in text
    status["tasks"], status["total"] = ran, len(ran)
    (folder / "status.json").write_text(json.dumps({**status, "pilot": None}))
    text = " ".join(str(cpr.Session(folder).forecast()).split())
    assert text.startswith("At least USD ") and "all 30 rows have ended" in text
    assert "The cost of 1 row is unknown: it is not in the sum." in text


def test_without_rows_there_is_no_forecast(tmp_path: Path) -> None:
    folder = play_session(tmp_path, durations(1))
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "total": 0, "tasks": []}))
    with pytest.raises(cpr.SessionNotUsable, match="it has no rows yet"):
        cpr.Session(folder).forecast()
