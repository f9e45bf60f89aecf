"""Logs of Inspect: what is written of odd sessions, and what is read of odd logs."""

from __future__ import annotations

import copy
import json
import random
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.session_folders import write_session

import cpr_nb as cpr
from cpr_nb.exchange.exports import export_session
from cpr_nb.exchange.stream_steps import REDACTED
from cpr_nb.store.read import read_session

LONG = "a long text, " * 20
ZSTANDARD = 93


def said(message_id: str, *blocks: dict[str, Any], parent: str | None = None) -> bytes:
    message = {"id": message_id, "role": "assistant", "model": "m", "content": list(blocks)}
    event = {"type": "assistant", "message": message, "parent_tool_use_id": parent}
    return json.dumps({**event, "timestamp": "2026-05-01T10:00:01.000Z"}).encode() + b"\n"


def use(call_id: str, name: str = "Bash", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def result(call_id: str, words: str, parent: str | None = None) -> bytes:
    block = {"type": "tool_result", "tool_use_id": call_id, "content": words}
    event = {"type": "user", "message": {"role": "user", "content": [block]}}
    return json.dumps({**event, "parent_tool_use_id": parent}).encode() + b"\n"


def exported(root: Path, **options: Any) -> Path:
    return export_session(read_session(str(root)), "inspect", root.parent / "l.eval", **options)


def sample_of(log: Path, task_id: str = "a") -> dict[str, Any]:
    with zipfile.ZipFile(log) as archive:
        sample: dict[str, Any] = json.loads(archive.read(f"samples/{task_id}_epoch_1.json"))
        return sample


def sent(sample: dict[str, Any]) -> list[list[str]]:
    """The ids of the messages that each request had."""
    pool = [message["id"].partition(".")[0] for message in sample["events_data"]["messages"]]
    events = [event for event in sample["events"] if event["event"] == "model"]
    return [[one for a, b in event["input_refs"] for one in pool[a:b]] for event in events]


SUBAGENTS = (
    said("m1", use("s1", "Task", subagent_type="critic"), use("s2", "Task"))
    + said("x1", use("x"), parent="s1")
    + said("y1", text("y"), parent="s2")
    + result("x", "found", parent="s1")
    + said("x2", text("x"), parent="s1")
    + result("s1", "one")
    + result("s2", "two")
    + said("m2", text("done"))
)


def test_each_agent_was_sent_its_own_messages(tmp_path: Path) -> None:
    sample = sample_of(exported(write_session(tmp_path, {"a": [SUBAGENTS]})))
    main = ["prompt", "m1", "result-s1", "result-s2"]
    assert sent(sample) == [["prompt"], [], [], ["x1", "result-x"], main]
    names = [event.get("name") for event in sample["events"] if event["event"] == "span_begin"]
    assert names == ["critic", "subagent"]
    begun, ended = (
        [event["id"] for event in sample["events"] if event["event"] == kind]
        for kind in ("span_begin", "span_end")
    )
    assert sorted(begun) == sorted(ended) and len(begun) == 2


def test_attempts_are_spans(tmp_path: Path) -> None:
    streams = {"a": [said("m1", text("first")), said("m2", text("second"))]}
    sample = sample_of(exported(write_session(tmp_path, streams)))
    spans = [event["name"] for event in sample["events"] if event["event"] == "span_begin"]
    assert spans == ["attempt 1", "attempt 2"]
    models = [event["span_id"] for event in sample["events"] if event["event"] == "model"]
    assert [span.partition(".")[0] for span in models] == ["attempt-1", "attempt-2"]


def test_models_are_told_apart_there_and_back(tmp_path: Path) -> None:
    counts = {"inputTokens": 10, "outputTokens": 4, "cacheReadInputTokens": 0}
    by_model = {
        "opus": {**counts, "cacheCreationInputTokens": 7, "costUSD": 0.5},
        "haiku": {**counts, "cacheCreationInputTokens": 0, "costUSD": 0.25},
    }
    end = {"type": "result", "is_error": False, "modelUsage": by_model, "total_cost_usd": 0.75}
    stream = said("m1", text("done")) + json.dumps(end).encode() + b"\n"
    cut_off = said("m1", text("half"))  # nothing says what it used
    root = write_session(tmp_path, {"a": [stream, stream], "b": [cut_off]})
    log = exported(root)
    assert [*sample_of(log)["model_usage"]] == ["anthropic/opus", "anthropic/haiku"]
    assert "model_usage" in sample_of(log, "b") and not sample_of(log, "b")["model_usage"]
    (again,) = cpr.import_sessions(log, tmp_path / "results")
    ours, theirs = (one.usage_df().drop(columns="session_id") for one in (cpr.Session(root), again))
    pd.testing.assert_frame_equal(ours, theirs)
    assert ours["cost_usd"].tolist() == [1.0, 0.5]


def test_a_long_text_of_the_events_is_there_once(tmp_path: Path) -> None:
    stream = said("m1", use("c", command=LONG)) + result("c", LONG) + said("m2", text(LONG))
    sample = sample_of(exported(write_session(tmp_path, {"a": [stream]})))
    assert list(sample["attachments"].values()) == [LONG]
    assert json.dumps(sample["events"]).count(LONG) == 0


def test_the_viewer_of_inspect_shows_why_a_task_failed(tmp_path: Path) -> None:
    why = {"outcome": "failed", "reason": "check_failed", "error": "1 test failed"}
    state = {"status": "completed", "state": "ended", **why}
    sample = sample_of(exported(write_session(tmp_path, {"a": [said("m1")]}, state=state)))
    (event,) = (event for event in sample["events"] if event["event"] == "error")
    for error in (sample["error"], event["error"]):
        assert error["traceback_ansi"] == error["message"] == "failed: check_failed: 1 test failed"


def test_nothing_that_was_written_is_in_a_redacted_log(tmp_path: Path) -> None:
    secret = "xyzzy"
    stream = said("m1", text(secret), use("c", secret=secret)) + result("c", secret)
    state = {"status": "completed", "state": "ended", "outcome": "failed", "error": secret}
    root = write_session(tmp_path, {"a": [stream]}, state=state, cwd=f"/{secret}")
    spec = {"tasks": [{"id": "a", "prompt": secret, "factors": {"note": secret}}]}
    (root / "session.json").write_text(json.dumps(spec))
    for redact in (False, True):
        with zipfile.ZipFile(exported(root, redact=redact)) as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
        assert (secret.encode() in content) != redact
        assert (REDACTED.encode() in content) == redact


def test_numbers_that_only_python_reads_are_left_out(tmp_path: Path) -> None:
    odd = said("m1", use("c1", x=float("nan"), y=float("inf")))
    log = exported(write_session(tmp_path, {"a": [odd]}))
    with zipfile.ZipFile(log) as archive:
        for name in archive.namelist():
            json.loads(archive.read(name), parse_constant=pytest.fail)
    assert '"x": null' in json.dumps(sample_of(log))


def test_a_name_that_inspect_would_not_open_is_refused(tmp_path: Path) -> None:
    snapshot = read_session(str(write_session(tmp_path, {"a": [SUBAGENTS]})))
    with pytest.raises(cpr.InputError, match=r"names end in \.eval: name it out\.eval"):
        export_session(snapshot, "inspect", tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_the_memory_is_that_of_a_message(tmp_path: Path) -> None:
    """A stream of 30 MB, of which each text differs, so that none is shared."""
    lines = []
    for i in range(300):
        lines.append(said(f"m{i}", use(f"c{i}", command=f"{i} " * 10_000)))
        lines.append(result(f"c{i}", f"{i}: " * 10_000))
    root = write_session(tmp_path, {"a": [b"".join(lines)]})
    del lines
    snapshot = read_session(str(root))
    assert (root / "task-a.jsonl").stat().st_size > 2e7
    tracemalloc.start()
    try:
        log = export_session(snapshot, "inspect", tmp_path / "l.eval")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5e6
    assert len(sample_of(log)["attachments"]) == 600


# -- logs that are read ---------------------------------------------------------------------------


def pack(path: Path, members: dict[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            archive.writestr(name, value if isinstance(value, bytes) else json.dumps(value))
    return path


def header(**more: Any) -> dict[str, Any]:
    evaluation = {"eval_id": "e1", "task": "quiz", "created": "2026-05-01T10:00:00+00:00"}
    return {"version": 2, "status": "success", "eval": evaluation, **more}


def question(sample_id: Any, **more: Any) -> dict[str, Any]:
    usage = {"openai/gpt-5": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}}
    return {"id": sample_id, "epoch": 1, "input": "1 + 1?", "model_usage": usage, **more}


def imported(tmp_path: Path, *samples: dict[str, Any]) -> Any:
    log = tmp_path / "quiz.json"
    log.write_text(json.dumps(header(samples=list(samples))))
    (session,) = cpr.import_sessions(log, tmp_path / "results")
    return session.tasks_df(full=True)


LIMIT = {"type": "time", "limit": 5}


@pytest.mark.parametrize(
    ("more", "outcome", "reason"),
    [
        pytest.param({}, "succeeded", "completed", id="good"),
        pytest.param({"error": {"message": "no"}}, "failed", "unknown", id="error"),
        pytest.param({"limit": LIMIT}, "timed_out", "timeout", id="time"),
        pytest.param({"limit": {"type": "cost"}}, "failed", "budget", id="cost"),
        pytest.param({"limit": {"type": "new"}}, "failed", "unknown", id="unknown limit"),
        pytest.param({"limit": {"type": "operator"}}, "cancelled", "cancelled", id="operator"),
        pytest.param({"metadata": {"cpr_outcome": "running"}}, "lost", "unknown", id="running"),
        pytest.param({"metadata": {"cpr_outcome": "pending"}}, "skipped", "unknown", id="pending"),
        pytest.param({"metadata": {"cpr_outcome": "lost"}}, "lost", "unknown", id="no reason"),
    ],
)
def test_how_a_sample_ended(
    tmp_path: Path, more: dict[str, Any], outcome: str, reason: str
) -> None:
    (row,) = imported(tmp_path, question("a", **more)).to_dict("records")
    assert (row["outcome"], row["reason"]) == (outcome, reason)
    assert (row["input_tokens"], row["output_tokens"]) == (5, 7)
    assert pd.isna(row["cost_usd"])


def test_a_model_that_nobody_knows_stays_unknown(tmp_path: Path) -> None:
    line = {"type": "result", "is_error": False, "usage": {"input_tokens": 5, "output_tokens": 7}}
    root = write_session(tmp_path, {"a": [json.dumps(line).encode() + b"\n"], "b": [b""]})
    (there,) = cpr.import_sessions(exported(root), tmp_path / "there")
    (row,) = there.usage_df().to_dict("records")
    assert pd.isna(row["model"]) and (row["input_tokens"], row["output_tokens"]) == (5, 7)
    assert there.tasks_df(full=True)["input_tokens"].isna().tolist() == [False, True]


def test_samples_keep_the_order_of_the_data_set_and_epochs_are_told_apart(tmp_path: Path) -> None:
    data = header()
    data["eval"]["dataset"] = {"sample_ids": ["b b", 1]}
    samples = [question(1), question("b b"), question("b b", epoch=2)]
    names = ["samples/1_epoch_1.json", "samples/b b_epoch_1.json", "samples/b b_epoch_2.json"]
    members = {"header.json": data, **dict(zip(names, samples, strict=True))}
    (session,) = cpr.import_sessions(pack(tmp_path / "q.eval", members), tmp_path / "results")
    assert session.tasks_df()["task_id"].tolist() == ["b-b", "b-b_epoch_2", "1"]


def as_zstandard(path: Path) -> Path:
    """Says of each member that it is packed with Zstandard; its bytes are so already."""
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(mark)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, ZSTANDARD)
            at = data.find(mark, at + 4)
    path.write_bytes(data)
    return path


def test_logs_that_are_packed_with_zstandard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zstandard

    members = {"header.json": header(), "samples/a_epoch_1.json": question("a")}
    squeezed = {
        name: zstandard.compress(json.dumps(value).encode()) for name, value in members.items()
    }
    log = as_zstandard(pack(tmp_path / "q.eval", squeezed))
    (session,) = cpr.import_sessions(log, tmp_path / "results")
    assert session.tasks_df()["prompt"].tolist() == ["1 + 1?"]
    for module in ("zstandard", "backports.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    if sys.version_info < (3, 14):
        with pytest.raises(cpr.InputError, match="pip install zstandard"):
            cpr.import_sessions(log, tmp_path / "other results")


BAD_LOGS = {
    "no zip": b"PK\x03\x04 and no more",
    "no JSON": b'{"version": 2, "eval": {"eval_id": "a"',
    "another version": json.dumps(header(version=1)).encode(),
    "no evaluation": b'{"version": 2, "eval": []}',
}


@pytest.mark.parametrize("name", BAD_LOGS)
def test_what_is_no_log_is_refused(tmp_path: Path, name: str) -> None:
    log = tmp_path / ("l.eval" if name == "no zip" else "l.json")
    log.write_bytes(BAD_LOGS[name])
    with pytest.raises(cpr.InputError, match=r"Inspect"):
        cpr.import_sessions(log, tmp_path / "results")
    assert not list(tmp_path.glob("results/*session*"))


@pytest.mark.parametrize("is_zstandard", [False, True], ids=["deflate", "zstandard"])
def test_a_damaged_archive_is_read_or_refused(tmp_path: Path, is_zstandard: bool) -> None:
    import zstandard

    parts_of_it = {f"samples/{name}_epoch_1.json": question(name) for name in "abc"}
    parts_of_it["header.json"] = header()
    members = {name: json.dumps(value).encode() for name, value in parts_of_it.items()}
    if is_zstandard:
        squeezed = {name: zstandard.compress(data) for name, data in members.items()}
        whole = as_zstandard(pack(tmp_path / "q.eval", squeezed)).read_bytes()
    else:
        with zipfile.ZipFile(tmp_path / "q.eval", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        whole = (tmp_path / "q.eval").read_bytes()
    log, draw = tmp_path / "l.eval", random.Random(19)
    n_refused = 0
    for number in range(150):
        data = bytearray(whole)
        for _ in range(3):
            data[draw.randrange(len(data))] = draw.randrange(256)
        log.write_bytes(data)
        try:
            cpr.import_sessions(log, tmp_path / f"results {number}")
        except cpr.InputError:
            n_refused += 1
        assert not list(tmp_path.glob(f"results {number}/.new-*"))
    assert n_refused > 50


def parts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all parts of a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path] if path else []
    for key, part in items:
        inner = (*path, key)
        found += parts(part, inner) if isinstance(part, dict | list) else [inner]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_sample_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    whole = sample_of(exported(write_session(tmp_path, {"a": [SUBAGENTS]})))
    draw = random.Random(seed)
    odd = [None, [], {}, 0, -1, 1e300, "", "x", True, [None], {"a": None}, "\ud800", [[1, 2]]]
    log = tmp_path / "quiz.json"
    for i in range(40):
        sample = copy.deepcopy(whole)
        *above, last = draw.choice(parts(whole))
        place = sample
        for key in above:
            place = place[key]
        place[last] = draw.choice(odd)
        log.write_text(json.dumps(header(samples=[sample])))
        try:
            (session,) = cpr.import_sessions(log, tmp_path / f"results {i}")
        except cpr.InputError:
            continue
        assert len(session.tasks_df(full=True)) == 1 and len(session.events_df()) > 0
        session.tool_calls_df(), session.usage_df()
