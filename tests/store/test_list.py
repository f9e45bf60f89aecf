"""`cpr list`: quick, and what a plain reading of every file would show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.broken import broken_json
from testkit.command import Cpr
from testkit.examples import SHARED_FIXTURES

from cpr_nb.cli import session_list
from cpr_nb.cli.render import ICONS, WAIT_ICON
from cpr_nb.cli.session_list import list_texts
from cpr_nb.model import states
from cpr_nb.model.text import visible_line
from cpr_nb.store import cache_files, key
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.layout import CACHE
from cpr_nb.store.list_cache import ListCache
from cpr_nb.store.read import TASKS_MARK, Snapshot, ended_head, read_session
from cpr_nb.store.seal import mark
from cpr_nb.views.durations import session_duration_s
from cpr_nb.views.notice import runner_warnings

LONG_AGO_S = 1_000_000_000
STATUS: dict[str, Any] = {
    "session_id": "1", "overall_status": "completed", "start_time": 5, "end_time": 9, "total": 1,
    "completed": 1, "successful": 1, "schema_version": 1, "cost_usd": 0.5, "name": "é",
    "n_failed": 0, "warnings": ["so"],
}  # fmt: skip
LEGACY = {
    **{name: STATUS[name] for name in list(STATUS)[:7]},
    "tasks": [{"task_num": 1, "status": "completed", "success": 1, "prompt": 'a }] "b'}],
}
WORDS = ["}]", '"tasks":[', "{", "\\", '"', ",", ":", "0", "running", "\u202e", "a", "\n", "é"]


@pytest.fixture
def eager() -> Iterator[None]:
    """Everything is worth keeping, and has settled: the tests set the times of the files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_list, "WORTH_S", 0.0)
        patch.setattr(cache_files, "SETTLED_S", -1e6)
        yield


def listed(directory: Path) -> str:
    return "".join(list_texts(str(directory)))


def plainly_listed(directory: Path) -> str:
    """The list as it reads from the whole files, without any cache."""
    sessions = [read_session(str(path)) for path in directory.glob("session-*") if path.is_dir()]
    if not sessions:
        return f"No sessions found in {directory}\n"

    def age(session: Snapshot) -> tuple[int, str, str]:
        created_at = str(session.head.get("created_at") or "")
        return session.count("start_time"), created_at, session.paths.root

    lines = ["All Sessions:", "=" * 60]
    for session in sorted(sessions, key=age, reverse=True):
        lines += [*plain_entry(session), ""]
    ends = ["Use --status SESSION_ID to see details", "Use --results SESSION_ID to see output"]
    return "".join(f"{visible_line(line)}\n" for line in [*lines, *ends])


def plain_entry(session: Snapshot) -> list[str]:
    head, count = session.head, session.count
    title = f"{ICONS.get(session.state, WAIT_ICON)} {session.session_id[:8]} [{session.state}]"
    if session.state == states.UNREADABLE:
        return [title, f"   {session.paths.root}: {session.problem or 'not a session'}"]
    if read_marks().is_foreign(head, session.session_id):
        title += " (foreign)"
    figures = [f"{count('completed')}/{count('total')} tasks ({count('successful')} successful)"]
    duration_s = session_duration_s(session)
    if duration_s is not None and not session.is_live:
        figures.append(f"Duration: {int(duration_s)}s")
    if not session.is_legacy:
        for name, word in (
            ("n_reused", "reused"),
            ("n_failed", "failed"),
            ("n_skipped", "skipped"),
        ):
            figures += [f"{count(name)} {word}"] if count(name) else []
        figures += [f"⚠ {count('n_unsaved')} not yet saved"] if count("n_unsaved") else []
        n_warnings = len(runner_warnings(session))
        figures += [f"⚠ {n_warnings} warning{'s' * (n_warnings != 1)}"] if n_warnings else []
        cost_usd = head.get("cost_usd")
        if isinstance(cost_usd, int | float):
            digits = 4 if 0 < cost_usd < 0.005 else 2
            figures.append(f"USD {cost_usd:.{digits}f} estimate")
    return [
        f"{title} {head['name']}" if head.get("name") else title,
        f"   Started: {plain_date(head.get('start_time'))}",
        f"   Progress: {' - '.join(figures)}",
    ]


def plain_date(epoch_s: object) -> str:
    try:
        return time.ctime(epoch_s) if isinstance(epoch_s, int | float) else "unknown"
    except (OverflowError, ValueError, OSError):
        return "unknown"


def write(folder: Path, data: bytes, age: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "status.json").write_bytes(data)
    os.utime(folder / "status.json", (LONG_AGO_S + age, LONG_AGO_S + age))


def in_our_form(status: dict[str, Any]) -> bytes:
    """With the head on a line of its own, as our writer has it."""
    return json.dumps(status).encode()[:-1] + TASKS_MARK + b"]}\n"


