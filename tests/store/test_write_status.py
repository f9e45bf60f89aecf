"""status.json and the small pieces: always whole JSON, the head on its first line."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model import record
from cpr_nb.model.record import first_head
from cpr_nb.store.times import utc_iso
from cpr_nb.store.write import StatusWriter, dump

LEGACY = Path(__file__).parent / "legacy-results"

# With lone surrogates, but no pairs of them: JSON makes one character of a pair.
ANY_TEXT = st.text() | st.text(st.sampled_from('a\ud800\n\r\0\u2028é"\\{}[],'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
FIELDS = st.dictionaries(ANY_TEXT, VALUES, min_size=1, max_size=4)


def written(head: dict[str, Any], bases: list[Any], updates: dict[int, Any]) -> bytes:
    writer = StatusWriter("/nowhere", head, bases)
    for task, fields in updates.items():
        writer.set_task(task, fields)
    return b"".join(writer.pieces())


@given(FIELDS | st.just({}), st.lists(FIELDS, max_size=4), st.data())
@example({"a": "\n"}, [{"\ud800": "\udfff"}], None)
def test_a_status_is_always_whole_json_with_its_head_on_the_first_line(
    head: dict[str, Any], bases: list[dict[str, Any]], data: st.DataObject | None
) -> None:
    updates = {}
    if data and bases:
        numbers = st.sampled_from(range(len(bases)))
        updates = data.draw(st.dictionaries(numbers, FIELDS, max_size=3), label="updates")
    head.pop("tasks", None)
    text = written(head, bases, updates)
    pending = record.pending_fields()
    tasks = [{**base, **updates.get(n, pending)} for n, base in enumerate(bases)]
    assert json.loads(text) == {**head, "tasks": tasks}
    first_line, _, rest = text.partition(b"\n")
    assert json.loads(first_line.rstrip(b",") + b"}") == head
    assert rest.count(b"\n") == max(len(bases), 1) + 2, "a line a task"


def test_a_task_can_be_set_again_and_again() -> None:
    writer = StatusWriter("/nowhere", {"a": 1}, [{"task_num": 1}, {"task_num": 2}])
    for status in ("running", "a longer one", "x"):
        writer.set_task(1, {"status": status})
        tasks = json.loads(b"".join(writer.pieces()))["tasks"]
        assert tasks[1] == {"task_num": 2, "status": status}
        assert tasks[0] == {"task_num": 1, **record.pending_fields()}
    assert writer.n_tasks == 2


def test_writing_a_status_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    writer = StatusWriter(str(path), {"a": 1}, [{"task_num": 1}])
    writer.write()
    with path.open("rb") as reader:
        writer.head = {"a": 2}
        writer.write(durable=True)
        assert json.load(reader)["a"] == 1
    assert json.loads(path.read_bytes())["a"] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["status.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def legacy_statuses() -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(LEGACY.glob("*/status.json"))]


def test_the_first_status_has_the_scripts_fields_to_the_letter() -> None:
    asked = {"session_id": "s-1", "start_time": 9, "created_at": "", "cwd": "/", "max_parallel": 1}
    bases = [
        record.base_fields(1, "a", "first\nprompt \u2028 é"),
        record.base_fields(2, "b", "x" * 60),
    ]
    ours = json.loads(written(first_head(asked, 2), bases, {}))
    assert (ours["session_id"], ours["start_time"]) == ("s-1", 9)
    assert (ours["overall_status"], ours["total"]) == ("running", 2)
    assert (ours["completed"], ours["successful"]) == (0, 0)
    for legacy in legacy_statuses():
        for name in set(legacy) - {"end_time"}:
            assert type(ours[name]) is type(legacy[name]), name
        for task, legacy_task in zip(ours["tasks"], legacy["tasks"], strict=False):
            for name in set(legacy_task) - {"duration"}:
                assert type(task[name]) is type(legacy_task[name]), name
    assert [
        {name: task[name] for name in ("task_num", "transaction_id", "prompt", "status", "success")}
        for task in ours["tasks"]
    ] == [
        {"task_num": 1, "transaction_id": "a", "prompt": "first\nprompt \u2028 é",
         "status": "pending", "success": 0},
        {"task_num": 2, "transaction_id": "b", "prompt": "x" * 50 + "...",
         "status": "pending", "success": 0},
    ]  # fmt: skip


# -- single values ----------------------------------------------------------------------------


@given(VALUES)
def test_what_is_dumped_is_read_back_from_one_line_of_utf8(value: Any) -> None:
    data = dump(value)
    assert b"\n" not in data
    assert json.loads(data.decode("utf-8")) == value


def test_text_is_written_as_it_is_and_a_lone_surrogate_escaped() -> None:
    assert dump({"é": "✓"}) == '{"é":"✓"}'.encode()
    assert dump("é\ud800") == b'"\\u00e9\\ud800"'


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1767225599.9996, "2025-12-31T23:59:59.999Z"),
        (1767225600.0, "2026-01-01T00:00:00.000Z"),
        (1709164800.25, "2024-02-29T00:00:00.250Z"),
    ],
)
def test_a_time_is_utc_to_the_millisecond(epoch_s: float, text: str) -> None:
    assert utc_iso(epoch_s) == text


@given(st.lists(st.floats(0, 4e9), min_size=2, max_size=5))
def test_times_sort_as_their_texts(moments: list[float]) -> None:
    texts = [utc_iso(moment) for moment in sorted(moments)]
    assert texts == sorted(texts)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text) for text in texts)
