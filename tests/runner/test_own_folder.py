"""The runner's own folder, which may be renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpr_nb.runner.own_folder import enter, path_now
from cpr_nb.store.files import hold_lock
from cpr_nb.store.layout import SessionPaths


@pytest.fixture
def lock_fd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The lock of the folder ``session``; the working folder of this process is restored."""
    (tmp_path / "session").mkdir()
    monkeypatch.chdir(tmp_path)
    fd = hold_lock(str(tmp_path / "session" / "runner.lock"))
    yield fd
    os.close(fd)


def test_its_paths_stay_true_and_others_get_the_new_one(tmp_path: Path, lock_fd: int) -> None:
    root = tmp_path / "session"
    paths = enter(str(root), lock_fd)
    assert path_now(str(root)) == str(root)
    root.rename(tmp_path / "renamed")
    Path(paths.answer("a")).write_text("done")
    assert (tmp_path / "renamed" / "task-a.txt").read_text() == "done"
    assert path_now(str(root)) == str(tmp_path / "renamed")
    root.mkdir()
    assert path_now(str(root)) == str(tmp_path / "renamed"), "another folder has its old name"


def test_the_name_that_the_user_gave_it_is_kept(tmp_path: Path, lock_fd: int) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "session")
    enter(str(link), lock_fd)
    assert path_now(str(link)) == str(link)


def test_a_folder_that_was_exchanged_is_not_entered(tmp_path: Path, lock_fd: int) -> None:
    root = tmp_path / "session"
    root.rename(tmp_path / "renamed")
    root.mkdir()
    Path(SessionPaths(str(root)).lock).touch()
    with pytest.raises(FileNotFoundError, match="is not the folder whose lock was taken"):
        enter(str(root), lock_fd)


def test_a_removed_folder_has_no_path(tmp_path: Path, lock_fd: int) -> None:
    root = tmp_path / "session"
    enter(str(root), lock_fd)
    (root / "runner.lock").unlink()
    root.rmdir()
    with pytest.raises(FileNotFoundError):
        path_now(str(root))