def in_legacy_form(status: dict[str, Any]) -> bytes:
    """As claude-parallel-runner.pl writes it."""
    return json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode()


def legacy_statuses() -> st.SearchStrategy[bytes]:
    """Sessions of claude-parallel-runner.pl: keys in any order, and any texts."""
    texts = st.lists(st.sampled_from(WORDS), max_size=6).map("".join)
    word = st.sampled_from(["completed", "error", "running"])
    tasks = st.fixed_dictionaries({"prompt": texts, "status": word, "success": st.integers(0, 1)})
    fields = {
        "tasks": st.lists(tasks, max_size=3), "session_id": texts, "overall_status": word | texts,
        "start_time": st.integers(0, 9), "end_time": st.integers(0, 9), "total": st.just(3),
        "completed": st.integers(0, 3), "successful": st.integers(0, 3),
    }  # fmt: skip
    shuffled = st.fixed_dictionaries(fields).flatmap(lambda s: st.permutations(list(s.items())))
    return shuffled.map(lambda pairs: in_legacy_form(dict(pairs)))


OURS = [STATUS, {**STATUS, "name": None}, {**STATUS, "name": "a\x1b[1m\u202e"},
        {**STATUS, "x": [1.5, {"a": None}]}, {**STATUS, "start_time": 2.5}]  # fmt: skip
STATUSES = st.one_of(
    st.sampled_from(OURS).map(in_our_form),
    st.sampled_from([STATUS, LEGACY]).map(in_legacy_form),
    legacy_statuses(),
    broken_json(STATUS),
)


