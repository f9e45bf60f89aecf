"""The second look: the same as a first one, whatever has happened in between."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from testkit.made import ENDED, RUNNING, made_session
from testkit.streams_draw import STREAMS, any_stream

import cpr_nb as cpr
from cpr_nb.frames import cache, gather, heads
from cpr_nb.frames.tables import TABLES
from cpr_nb.store.layout import CACHE

#: Files get times in the past, each its own, as if time went by: what is young is never kept.
LONG_AGO_S = 1_000_000_000


@pytest.fixture
def eager() -> Iterator[None]:
    """Everything is worth keeping, in many small files that are joined soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "WORTH_S", 0.0)
        patch.setattr(cache, "PACK_BYTES", 6000)
        patch.setattr(cache, "MAX_SMALL", 2)
        yield


class Clock:
    """Times for files."""

    def __init__(self) -> None:
        self.now_s = LONG_AGO_S

    def settle(self, *paths: Path) -> None:
        for path in paths:
            self.now_s += 1
            os.utime(path, (self.now_s, self.now_s))

    def settle_session(self, folder: Path) -> None:
        self.settle(*(path for path in folder.iterdir() if path.is_file()), folder)


def look(results: Path, table: str, **how: Any) -> tuple[pd.DataFrame, list[str]]:
    """A table, and what can't be read."""
    df, problems = getattr(cpr, table)(results, strict=False, **how)
    return df, sorted(str(problem).replace(str(results), "") for problem in problems)


def compare(results: Path, table: str, **how: Any) -> None:
    """A look at the directory, and at a copy of it that nobody has looked at."""
    now, problems = look(results, table, **how)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(results, copy, ignore=lambda *_: [CACHE], symlinks=True)
        fresh, fresh_problems = look(copy, table, **how)
    if "path" in now:
        now["path"] = now["path"].str.replace(str(results), str(copy))
    live = now["state"].isin(["running", "interrupted"]) if "state" in now else None
    if live is not None and "duration_s" in now:  # it grows while we look
        now.loc[live, "duration_s"] = fresh.loc[live, "duration_s"] = 0.0
    pd.testing.assert_frame_equal(now, fresh)
    assert problems == fresh_problems


class Looks(RuleBasedStateMachine):
    """Sessions go on, end, are removed, cut, replaced; their cache is broken at any byte."""

    @initialize(storage=st.sampled_from(["python", "pyarrow"]))
    def begin(self, storage: str) -> None:
        self.option = pd.option_context("mode.string_storage", storage)
        self.option.__enter__()
        self.folder = tempfile.TemporaryDirectory()
        self.results = Path(self.folder.name, "results")
        self.results.mkdir()
        self.clock, self.n_sessions = Clock(), 0
        self.session(ended=True, streams=[[b""], [STREAMS["tools"], STREAMS["plain"]]])
        self.session(ended=False, streams=[[STREAMS["perm_default"][:3000]]])

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()
            self.option.__exit__(None, None, None)

    def sessions(self) -> list[Path]:
        return sorted(self.results.glob("session-*"))

    @rule(ended=st.booleans(), streams=st.lists(st.lists(any_stream(), max_size=2), max_size=2))
    def session(self, ended: bool, streams: list[list[bytes]]) -> None:
        self.n_sessions += 1
        named = {f"task-{number}": attempts for number, attempts in enumerate(streams)}
        state = ENDED if ended else RUNNING
        folder = made_session(self.results, named, number=self.n_sessions, state=state)
        (folder / "session.json").write_text(json.dumps({"tasks": [{"prompt": "do"}]}))
        (folder / "runner.json").write_text(json.dumps({"host": "here"}))
        (folder / "runner.lock").touch()
        for name in named if ended else ():
            (folder / f"task-{name}.txt").write_text("answer")
        self.clock.settle_session(folder)

    @rule(data=st.data(), more=any_stream(), settled=st.booleans())
    def goes_on(self, data: st.DataObject, more: bytes, settled: bool) -> None:
        path = self.a_file(data, "*.jsonl")
        if path is not None:
            with path.open("ab") as file:
                file.write(more)
            if settled:
                self.clock.settle(path)

    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        path = self.a_file(data, "status.json")
        if path is not None:
            try:
                status = json.loads(path.read_text())
            except ValueError:  # it was cut
                return
            tasks = [{**task, **ENDED, "cost_usd": 0.5} for task in status.get("tasks", [])]
            new = path.with_name("status.new")
            new.write_text(json.dumps({**status, "overall_status": "completed", "tasks": tasks}))
            new.replace(path)
            self.clock.settle_session(path.parent)

    @rule(data=st.data())
    def is_removed(self, data: st.DataObject) -> None:
        if self.sessions():
            shutil.rmtree(data.draw(st.sampled_from(self.sessions())))

    @rule(data=st.data(), settled=st.booleans())
    def is_cut(self, data: st.DataObject, settled: bool) -> None:
        path = self.a_file(data, "*.json*") or self.a_file(data, "*.txt")
        if path is not None:
            os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
            if settled or path.name == "status.json":  # a young one is waited for
                self.clock.settle(path)

    @rule(data=st.data(), settled=st.booleans(), in_place=st.booleans())
    def is_replaced(self, data: st.DataObject, settled: bool, in_place: bool) -> None:
        path = self.a_file(data, data.draw(st.sampled_from(["*.txt", "*.jsonl", "*n.json"])))
        if path is not None:
            size = path.stat().st_size  # the same: only the times and the inode tell
            new = b"{" + b"x" * (size - 1) if size else b"y"
            if in_place:
                path.write_bytes(new)
            else:
                path.with_name("new").write_bytes(new)
                path.with_name("new").replace(path)
            if settled:
                self.clock.settle(path)

    @rule(data=st.data(), what=st.sampled_from(["cut", "changed", "removed", "foreign"]))
    def cache_is_broken(self, data: st.DataObject, what: str) -> None:
        kept = sorted((self.results / CACHE).glob("*_df*")) + sorted(
            (self.results / CACHE).glob("sessions*")
        )
        if not kept:
            return
        path = data.draw(st.sampled_from(kept))
        whole = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(whole) - 1)) if whole else 0
        if what == "cut":
            os.truncate(path, at)
        elif what == "changed" and whole:
            whole[at] ^= data.draw(st.integers(1, 255))
            path.write_bytes(whole)
        elif what == "foreign":
            path.write_bytes(data.draw(st.binary(max_size=100)))
        else:
            path.unlink()

    def a_file(self, data: st.DataObject, pattern: str) -> Path | None:
        found = sorted(self.results.glob(f"session-*/{pattern}"))
        return data.draw(st.sampled_from(found)) if found else None

    @invariant()
    def looks_the_same(self) -> None:
        if not hasattr(self, "folder"):
            return
        self.n_looks = getattr(self, "n_looks", 0) + 1
        turn = ["tool_calls_df", "denials_df", "usage_df", "sessions_df", "tasks_df"]
        for name in ("sessions_df", "tasks_df"):
            compare(self.results, name, full=True)
        compare(self.results, "events_df")
        compare(self.results, turn[self.n_looks % len(turn)])
        if self.n_looks % 3 == 0:
            compare(self.results, "tasks_df", states=["succeeded", "running"])
            compare(self.results, "usage_df", name="nobody")


