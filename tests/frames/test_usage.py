"""What each model has used: the rows add up, whatever stands in the streams."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.session_folders import RUNNING, stream_fields, write_session
from testkit.streams_draw import STREAMS, answer, any_stream, lines, model_usage, result

import cpr_nb as cpr
from cpr_nb.model.events import parse_line
from cpr_nb.model.model_usage import FIGURES, ModelUsage, share_out


def result_cost_usd(stream: bytes) -> float | None:
    """What the last result line of a stream says that this run has cost."""
    results = [e for e in map(json.loads, stream.splitlines()) if e["type"] == "result"]
    if not results:
        return None
    since_last = results[-1].get("model_usage_since_last_result")
    if since_last is None:
        return float(results[-1]["total_cost_usd"])
    return float(sum(model["costUSD"] for model in since_last.values()))


def summed(usage: Any, name: str) -> float | None:
    column = usage[name].dropna()
    return None if column.empty else column.sum()


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_the_rows_of_a_recording_add_up_to_its_task_and_to_its_result(
    name: str, tmp_path: Path
) -> None:
    write_session(tmp_path, {"docs": [STREAMS[name]]})
    usage, [task] = cpr.usage_df(tmp_path), cpr.tasks_df(tmp_path, full=True).to_dict("records")
    expected = result_cost_usd(STREAMS[name])
    assert summed(usage, "cost_usd") == (None if expected is None else pytest.approx(expected))
    for figure in FIGURES:
        known = (
            None if task[figure] != task[figure] or str(task[figure]) == "<NA>" else task[figure]
        )
        assert summed(usage, figure) == known, figure


def test_all_recordings_as_one_session_add_up_task_by_task(tmp_path: Path) -> None:
    write_session(tmp_path, {name: [stream] for name, stream in STREAMS.items()})
    used = cpr.usage_df(tmp_path).groupby("task_id").cost_usd.sum(min_count=1)
    tasks = cpr.tasks_df(tmp_path).set_index("task_id").cost_usd
    assert used.dropna().to_dict() == tasks.dropna().to_dict()
    assert len(used.dropna()) == 28


def test_the_model_of_a_recording_is_the_one_that_has_worked(tmp_path: Path) -> None:
    write_session(tmp_path, {name: [STREAMS[name]] for name in ("plain", "fallback", "sigkill")})
    usage = cpr.usage_df(tmp_path)
    assert dict(zip(usage.task_id, usage.model, strict=True)) == {
        "plain": "claude-opus-5-5",
        "fallback": "claude-sonnet-5-5",
        "sigkill": "claude-opus-5-5",
    }


def test_a_resumed_conversation_is_not_counted_twice(tmp_path: Path) -> None:
    write_session(tmp_path, {"docs": [STREAMS["sess_first"], STREAMS["sess_resume"]]})
    usage = cpr.usage_df(tmp_path)
    assert usage.input_tokens.tolist() == [300], "modelUsage of the second says 300, of both"
    assert usage.cost_usd.tolist() == [pytest.approx(0.0024)]


def test_an_attempt_that_was_killed_is_counted_beside_the_one_that_came_after(
    tmp_path: Path,
) -> None:
    write_session(tmp_path, {"docs": [STREAMS["sigkill"], STREAMS["plain"]]})
    [used] = cpr.usage_df(tmp_path).to_dict("records")
    [task] = cpr.tasks_df(tmp_path, full=True).to_dict("records")
    assert used["input_tokens"] == task["input_tokens"] > 100
    assert (used["cost_usd"], task["n_unknown_costs"]) == (0.0008, 1)


# -- streams by hand --------------------------------------------------------------------------


def test_the_messages_of_a_running_task_count_once_each_and_by_model(tmp_path: Path) -> None:
    stream = lines(
        answer("m1", 1),
        answer("s1", 10, "haiku", "tool-1"),
        answer("m1", 1),
        answer("s1", 10, "haiku", "tool-1"),
        answer("m2", 100),
    )
    write_session(tmp_path, {"docs": [stream]}, state=RUNNING)
    usage = cpr.usage_df(tmp_path)
    assert dict(zip(usage.model, usage.input_tokens, strict=True)) == {"opus": 101, "haiku": 10}
    assert usage.cost_usd.isna().all(), "nobody has told a cost"


def test_several_models_and_several_results_share_the_figures_of_the_task(tmp_path: Path) -> None:
    both = {"opus": model_usage(5, 0.5), "haiku": model_usage(1, 0.1)}
    stream = lines(
        result(total_cost_usd=0.6, modelUsage=both, model_usage_since_last_result=both),
        result(
            total_cost_usd=0.9,
            modelUsage={**both, "opus": model_usage(8, 0.8)},
            model_usage_since_last_result={"opus": model_usage(3, 0.3)},
        ),
    )
    write_session(tmp_path, {"docs": [stream]})
    usage = cpr.usage_df(tmp_path).set_index("model")
    assert usage.input_tokens.to_dict() == {"opus": 8, "haiku": 1}
    assert usage.cost_usd.to_dict() == pytest.approx({"opus": 0.8, "haiku": 0.1})


def test_what_the_runner_knows_beyond_the_streams_is_no_models(tmp_path: Path) -> None:
    folder = write_session(tmp_path, {"docs": [lines(answer("m1", 1), answer("m2", 2, "haiku"))]})
    status = json.loads((folder / "status.json").read_text())
    status["tasks"][0]["input_tokens"] = 10  # as the transcript of a killed run tells it
    (folder / "status.json").write_text(json.dumps(status))
    usage = cpr.usage_df(tmp_path)
    assert usage.model.tolist()[:2] == ["opus", "haiku"] and usage.model.isna()[2]
    assert usage.input_tokens.tolist() == [1, 2, 7]


AMOUNTS = st.integers(0, 10**9) | st.floats(0, 1e6)
PARTS = st.dictionaries(st.sampled_from([None, "opus", "haiku", "sonnet"]), st.none() | AMOUNTS)


@given(AMOUNTS, PARTS)
def test_shares_add_up_and_none_is_negative(total: float, parts: Any) -> None:
    shares = share_out(total, parts)
    assert sum(shares.values()) == pytest.approx(total, rel=1e-8, abs=1e-8)
    assert min(shares.values()) >= 0


# -- any stream -------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.lists(any_stream(), min_size=1, max_size=3))
def test_whatever_the_streams_say_the_rows_of_an_ended_task_add_up(streams: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_session(Path(folder), {"docs": streams})
        usage, _ = cpr.usage_df(folder, strict=False)
        [task] = json.loads(
            cpr.tasks_df(folder, full=True)[list(FIGURES)].to_json(orient="records")
        )
    for figure in FIGURES:
        total = summed(usage, figure)
        assert total == (None if task[figure] is None else pytest.approx(task[figure])), figure


@given(any_stream())
def test_whatever_a_stream_says_so_far_no_number_is_invented(stream: bytes) -> None:
    facts, usage = stream_fields(stream), ModelUsage()
    events = [event for line in stream.splitlines() if (event := parse_line(line)) is not None]
    for event in events:
        usage.feed(event)
    figures = [f for model in usage.by_model.values() for f in model.items() if f[1] is not None]
    assert all(value >= 0 for _, value in figures)
    if not any(event["type"] == "result" for event in events):
        assert "cost_usd" not in dict(figures)
        for name in FIGURES[:-1]:
            values = [value for figure, value in figures if figure == name]
            assert (sum(values) if values else None) == facts.get(name)
