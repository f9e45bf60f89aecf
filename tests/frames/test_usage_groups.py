"""Usage in groups: nothing is lost or counted twice, and the chart draws what the table says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from testkit.session_folders import ENDED, RUNNING, write_session
from testkit.streams_draw import STREAMS

import cpr_nb as cpr

BY = ["day", "project", "model"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two sessions in two folders on two days, and one without days, names and costs."""
    folder = tmp_path / "results"
    first = {**ENDED, "started_at": "2026-11-28T23:59:59+00:00"}
    second = {**ENDED, "started_at": "2026-11-29T00:00:01+00:00"}
    streams = {"a": [STREAMS["plain"]], "b": [STREAMS["fallback"]]}
    write_session(folder, streams, number=1, state=first, name="one", cwd="/w/shop")
    write_session(folder, {"c": [STREAMS["plain"]]}, number=2, state=second, cwd="/w/site")
    write_session(folder, {"d": [STREAMS["sigkill"]]}, number=3, state=RUNNING, cwd="/w/site")
    return folder


def rows_of(table: Any) -> list[tuple[Any, ...]]:
    table = table.astype(object).where(table.notna(), None)
    return [tuple(row) for row in table.itertuples(index=False)]


def test_days_projects_and_models(results: Path) -> None:
    usage = cpr.usage_df(results, by=BY)
    days = [None if day is None else str(day.date()) for day, *_ in rows_of(usage[BY])]
    assert list(zip(days, usage["project"], usage["model"], strict=True)) == [
        ("2026-11-28", "/w/shop", "claude-opus-5-5"),
        ("2026-11-28", "/w/shop", "claude-sonnet-5-5"),
        ("2026-11-29", "/w/site", "claude-opus-5-5"),
        (None, "/w/site", "claude-opus-5-5"),
    ]
    assert str(usage["day"].dtype) == "datetime64[us, UTC]"
    assert usage["n_unknown_costs"].fillna(0).tolist() == [0, 0, 0, 1]
    assert usage["cost_usd"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    "by", ["day", "project", "model", "session", "name", "outcome", BY], ids=str
)
def test_the_groups_add_up_to_the_tasks(by: Any, results: Path) -> None:
    whole, usage = cpr.usage_df(results), cpr.usage_df(results, by=by)
    for figure in ("input_tokens", "output_tokens", "cache_read_tokens"):
        assert usage[figure].sum() == whole[figure].sum() > -1
    assert usage["cost_usd"].sum() == pytest.approx(whole["cost_usd"].sum())


def test_one_session_and_some_of_its_tasks(results: Path) -> None:
    session = cpr.attach("00000000-0000-4000-8000-000000000001", results)
    usage = session.usage_df(by=["session", "model"])
    assert usage["session_id"].unique().tolist() == [session.id]
    assert usage["model"].tolist() == ["claude-opus-5-5", "claude-sonnet-5-5"]
    assert usage["cost_usd"].sum() == pytest.approx(session.usage_df()["cost_usd"].sum())
    assert cpr.usage_df(results, by="name", states="succeeded", name="one").shape[0] == 1
    assert session.usage_df(by="model", states="failed").empty
    assert cpr.usage_df(results, by="day", since="1h").empty


@pytest.mark.parametrize("by", ["tool", [], ["model", "model"]], ids=["tool", "none", "twice"])
def test_other_groups_are_refused(by: Any, results: Path) -> None:
    known = "the groups are day, project, model, session, name, outcome"
    with pytest.raises(cpr.InputError, match=known):
        cpr.usage_df(results, by=by)


def test_what_can_not_be_read(results: Path) -> None:
    folder = results / "session-00000000-0000-4000-8000-000000000009"
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(cpr.SessionNotUsable, match="strict=False leaves it out"):
        cpr.usage_df(results, by="model")
    usage, problems = cpr.usage_df(results, by="model", strict=False)
    assert len(usage) == 2 and len(problems) == 1


# -- the chart ------------------------------------------------------------------------------


def texts(chart: Any) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)


def test_a_chart_of_groups(results: Path) -> None:
    chart = cpr.usage_chart(cpr.usage_df(results, by=["project", "model"]))
    words = texts(chart)
    assert "/w/shop · claude-opus-5-5" in words and "USD 0.0008" in words
    assert words[1] == "USD 0.0020 in 3 groups · 1 cost unknown"
    assert "<Chart: Usage: cost: USD 0.0020" in repr(chart)


def test_a_chart_of_days(results: Path) -> None:
    usage = cpr.usage_df(results, by=["day", "model"])
    words = texts(cpr.usage_chart(usage, "output_tokens"))
    assert {"2026-11-28", "2026-11-29", "claude-opus-5-5", "claude-sonnet-5-5"} <= {*words}
    total = cpr.usage_df(results)["output_tokens"].sum()
    assert words[1] == f"{total} in 2 groups, 2026-11-28 to 2026-11-29"
    words = texts(cpr.usage_chart(cpr.usage_df(results, by="day")))
    assert words[1] == "USD 0.0020, 2026-11-28 to 2026-11-29 · 1 cost unknown"


def test_a_chart_of_many_groups(results: Path) -> None:
    usage = cpr.usage_df(results, by=["day", "model"]).iloc[[0]]
    pandas = type(usage)
    many = pandas({**{c: [usage[c].iloc[0]] * 40 for c in usage}, "model": map(str, range(40))})
    assert "33 others" in texts(cpr.usage_chart(many))
    bars = texts(cpr.usage_chart(many.drop(columns="day")))
    assert any(word.startswith("16 others: USD") for word in bars)


def test_markup_in_a_name_is_text(results: Path) -> None:
    usage = cpr.usage_df(results, by="project").assign(project="<script>x</script>")
    assert "<script" not in cpr.usage_chart(usage).html()


def test_a_chart_draws_nothing_as_zero_that_is_unknown(results: Path) -> None:
    usage = cpr.usage_df(results, by="model").assign(model=list("ab"))
    usage["cost_usd"] = usage["cost_usd"].mask(usage.model == "b")
    words = texts(cpr.usage_chart(usage))
    assert words[words.index("b") + 1] == "unknown" and "USD 0.00" not in words
    nothing = cpr.usage_chart(usage.iloc[1:])
    assert "Usage: cost: unknown in 1 group" in repr(nothing)
    words = texts(cpr.usage_chart(usage.assign(cost_usd=0.0)))
    assert words.count("USD 0.00") == 2 and "No cost is known." not in words


def test_an_empty_chart_and_no_chart(results: Path, tmp_path: Path) -> None:
    nothing = cpr.usage_chart(cpr.usage_df(tmp_path / "none", by=BY))
    assert "No cost is known." in texts(nothing)
    with pytest.raises(cpr.InputError, match="no figure 'cost': this table has input_tokens, "):
        cpr.usage_chart(cpr.usage_df(results, by="model"), "cost")
    with pytest.raises(cpr.InputError, match="without groups"):
        cpr.usage_chart(cpr.usage_df(results)[["cost_usd"]])
