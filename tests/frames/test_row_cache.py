"""What is kept of sessions that have ended: when it is, and when it is not believed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.comparison import LONG_AGO_S, Clock, compare, everything_is_kept
from testkit.session_folders import RUNNING, write_session
from testkit.streams_draw import STREAMS

import cpr_nb as cpr
from cpr_nb.frames import gather, row_cache, session_rows
from cpr_nb.frames.tables import TABLES
from cpr_nb.store.layout import CACHE


@pytest.fixture
def eager() -> Iterator[None]:
    """What is read is kept, in files that are joined soon."""
    with everything_is_kept():
        yield


@pytest.fixture
def results(tmp_path: Path, eager: None) -> Path:
    """Two sessions that ended long ago."""
    results, clock = tmp_path / "results", Clock()
    for number in (1, 2):
        streams = {"a": [STREAMS["tools"], STREAMS["plain"]], "b": [STREAMS["perm_default"]]}
        folder = write_session(results, streams, number=number)
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
    for module in (session_rows, gather):
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
    folder = write_session(tmp_path, {"a": [STREAMS["plain"]]}, state=RUNNING)
    (folder / "runner.lock").touch()
    Clock().settle_session(folder)
    for name in TABLES:
        getattr(cpr, name)(tmp_path)
    assert kept(tmp_path) == []


def test_what_is_read_at_once_leaves_no_cache(results: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(row_cache, "MIN_READ_S", 1e9)
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


def test_a_file_of_someone_else_is_not_trusted(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpr.sessions_df(results)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(row_cache, "MIN_READ_S", 1e9)
    read = []
    monkeypatch.setattr(session_rows, "read_session", lambda *a, **k: read.append(a) or refuse())
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
    monkeypatch.setattr(row_cache, "_code_checksum", lambda: "other")
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
    monkeypatch.setattr(row_cache, "PACK_BYTES", 1 << 20)
    clock = Clock()
    for number in range(1, 8):
        folder = write_session(tmp_path, {"a": [STREAMS["plain"][:200]]}, number=number)
        clock.settle_session(folder)
        compare(tmp_path, "events_df")
        assert len([name for name in kept(tmp_path) if name.startswith("events_df")]) <= 3


def test_several_kernels_at_once_see_the_same(results: Path) -> None:
    """Each looks, and removes the cache under the others, again and again."""
    expected = cpr.events_df(results).to_csv() + cpr.tasks_df(results).to_csv()
    code = (
        "import sys, shutil, cpr_nb as cpr\n"
        "from cpr_nb.frames import row_cache\n"
        "row_cache.MIN_READ_S, row_cache.MAX_SMALL = 0.0, 1\n"
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


@pytest.mark.parametrize("first", ["with", "without"])
def test_every_table_is_the_same_without_pyarrow(first: str, results: Path) -> None:
    """And what one has kept the other takes."""
    code = (
        "import sys\n"
        "if sys.argv[2] == 'without': sys.modules['pyarrow'] = None\n"
        "import cpr_nb as cpr, pandas as pd\n"
        "from cpr_nb.frames import gather, row_cache, session_rows\n"
        "from cpr_nb.frames.tables import TABLES\n"
        "row_cache.MIN_READ_S = 0.0\n"
        "if sys.argv[3] == 'second': gather.read_session = session_rows.read_session = None\n"
        # pandas 3 does so by itself
        "if sys.argv[2] == 'with': pd.options.mode.string_storage = 'pyarrow'\n"
        "assert pd.StringDtype().storage == {'with': 'pyarrow', 'without': 'python'}[sys.argv[2]]\n"
        "for name in TABLES:\n"
        "    made = getattr(cpr, name)(sys.argv[1], full=True)\n"
        "    print(name, made.dtypes.astype(str).to_dict(), made.to_csv())\n"
    )
    told = []
    second = {"with": "without", "without": "with"}[first]
    for kernel, turn in ((first, "first"), (second, "second")):
        argv = [sys.executable, "-c", code, str(results), kernel, turn]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert told[0] == told[1] and "claude-opus" in told[0]