Looks.TestCase.settings = settings(
    max_examples=int(os.environ.get("CPR_FUZZ_EXAMPLES", "150")) // 10,
    stateful_step_count=6,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.usefixtures("eager")
class TestLooks(Looks.TestCase):  # type: ignore[name-defined,misc]
    """The machine above, in files that are joined soon."""


# -- by hand ----------------------------------------------------------------------------------


@pytest.fixture
def results(tmp_path: Path, eager: None) -> Path:
    """Two sessions that ended long ago."""
    results, clock = tmp_path / "results", Clock()
    for number in (1, 2):
        streams = {"a": [STREAMS["tools"], STREAMS["plain"]], "b": [STREAMS["perm_default"]]}
        folder = made_session(results, streams, number=number)
        (folder / "task-a.txt").write_text("the answer")
        clock.settle_session(folder)
    return results


def kept(results: Path) -> list[str]:
    return sorted(path.name for path in (results / CACHE).glob("[!.]*"))


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("it is read again")


@pytest.mark.parametrize("name", sorted(TABLES))
@pytest.mark.parametrize("full", [False, True])
def test_a_session_that_has_ended_is_read_once(
    name: str, full: bool, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = getattr(cpr, name)(results, full=full)
    for module in (heads, gather):
        monkeypatch.setattr(module, "read_session", refuse)
    second = getattr(cpr, name)(results, full=full)
    pd.testing.assert_frame_equal(first, second)
    assert first.attrs == second.attrs and len(second)


@pytest.mark.parametrize("young", ["task-a.jsonl", "status.json"])
def test_what_has_just_been_changed_is_not_kept(young: str, results: Path) -> None:
    path = sorted(results.glob("session-*"))[0] / young
    path.touch()
    cpr.events_df(results)
    os.utime(path, (1, 1))  # as if it had never been changed
    path.write_bytes(path.read_bytes().replace(b"claude-opus", b"claude-OPUS"))
    os.utime(path, (1, 1))
    compare(results, "events_df")


def test_a_change_that_leaves_size_and_time_as_they_were_is_seen(results: Path) -> None:
    path = sorted(results.glob("session-*/task-a.jsonl"))[0]
    before = path.stat()
    assert "claude-OPUS" not in set(cpr.events_df(results).model.dropna())
    path.write_bytes(path.read_bytes().replace(b"claude-opus", b"claude-OPUS"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert any("OPUS" in model for model in set(cpr.events_df(results).model.dropna()))


def test_a_live_session_is_never_kept(tmp_path: Path, eager: None) -> None:
    folder = made_session(tmp_path, {"a": [STREAMS["plain"]]}, state=RUNNING)
    (folder / "runner.lock").touch()
    Clock().settle_session(folder)
    for name in TABLES:
        getattr(cpr, name)(tmp_path)
    assert kept(tmp_path) == []


def test_what_is_read_at_once_leaves_no_cache(results: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(cache, "WORTH_S", 1e9)
    for name in TABLES:
        getattr(cpr, name)(results)
    assert not (results / CACHE).exists()


def test_the_cache_is_the_owners_and_disturbs_nobody(results: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    ids = cpr.sessions_df(results).session_id.tolist()
    assert kept(results)
    for path in (results / CACHE).glob("[!.]*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((results / CACHE).stat().st_mode) == 0o700
    git = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    told = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    assert "session-" in told and CACHE not in told
    assert cpr.sessions_df(results).session_id.tolist() == ids


def test_a_cache_that_can_not_be_written_or_read_is_none(results: Path) -> None:
    """Not a folder: root may write everywhere else."""
    (results / CACHE).write_text("")
    for name in TABLES:
        compare(results, name)
    (results / CACHE).unlink()
    cpr.events_df(results)
    for path in (results / CACHE).glob("[!.]*"):
        path.unlink()
        path.mkdir()  # in the place of a file
    compare(results, "events_df")


def test_a_file_of_somebody_else_is_not_trusted(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpr.sessions_df(results)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(cache, "WORTH_S", 1e9)
    read = []
    monkeypatch.setattr(heads, "read_session", lambda *a, **k: read.append(a) or refuse())
    with pytest.raises(AssertionError):
        cpr.sessions_df(results)
    assert read


def test_a_directory_that_has_moved_has_its_own_paths(results: Path, tmp_path: Path) -> None:
    cpr.sessions_df(results, full=True)
    moved = results.rename(tmp_path / "moved")
    assert set(cpr.sessions_df(moved, full=True).path.map(os.path.dirname)) == {str(moved)}


def test_what_other_code_has_made_is_not_believed(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpr.tasks_df(results)
    before = kept(results)
    monkeypatch.setattr(cache, "_code", lambda: "other")
    cpr.tasks_df(results)
    assert set(before) < set(kept(results)), "the other code may be in use, too"
    for name in before:
        os.utime(results / CACHE / name, (LONG_AGO_S, LONG_AGO_S))
    cpr.tasks_df(results)
    assert not set(before) & set(kept(results)), "nobody has used it for a month"


def test_what_a_crash_has_left_goes(results: Path) -> None:
    cpr.tasks_df(results)
    left = results / CACHE / ".new-1-1"
    left.write_text("half")
    cpr.tasks_df(results)
    assert left.exists(), "somebody may be writing it"
    os.utime(left, (LONG_AGO_S, LONG_AGO_S))
    cpr.tasks_df(results)
    assert not left.exists()


def test_what_nobody_needs_any_more_goes(results: Path) -> None:
    cpr.events_df(results)
    assert any(name.startswith("events_df") for name in kept(results))
    for folder in results.glob("session-*"):
        shutil.rmtree(folder)
    assert cpr.events_df(results).empty
    assert kept(results) == []


def test_many_small_files_become_one(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PACK_BYTES", 1 << 20)
    clock = Clock()
    for number in range(1, 8):
        folder = made_session(tmp_path, {"a": [STREAMS["plain"][:200]]}, number=number)
        clock.settle_session(folder)
        compare(tmp_path, "events_df")
        assert len([name for name in kept(tmp_path) if name.startswith("events_df")]) <= 3


def test_several_kernels_at_once_see_the_same(results: Path) -> None:
    """Each looks, and removes the cache under the others, again and again."""
    expected = cpr.events_df(results).to_csv() + cpr.tasks_df(results).to_csv()
    code = (
        "import sys, shutil, cpr_nb as cpr\n"
        "from cpr_nb.frames import cache\n"
        "cache.WORTH_S, cache.MAX_SMALL = 0.0, 1\n"
        "for turn in range(12):\n"
        "    made = cpr.events_df(sys.argv[1]).to_csv() + cpr.tasks_df(sys.argv[1]).to_csv()\n"
        "    assert made == sys.argv[2], made\n"
        "    if turn % 3 == int(sys.argv[3]):\n"
        "        shutil.rmtree(sys.argv[1] + '/.cache', ignore_errors=True)\n"
    )
    kernels = [
        subprocess.Popen([sys.executable, "-c", code, str(results), expected, str(number)])
        for number in range(3)
    ]
    try:
        assert [kernel.wait(120) for kernel in kernels] == [0, 0, 0]
    finally:
        for kernel in kernels:
            kernel.kill()
            kernel.wait()