@SHARED_FIXTURES
@given(
    st.lists(st.tuples(st.integers(0, 3), STATUSES | st.none()), min_size=1, max_size=6),
    st.sampled_from(["whole", "cut", "changed", "another"]),
    st.data(),
)
def test_a_list_is_what_the_files_say_now(
    eager: None, changes: list[tuple[int, bytes | None]], what: str, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        write(results / "session-0", in_our_form(STATUS), 0)
        for age, (number, status) in enumerate(changes, 1):
            assert listed(results) == plainly_listed(results)
            damage(results / CACHE / "list", what, data)
            session = results / f"session-{number}"
            if status is None:
                shutil.rmtree(session, ignore_errors=True)
            else:
                write(session, status, age)
            assert listed(results) == plainly_listed(results)
        assert listed(results) == plainly_listed(results)


def damage(path: Path, what: str, data: st.DataObject) -> None:
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


@SHARED_FIXTURES
@given(legacy_statuses())
def test_the_quick_way_to_a_head_finds_what_the_whole_file_says(status: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder, "session-1")
        write(session, status, 0)
        quick = ended_head(str(session / "status.json"))
        whole = read_session(str(session))
        if quick is not None:
            assert (quick[0], quick[0]["overall_status"]) == (whole.head, whole.state)


def test_the_quick_way_is_taken_for_sessions_of_both_programs(tmp_path: Path) -> None:
    for status in (in_our_form(STATUS), in_legacy_form(LEGACY), in_legacy_form({**LEGACY, "x": 1})):
        write(tmp_path / "session-1", status, 0)
        assert ended_head(str(tmp_path / "session-1" / "status.json")) is not None


def test_a_session_that_has_ended_is_read_once(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "session-1", in_our_form(STATUS), 0)
    write(tmp_path / "session-2", in_legacy_form(LEGACY), 0)
    write(tmp_path / "session-3", in_our_form({**STATUS, "overall_status": "running"}), 0)
    first = listed(tmp_path)
    read: list[str] = []
    monkeypatch.setattr(
        session_list, "ended_head", lambda path, fd: read.append(path) or ended_head(path, fd)
    )
    assert listed(tmp_path) == first
    assert read == ["session-3/status.json"], "one that has not ended is read again"
    write(tmp_path / "session-1", in_our_form({**STATUS, "name": "o"}), 1)
    assert "[completed] (foreign) o\n" in listed(tmp_path)


@pytest.mark.parametrize("other", ["works", "fails"])
def test_two_processes_read_what_one_reads(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    for number, status in enumerate([*OURS, LEGACY, {"overall_status": "running"}] * 3):
        form = in_legacy_form if status is LEGACY else in_our_form
        write(tmp_path / f"session-{number:08}", form(status), 0)
    monkeypatch.setattr(session_list, "N_FOR_TWO", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    if other == "fails":
        monkeypatch.setattr(session_list._Reading, "_send", lambda *_: os._exit(1))
    assert [listed(tmp_path) for _ in range(2)] == [plainly_listed(tmp_path)] * 2


def test_worktrees_that_stay_are_looked_for_each_time(tmp_path: Path, eager: None) -> None:
    worktree = tmp_path / "worktree"
    worktree.mkdir()
    task = {"worktree": str(worktree), "kept_because": "it holds what git can't save"}
    status = {**STATUS, "n_kept": 1, "tasks": [task]}
    write(tmp_path / "session-1", json.dumps(status).encode(), 0)
    assert ["1 worktree kept" in listed(tmp_path) for _ in range(2)] == [True, True]
    worktree.rmdir()
    assert "kept" not in listed(tmp_path)


def test_a_cache_never_invents_a_session(tmp_path: Path, eager: None) -> None:
    write(tmp_path / "session-1", in_our_form(STATUS), 0)
    listed(tmp_path)
    shutil.copytree(tmp_path / CACHE, tmp_path / "other" / CACHE)
    assert listed(tmp_path / "other").startswith("No sessions found in")
    write(tmp_path / "other" / "session-1", b"{", 0)
    assert "[unreadable]" in listed(tmp_path / "other")


def test_nobody_without_the_key_makes_a_session_the_users_own(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = key.own_key()
    assert own is not None
    write(tmp_path / "session-1", in_our_form({**STATUS, "mark": mark(own, "1")}), 0)
    assert ["(foreign)" in listed(tmp_path) for _ in range(2)] == [False, False]
    write(tmp_path / "session-1", in_our_form({**STATUS, "mark": "0" * 32}), 1)
    with monkeypatch.context() as patch:  # whoever forges the cache has another key
        patch.setattr(ListCache, "_load", lambda _: [])
        patch.setattr("cpr_nb.store.authorship.read_key", lambda: bytes(32))
        patch.setattr("cpr_nb.store.authorship.Marks.is_marked", lambda *_: True)
        assert "(foreign)" not in listed(tmp_path)
    assert ["(foreign)" in listed(tmp_path) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("place", ["link", "folder", "another version"])
def test_a_cache_that_is_not_ours_is_left_alone(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    write(results / "session-1", in_our_form(STATUS), 0)
    whole = listed(results)
    cache, elsewhere = results / CACHE / "list", tmp_path / "elsewhere"
    if place == "another version":
        with monkeypatch.context() as patch:
            patch.setattr(session_list, "__version__", "9.9.9")
            patch.setattr(session_list, "_figures", lambda _: ["other words"])
            write(results / "session-1", in_our_form(STATUS), 1)
            assert "other words" in listed(results)
    else:
        cache.rename(elsewhere)
        if place == "link":
            cache.symlink_to(elsewhere)
        else:
            cache.mkdir()
    before = elsewhere.read_bytes() if elsewhere.exists() else b""
    assert [listed(results) for _ in range(2)] == [whole, whole]
    assert before == (elsewhere.read_bytes() if elsewhere.exists() else b"")


def test_a_list_that_is_read_at_once_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "session-1", in_our_form(STATUS), 0)
    listed(tmp_path)
    assert not (tmp_path / CACHE).exists()


def test_lists_at_the_same_time_are_the_same(stub_cpr: Cpr, work: Path) -> None:
    results = work / "results"
    results.mkdir()
    for number in range(1500):
        write(results / f"session-{number:08}", in_our_form({**STATUS, "start_time": number}), 0)
    expected = plainly_listed(results)
    lists = [stub_cpr.start("list", stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate()[0] for one in lists] == [expected] * 4
    assert stub_cpr.good("list") == expected


def test_the_command_loads_little_for_its_list(stub_cpr: Cpr, work: Path) -> None:
    for number in range(3):
        (work / "results").mkdir(exist_ok=True)
        write(work / "results" / f"session-{number:08}", in_our_form(STATUS), 0)
    whole = stub_cpr.good("list")
    timed = stub_cpr("list", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert timed.stdout == whole
    loaded = {line.rpartition("|")[2].strip() for line in timed.stderr.splitlines()}
    assert "cpr_nb.store.list_cache" in loaded
    assert not loaded & {"argparse", "pandas", "msgspec", "hashlib", "cpr_nb.model.events"}


@pytest.mark.parametrize(
    "words", [["list", "--results-dir=results"], ["--results-dir", "results", "--list"]]
)
def test_options_of_the_list_are_read_in_either_form(
    stub_cpr: Cpr, work: Path, words: list[str]
) -> None:
    write_one(work / "results")
    assert stub_cpr.good(*words) == stub_cpr.good("list")
    assert json.loads(stub_cpr.good(*words, "--json"))[0]["session_id"] == "00000001"


def write_one(results: Path) -> None:
    results.mkdir()
    write(results / "session-00000001", in_our_form(STATUS), 0)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--jsn"], "unknown option '--jsn'; did you mean --json?"),
        (["--results-dir"], "--results-dir: expected one argument"),
        (["--results-dir", "--json"], "--results-dir: expected one argument"),
        (["more"], "unknown argument 'more'"),
    ],
)
def test_a_mistake_in_a_list_is_one_line(stub_cpr: Cpr, words: list[str], error: str) -> None:
    refused = stub_cpr("list", *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert error in refused.stderr and refused.stderr.count("\n") == 1
