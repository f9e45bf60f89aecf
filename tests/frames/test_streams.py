"""Streams as the tables read them: nothing raises, nothing is invented, nothing is lost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.session_folders import RUNNING, write_session
from testkit.streams_draw import STREAMS, any_stream, lines, message, result

import cpr_nb as cpr
from cpr_nb.frames.streams import ObjectReader
from cpr_nb.model.activity import Activity
from cpr_nb.model.denial_reasons import denials_of
from cpr_nb.model.events import content_blocks, parse_line
from cpr_nb.model.merged_result import Results

NO_JUNK = st.just([])
READ = ObjectReader().parse_event
OF_STREAMS = ("events_df", "tool_calls_df", "denials_df", "usage_df")


@given(any_stream())
def test_an_event_is_what_the_runner_would_read(stream: bytes) -> None:
    for line in stream.splitlines(keepends=True):
        mine, whole = READ(line), parse_line(line)
        assert (mine is None) == (whole is None)
        if mine is not None and whole is not None:
            assert repr(mine) == repr({name: whole[name] for name in mine})
            assert content_blocks(mine) == content_blocks(whole) or "nan" in repr(mine)


@pytest.mark.parametrize("line", [b'{"type": "x", "text": "\\ud800"}', b'{"type": "x", "n": NaN}'])
def test_what_only_the_standard_library_reads_is_read(line: bytes) -> None:
    assert READ(line) == parse_line(line)


@pytest.mark.slow
@given(any_stream(NO_JUNK), st.sampled_from([True, False]))
def test_a_stream_of_any_events_cut_anywhere_is_no_error(stream: bytes, live: bool) -> None:
    events = [e for line in stream.splitlines() if (e := parse_line(line)) is not None]
    activity = Activity()
    for event in events:
        activity.feed(event)
    with tempfile.TemporaryDirectory() as folder:
        write_session(Path(folder), {"docs": [stream]}, **({"state": RUNNING} if live else {}))
        blocks, calls, denials, _ = (getattr(cpr, name)(folder) for name in OF_STREAMS)
        task = cpr.tasks_df(folder, full=True).iloc[0]
    assert len(blocks) == sum(max(1, len(content_blocks(event))) for event in events)
    assert len(calls) == activity.n_tool_calls == task.n_tool_calls
    assert (calls.duration_s.dropna() >= 0).all()
    assert (calls.ended_at.isna() | calls.is_error.notna() | calls.output.isna()).all()
    if not live and any(event["type"] == "result" for event in events):
        results = Results()
        n_reported = 0  # since the last result line
        for event in events:
            if event["type"] == "result":
                results.add(event)
                n_reported = 0
            n_reported += event.get("subtype") == "permission_denied"
        known = denials_of(results.merged)
        assert denials.n.sum() == len(known) + n_reported
        assert task.n_denials == len(known)


@pytest.mark.slow
@given(any_stream())
def test_junk_is_reported_and_keeps_nothing_else_away(stream: bytes) -> None:
    *whole, last = stream.split(b"\n")
    junk = [line for line in whole if line.strip() and parse_line(line) is None]
    good = [line for line in [*whole, last] if parse_line(line) is not None]
    with tempfile.TemporaryDirectory() as folder:
        write_session(Path(folder), {"docs": [stream]})
        write_session(Path(folder), {"docs": [b"\n".join(good)]}, number=2)
        for name in OF_STREAMS:
            df, errors = getattr(cpr, name)(folder, strict=False)
            assert len(errors) == (1 if junk else 0)
            newer, older = (df[df.session_id.str.endswith(end)] for end in "21")
            left, right = (part.drop(columns="session_id") for part in (newer, older))
            assert left.to_csv(index=False) == right.to_csv(index=False)


# -- streams by hand --------------------------------------------------------------------------


def test_calls_that_run_at_once_are_paired_by_their_ids(tmp_path: Path) -> None:
    def call(id_: str) -> dict[str, object]:
        return {"type": "tool_use", "id": id_, "name": "Read", "input": {"file_path": id_}}

    def answer(id_: str, content: object, **more: object) -> dict[str, object]:
        return {"type": "tool_result", "tool_use_id": id_, "content": content, **more}

    stream = lines(
        message("assistant", [call("a")]),
        message("assistant", [call("b"), call("c")]),
        message("user", [answer("b", "of b", is_error=True)]),
        message("user", [answer("a", [{"type": "text", "text": "of a"}, {"type": "image"}])]),
        message("user", [answer("z", "of nobody")]),
    )
    write_session(tmp_path, {"docs": [stream]})
    calls = cpr.tool_calls_df(tmp_path)
    assert calls.target.tolist() == ["a", "b", "c"]
    assert calls.output.tolist()[:2] == ["of a\n[image]", "of b"] and calls.output.isna()[2]
    assert calls.is_error.tolist()[:2] == [False, True] and calls.is_error.isna()[2]
    assert calls.ended_at.isna().tolist() == [False, False, True]
    assert calls.permission.isna().all(), "the CLI has not said"


@pytest.mark.parametrize(
    ("decision", "permission"), [("accept", ["allowed"]), ("reject", ["denied"]), ("ask", [None])]
)
def test_a_permission_is_what_the_result_of_the_call_says(
    decision: str, permission: list[str | None], tmp_path: Path
) -> None:
    answer = message("user", [{"type": "tool_result", "tool_use_id": "a", "content": "so"}])
    answer["tool_result_meta"] = [{"id": "a", "permission_decision": {"decision": decision}}]
    call = {"type": "tool_use", "id": "a", "name": "Read"}
    write_session(tmp_path, {"docs": [lines(message("assistant", [call]), answer)]})
    told = cpr.tool_calls_df(tmp_path).permission.astype("object")
    assert told.where(told.notna(), None).tolist() == permission


def test_denials_of_a_running_task_are_reported_as_they_come(tmp_path: Path) -> None:
    recorded = STREAMS["perm_default"].splitlines(keepends=True)
    before = [line for line in recorded if json.loads(line)["type"] != "result"]
    write_session(tmp_path, {"docs": [b"".join(before)]}, state=RUNNING)
    write_session(tmp_path, {"docs": [b"".join(recorded)]}, number=2)
    df = cpr.denials_df(tmp_path).drop(columns="session_id")
    assert len(df) == 8
    assert df[:4].to_dict("records") == df[4:].to_dict("records")


def test_denials_of_all_attempts_are_counted(tmp_path: Path) -> None:
    one = lines(result(permission_denials=[{"tool_name": "Write"}]))
    write_session(tmp_path, {"docs": [one, one]})
    assert cpr.denials_df(tmp_path).n.tolist() == [2] == cpr.tasks_df(tmp_path).n_denials.tolist()
