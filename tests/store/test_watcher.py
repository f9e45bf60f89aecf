"""Watching a session gives the same as reading it again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broken import broken_json

from cpr_nb.model import record
from cpr_nb.store.read import read_session
from cpr_nb.store.watcher import Watcher
from cpr_nb.store.write import StatusWriter

N = 4
FIELDS = st.fixed_dictionaries(
    {"state": st.sampled_from(["pending", "running", "ended"])},
    optional={"cost_usd": st.floats(0, 9), "prompt": st.text(max_size=5), "reason": st.text()},
)
HEADS = st.fixed_dictionaries(
    {"overall_status": st.sampled_from(["running", "completed"])},
    optional={"n_failed": st.integers(0, 9), "name": st.text(max_size=5)},
)


def same(watcher: Watcher) -> bool:
    """Whether it knows what a reader reads."""
    fresh, known = read_session(watcher.paths.root), watcher.snapshot
    return (fresh.head, fresh.tasks, fresh.state) == (known.head, known.tasks, known.state)


@given(st.lists(st.tuples(HEADS, st.dictionaries(st.integers(0, N - 1), FIELDS)), max_size=6))
def test_what_changes_is_what_was_written(
    writes: list[tuple[dict[str, Any], dict[int, dict[str, Any]]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "session-1")
        root.mkdir()
        bases = [record.base_fields(n + 1, f"t{n}", "p") for n in range(N)]
        head = {"schema_version": 1, "overall_status": "running"}
        writer = StatusWriter(str(root / "status.json"), head, bases)
        writer.write()
        watcher = Watcher(str(root))
        assert watcher.poll() == set(range(N))
        assert same(watcher)
        for new_head, tasks in writes:
            before = [dict(task) for task in watcher.snapshot.tasks or []]
            writer.head = {"schema_version": 1, **new_head}
            for number, fields in tasks.items():
                writer.set_task(number, fields)
            writer.write()
            changed = watcher.poll()
            assert same(watcher)
            after = watcher.snapshot.tasks or []
            # It compares what is written: fields in another order count as a change.
            assert changed == {
                n for n in range(N) if list(before[n].items()) != list(after[n].items())
            }
            assert watcher.poll() == set()


def test_only_what_has_changed_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "session-1"
    root.mkdir()
    bases = [record.base_fields(n + 1, f"t{n}", "p") for n in range(100)]
    head = {"schema_version": 1, "overall_status": "completed"}
    writer = StatusWriter(str(root / "status.json"), head, bases)
    writer.write()
    watcher = Watcher(str(root))
    watcher.poll()
    monkeypatch.delattr("cpr_nb.store.watcher.read_session")  # nothing is read as a whole
    for numbers in ([0], [99], [3, 60], [], range(100)):
        for number in numbers:
            writer.set_task(number, {"state": "ended", "n": len(list(numbers)) + number})
        writer.head["n"] = len(list(numbers))
        writer.write()
        assert watcher.poll() == set(numbers)


@pytest.mark.slow
@given(broken_json({"schema_version": 1, "total": 1, "tasks": [{"task_num": 1}]}))
def test_the_watcher_reports_a_broken_status_as_a_reader_does(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "session-1")
        root.mkdir()
        status = root / "status.json"
        head = {"schema_version": 1, "overall_status": "completed"}
        StatusWriter(str(status), head, [record.base_fields(1, "a", "p")]).write()
        watcher = Watcher(str(root))
        watcher.poll()
        status.with_suffix(".new").write_bytes(data)
        status.with_suffix(".new").replace(status)
        watcher.poll()
        assert same(watcher)


@pytest.mark.parametrize("line", [b"[]", b"null", b'{"a":'])
def test_a_line_that_is_no_task_is_read_as_a_reader_does(tmp_path: Path, line: bytes) -> None:
    root = tmp_path / "session-1"
    root.mkdir()
    head = {"schema_version": 1, "overall_status": "completed"}
    writer = StatusWriter(
        str(root / "status.json"), head, [record.base_fields(n, f"t{n}", "p") for n in (1, 2)]
    )
    writer.write()
    watcher = Watcher(str(root))
    watcher.poll()
    good = (root / "status.json").read_bytes()
    lines = good.split(b"\n")
    (root / "new").write_bytes(b"\n".join([*lines[:3], line, *lines[4:]]))
    (root / "new").replace(root / "status.json")
    watcher.poll()
    assert same(watcher)


def test_an_interruption_is_seen_without_any_change_of_the_file(tmp_path: Path) -> None:
    import fcntl

    root = tmp_path / "session-1"
    root.mkdir()
    head = {"schema_version": 1, "overall_status": "running", "state": "running"}
    bases = [record.base_fields(1, "t1", "p")]
    StatusWriter(str(root / "status.json"), head, bases).write()
    with (root / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        watcher = Watcher(str(root))
        watcher.poll()
        assert watcher.snapshot.state == "running"
    watcher.poll()
    assert watcher.snapshot.state == "interrupted"


def test_of_a_legacy_session_the_last_good_one_stays(tmp_path: Path) -> None:
    root = tmp_path / "session-1"
    root.mkdir()
    status = {"overall_status": "running", "total": 1, "tasks": [{"status": "running"}]}
    (root / "status.json").write_text(json.dumps(status))
    watcher = Watcher(str(root))
    assert watcher.poll() == {0}
    (root / "status.json").write_text('{"overall')  # it writes in place
    assert watcher.poll() == set()
    assert watcher.snapshot.count("total") == 1
