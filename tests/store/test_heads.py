"""The listing's memory: the same list as without, whatever has happened in between."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broken import broken_json
from testkit.examples import SHARED_FIXTURES
from testkit.session_folders import write_session

from cpr_nb.cli.commands.overview import overview_lines
from cpr_nb.store import catalog, head_cache
from cpr_nb.store.layout import CACHE
from cpr_nb.views.rows import session_row

LONG_AGO_S = 1_000_000_000
STATUS = {
    "session_id": "1", "overall_status": "completed", "start_time": 5, "end_time": 9, "total": 1,
    "completed": 1, "successful": 1, "schema_version": 1, "cost_usd": 0.5, "name": "é",
}  # fmt: skip
LEGACY = {name: STATUS[name] for name in list(STATUS)[:7]}


@pytest.fixture
def eager() -> Iterator[None]:
    """Everything is worth keeping."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head_cache, "WORTH_S", 0.0)
        yield


def seen(directory: Path) -> list[Any]:
    """What every face shows of these sessions."""
    sessions = catalog.list_sessions(str(directory))
    rows = [session_row(session) for session in sessions]
    shown = json.dumps([rows, overview_lines(sessions)])
    return json.loads(shown.replace(str(directory), ""))


def compare(directory: Path) -> None:
    """The list twice, and that of a copy that nobody has looked at."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(directory, copy, ignore=lambda *_: [CACHE])
        fresh = seen(copy)
    assert seen(directory) == fresh
    assert seen(directory) == fresh


def write(folder: Path, data: bytes, age: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_bytes(data)
    os.utime(folder / "status.json", (LONG_AGO_S + age, LONG_AGO_S + age))


def in_our_form(status: dict[str, Any]) -> bytes:
    """With the head on a line of its own, as our writer has it."""
    return json.dumps(status).encode()[:-1] + b',\n"tasks":[\n]}\n'


STATUSES = st.one_of(
    st.sampled_from([STATUS, {**STATUS, "name": None}, {**STATUS, "x": [1.5, {"a": None}]}]).map(
        in_our_form
    ),
    st.sampled_from([STATUS, LEGACY]).map(lambda status: json.dumps(status).encode()),
    broken_json(STATUS),
)


@SHARED_FIXTURES
@given(
    st.lists(st.tuples(st.integers(0, 3), STATUSES | st.none()), min_size=1, max_size=6),
    st.sampled_from(["whole", "cut", "changed", "foreign"]),
    st.data(),
)
def test_a_second_list_is_the_first(
    eager: None, changes: list[tuple[int, bytes | None]], what: str, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        write(results / "session-0", in_our_form(STATUS), 0)
        for age, (number, status) in enumerate(changes, 1):
            compare(results)
            break_it(results / CACHE / "heads", what, data)
            session = results / f"session-{number}"
            if status is None:
                shutil.rmtree(session, ignore_errors=True)
            else:
                write(session, status, age)
        compare(results)


def break_it(path: Path, what: str, data: st.DataObject) -> None:
    whole = bytearray(path.read_bytes() if path.exists() else b"")
    if what == "whole" or not whole:
        return
    at = data.draw(st.integers(0, len(whole) - 1))
    if what == "cut":
        whole = whole[:at]
    elif what == "changed":
        whole[at] ^= data.draw(st.integers(1, 255))
    else:
        whole = bytearray(data.draw(st.binary(max_size=50)))
    path.write_bytes(whole)


def test_a_session_that_has_ended_is_read_once(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "session-1", in_our_form(STATUS), 0)
    write(tmp_path / "session-2", in_our_form({**STATUS, "overall_status": "running"}), 0)
    first = seen(tmp_path)
    read: list[str] = []
    whole = head_cache.read_session
    monkeypatch.setattr(
        head_cache, "read_session", lambda root, **how: read.append(root) or whole(root, **how)
    )
    assert seen(tmp_path) == first
    assert read == [str(tmp_path / "session-2")], "one that has not ended is read again"
    write(tmp_path / "session-1", in_our_form({**STATUS, "name": "o"}), 1)
    assert [s.head.get("name") for s in catalog.list_sessions(str(tmp_path))] == ["é", "o"]


def test_an_index_never_invents_a_session(tmp_path: Path, eager: None) -> None:
    write(tmp_path / "session-1", in_our_form(STATUS), 0)
    seen(tmp_path)
    shutil.copytree(tmp_path / CACHE, tmp_path / "other" / CACHE)
    assert catalog.list_sessions(str(tmp_path / "other")) == []
    write(tmp_path / "other" / "session-1", b"{", 0)
    assert [s.state for s in catalog.list_sessions(str(tmp_path / "other"))] == ["unreadable"]


def test_a_list_that_is_read_at_once_leaves_nothing(tmp_path: Path) -> None:
    write_session(tmp_path, {"a": [b""]})
    catalog.list_sessions(str(tmp_path))
    assert not (tmp_path / CACHE).exists()
