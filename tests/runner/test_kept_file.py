"""A task's file that somebody removes while its process writes it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpr_nb.runner import kept_file
from cpr_nb.runner.kept_file import KeptFile
from cpr_nb.runner.spawning import create_stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "task-a.jsonl"
    path.write_bytes(b"one\n")
    return path


@pytest.fixture
def writer(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes what it reads."""
    with path.open("ab") as file:
        process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file)
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def text(file: KeptFile, offset: int = 0) -> bytes:
    return b"".join(file.read_from(offset))


def test_a_removed_file_is_read_on_and_written_again(path: Path) -> None:
    file = KeptFile(str(path))
    with path.open("ab") as appending:
        path.unlink()
        appending.write(b"two\n")
    os.utime(f"/proc/self/fd/{file._fd}", (77, 77))
    assert text(file, 4) == b"two\n"
    assert not path.exists()
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mtime == file.written_at_s == 77
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_moved_away_is_written_again(path: Path) -> None:
    file = KeptFile(str(path))
    path.rename(path.with_name("elsewhere"))
    file.close()
    assert path.read_bytes() == b"one\n"


def test_what_stands_in_its_place_is_left_alone(path: Path, tmp_path: Path) -> None:
    file = KeptFile(str(path))
    path.unlink()
    path.symlink_to(tmp_path / "nothing")
    file.close()
    assert path.is_symlink()
    assert not path.exists()


def test_a_file_that_never_was_is_an_error_and_appears_later(path: Path) -> None:
    path.unlink()
    file = KeptFile(str(path))
    for use in (file.close, lambda: text(file)):
        with pytest.raises(FileNotFoundError):
            use()
    path.write_bytes(b"late\n")
    assert text(file) == b"late\n"
    file.close()


def test_one_that_was_removed_before_is_that_of_the_process(
    path: Path, writer: subprocess.Popen[bytes]
) -> None:
    path.unlink()
    file = KeptFile(str(path), writer.pid)
    assert writer.stdin is not None
    writer.stdin.write(b"two\n")
    writer.stdin.close()
    writer.wait()
    assert text(file) == b"one\ntwo\n"
    file.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_a_process_writes_to_a_pipe_is_no_file(path: Path) -> None:
    path.unlink()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        with pytest.raises(FileNotFoundError):
            text(KeptFile(str(path), process.pid))
        assert process.stdin is not None
        process.stdin.close()


def test_without_descriptors_to_spare_it_is_opened_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_file, "_SPARE", 1 << 40)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    file = KeptFile(str(path))
    assert text(file) == b"one\n"
    assert len(list(Path("/proc/self/fd").iterdir())) == n_open
    path.unlink()
    with pytest.raises(FileNotFoundError):
        text(file)


def test_whether_a_process_has_it_as_its_output_is_known_by_its_lock(path: Path) -> None:
    file, fd = KeptFile(str(path)), create_stream(str(path))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=fd):
        os.close(fd)
        path.unlink()
        assert file.is_shared()
    assert not file.is_shared()
    assert not KeptFile(str(path)).is_shared(), "nobody knows"
