"""Whether a session can be written: its disk, its folder, its lock."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpr_nb.runner.disk_monitor import DiskMonitor
from cpr_nb.store.files import hold_lock
from cpr_nb.store.layout import SessionPaths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "session").mkdir()
    return tmp_path / "session"


@pytest.fixture
def monitor(folder: Path) -> Iterator[DiskMonitor]:
    paths = SessionPaths(str(folder))
    lock_fd = hold_lock(paths.lock)
    yield DiskMonitor(paths, lock_fd)
    os.close(lock_fd)


def test_where_all_is_well_there_is_no_news(monitor: DiskMonitor) -> None:
    assert [monitor.poll(now / 2, "") for now in range(9)] == [None] * 9
    assert not monitor.is_gone


def test_trouble_is_reported_at_once_and_once(monitor: DiskMonitor) -> None:
    monitor.poll(0.0, "")
    assert monitor.poll(0.1, "no space left") == "no space left"
    assert monitor.poll(0.2, "no space left") is None
    assert monitor.poll(5.0, "the disk is full") is None, "it is trouble still"


def test_free_space_is_reported_after_a_while_and_once(monitor: DiskMonitor) -> None:
    """A try may fail each time: it must not be made as often as the runner's loop turns."""
    assert monitor.poll(0.0, "no space left") == "no space left"
    assert monitor.poll(0.1, "") is None
    assert monitor.poll(0.9, "") is None
    assert monitor.poll(1.0, "") == ""
    assert monitor.poll(2.0, "") is None
    assert monitor.poll(2.1, "no space left") == "no space left"


def test_a_folder_that_is_gone_is_trouble_and_after_a_while_gone(
    monitor: DiskMonitor, folder: Path, tmp_path: Path
) -> None:
    folder.rename(tmp_path / "elsewhere")
    problem = monitor.poll(0.0, "")
    assert problem is not None and "its folder" in problem
    monitor.poll(2.9, "")
    assert not monitor.is_gone, "a network's hiccup"
    (tmp_path / "elsewhere").rename(folder)
    assert monitor.poll(4.0, "") == ""
    folder.rename(tmp_path / "elsewhere")
    monitor.poll(5.0, "")
    monitor.poll(7.9, "")
    assert not monitor.is_gone, "it counts from the last time that it was there"
    monitor.poll(9.0, "")
    assert monitor.is_gone


def test_a_lock_that_someone_removed_is_held_again(monitor: DiskMonitor, folder: Path) -> None:
    lock = folder / "runner.lock"
    lock.unlink()
    monitor.poll(0.0, "")
    with lock.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_runner_shows_every_half_minute_that_it_lives(folder: Path, monitor: DiskMonitor) -> None:
    lock = folder / "runner.lock"
    for now, is_due in ((0.0, True), (29.0, False), (30.0, True), (31.0, False)):
        os.utime(lock, (77, 77))
        monitor.poll(now, "")
        assert (lock.stat().st_mtime != 77) is is_due, now


def test_a_newer_claim_than_its_own_is_noticed_within_a_second(
    folder: Path, monitor: DiskMonitor, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not monitor.has_new_owner(0.0)
    (folder / "owner.1").touch()
    assert not monitor.has_new_owner(0.9)
    assert monitor.has_new_owner(1.0)
    assert "another runner has taken the session over" in capfd.readouterr().err


def test_the_claim_that_it_was_started_with_is_its_own(folder: Path) -> None:
    paths = SessionPaths(str(folder))
    monitor = DiskMonitor(paths, -1, 2)
    for number in (1, 2):
        (folder / f"owner.{number}").touch()
    assert not monitor.has_new_owner(0.0)
    (folder / "owner.3").touch()
    assert monitor.has_new_owner(9.0)
