"""A task's part of a process's stream, in the task's own file."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.runner.shared.part import Part

DATA = b"".join(b'{"type":"system","n":%d}\n' % n for n in range(2000))


@pytest.fixture
def source_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "process-1.jsonl").write_bytes(DATA)
    fd = os.open(tmp_path / "process-1.jsonl", os.O_RDONLY)
    yield fd
    os.close(fd)


def kernel_refuses(number: int) -> Callable[..., int]:
    def refuse(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("kernel_copies", [True, False])
def test_a_part_grows_with_what_is_new(
    tmp_path: Path, source_fd: int, monkeypatch: pytest.MonkeyPatch, kernel_copies: bool
) -> None:
    if not kernel_copies:
        monkeypatch.setattr(os, "copy_file_range", kernel_refuses(errno.EXDEV))
    path = tmp_path / "task-a.jsonl"
    part = Part(source_fd, 100, str(path))
    for until in (100, 101, 5000, 4000, 12_345):
        part.copy(until)
        assert path.read_bytes() == DATA[100 : max(until, part.size_bytes + 100)]
    part.copy(len(DATA) + 5)  # there is no more
    part.close()
    assert path.read_bytes() == DATA[100:]
    assert part.size_bytes == len(DATA) - 100
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_there_is_not_written_over(tmp_path: Path, source_fd: int) -> None:
    path = tmp_path / "task-a.jsonl"
    path.symlink_to(tmp_path / "mine")
    with pytest.raises(FileExistsError):
        Part(source_fd, 0, str(path))
    assert not (tmp_path / "mine").exists()


def test_a_file_that_was_removed_is_written_again(tmp_path: Path, source_fd: int) -> None:
    path = tmp_path / "task-a.jsonl"
    part = Part(source_fd, 7, str(path))
    part.copy(1000)
    path.unlink()
    part.copy(3000)
    part.finish()
    part.finish()
    assert path.read_bytes() == DATA[7:3000]


def test_a_full_disk_is_told_and_the_copy_goes_on_later(
    tmp_path: Path, source_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "task-a.jsonl"
    part = Part(source_fd, 0, str(path))
    part.copy(1000)
    with monkeypatch.context() as full:
        full.setattr(os, "copy_file_range", kernel_refuses(errno.ENOSPC))
        with pytest.raises(OSError, match="No space"):
            part.copy(2000)
    part.copy(3000)
    part.close()
    assert path.read_bytes() == DATA[:3000]


def test_a_link_in_the_place_of_a_begun_file_is_not_written_to(
    tmp_path: Path, source_fd: int
) -> None:
    mine = tmp_path / "mine"
    for place in (Path.symlink_to, Path.hardlink_to):
        mine.write_bytes(DATA[:10])
        path = tmp_path / f"task-{place.__name__}.jsonl"
        place(path, mine)
        part = Part.resume(source_fd, 0, 50, str(path))
        part.copy(50)
        part.close()
        assert mine.read_bytes() == DATA[:10]
        assert path.read_bytes() == DATA[:50]
        assert not path.is_symlink()


@given(
    begin=st.integers(0, 40),
    size=st.integers(0, 60),
    there=st.none() | st.binary(max_size=80) | st.integers(0, 60),
)
def test_resuming_makes_the_file_the_part_whatever_was_there(
    begin: int, size: int, there: bytes | int | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder) / "p", Path(folder) / "task"
        source.write_bytes(DATA[:100])
        if there is not None:
            path.write_bytes(there if isinstance(there, bytes) else DATA[begin : begin + there])
        fd = os.open(source, os.O_RDONLY)
        part = Part.resume(fd, begin, begin + size, str(path))
        part.copy(begin + size)
        part.close()
        os.close(fd)
        assert path.read_bytes() == DATA[begin : begin + size]
