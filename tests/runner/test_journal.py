"""The runner's pen: what must not be lost, in its order, also when nothing can be written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.examples import SHARED_FIXTURES

from cpr_nb.runner.journal import JournalWriter

relaxed = settings(SHARED_FIXTURES, max_examples=150)
REAL_WRITE = os.write
# What passes: a full disk, a full quota, a disk that is read-only for now, one that fails.
DISK_ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO]


class Disk:
    """Stands before `os.write`: some bytes get through, then an error, until there is room."""

    def __init__(self) -> None:
        self.room: int | None = None  # bytes; None: as much as one likes
        self.error = errno.ENOSPC
        self.portion = 1 << 30

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None:
            return REAL_WRITE(fd, data[: self.portion])
        size = min(self.room, self.portion, len(data))
        if size == 0 and data:
            raise OSError(self.error, os.strerror(self.error))
        self.room -= size
        return REAL_WRITE(fd, data[:size])


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "write", disk.write)
    return disk


@pytest.fixture
def new_pen(tmp_path: Path) -> Iterator[Callable[[], JournalWriter]]:
    pens: list[JournalWriter] = []

    def make() -> JournalWriter:
        pens.append(JournalWriter(str(tmp_path / "journal.jsonl")))
        return pens[-1]

    yield make
    for pen in pens:
        os.close(pen._fd)


@pytest.fixture
def pen(new_pen: Callable[[], JournalWriter]) -> JournalWriter:
    return new_pen()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_lines_are_appended_whole_and_readable_by_their_owner_only(
    new_pen: Callable[[], JournalWriter], journal: Path
) -> None:
    new_pen().journal(b'{"n":1}')
    new_pen().journal(b'{"n":2}')
    assert journal.read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert journal.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b""), (b"{}\n", b"{}\n"), (b'{}\n{"to', b'{}\n{"to\n')]
)
def test_a_torn_last_line_is_ended_before_another_follows(
    new_pen: Callable[[], JournalWriter], journal: Path, before: bytes, after: bytes
) -> None:
    journal.write_bytes(before)
    new_pen().journal(b"{}")
    assert journal.read_bytes() == after + b"{}\n"


def test_an_answer_is_written_whole_and_replaced(pen: JournalWriter, tmp_path: Path) -> None:
    path = tmp_path / "task-a.txt"
    pen.answer(str(path), b"a long first one")
    pen.answer(str(path), b"short")
    assert path.read_bytes() == b"short"
    assert path.stat().st_mode & 0o777 == 0o600
    assert pen.trouble == ""


def test_short_writes_lose_nothing(
    pen: JournalWriter, disk: Disk, journal: Path, tmp_path: Path
) -> None:
    disk.portion = 1
    pen.journal(b'{"n":1}')
    pen.answer(str(tmp_path / "answer"), b"in single bytes")
    assert journal.read_bytes() == b'{"n":1}\n'
    assert (tmp_path / "answer").read_bytes() == b"in single bytes"


@pytest.mark.parametrize("error", DISK_ERRORS, ids=errno.errorcode.get)
def test_what_cannot_be_written_waits_in_its_order(
    pen: JournalWriter, disk: Disk, journal: Path, tmp_path: Path, error: int
) -> None:
    answer = tmp_path / "answer"
    disk.room, disk.error = 3, error
    pen.journal(b"first")
    pen.answer(str(answer), b"the answer")
    pen.journal(b"ended")
    assert journal.read_bytes() == b"fir"
    assert not answer.exists(), "nothing overtakes what waits"
    assert pen.trouble == os.strerror(error)
    disk.room = 5 + 3
    pen.retry()
    assert journal.read_bytes() == b"first\n", "the rest of the line follows its beginning"
    assert pen.trouble
    disk.room = 12
    pen.retry()
    assert answer.read_bytes() == b"the answer"
    assert journal.read_bytes() == b"first\nen"
    disk.room = None
    pen.retry()
    assert journal.read_bytes() == b"first\nended\n"
    assert pen.trouble == ""


@relaxed
@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=12)), max_size=8),
    st.lists(st.integers(0, 25), max_size=6),
)
def test_however_little_fits_each_time_all_is_written_once_and_in_order(
    tmp_path: Path, items: list[tuple[bool, bytes]], rooms: list[int]
) -> None:
    items = [(is_line, data.replace(b"\n", b" ")) for is_line, data in items]
    journal = tmp_path / "journal.jsonl"
    journal.unlink(missing_ok=True)
    lines = b"".join(data + b"\n" for is_line, data in items if is_line)
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", disk.write)
        pen = JournalWriter(str(journal))
        try:
            for number, (is_line, data) in enumerate(items):
                disk.room = rooms[number % len(rooms)] if rooms else None
                if is_line:
                    pen.journal(data)
                else:
                    pen.answer(str(tmp_path / f"answer-{number}"), data)
                assert lines.startswith(journal.read_bytes())
            for room in [*rooms, None]:
                disk.room = room
                pen.retry()
        finally:
            os.close(pen._fd)
    assert pen.trouble == ""
    assert journal.read_bytes() == lines
    for number, (is_line, data) in enumerate(items):
        if not is_line:
            assert (tmp_path / f"answer-{number}").read_bytes() == data


def test_what_stands_in_the_place_of_an_answer_holds_up_nothing(
    pen: JournalWriter, journal: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "folder", link, tmp_path / "nowhere" / "answer"):
        pen.answer(str(path), b"x")
        assert str(path) in capfd.readouterr().err
    pen.journal(b"ended")
    assert (journal.read_bytes(), pen.trouble) == (b"ended\n", "")
    assert not (tmp_path / "elsewhere").exists(), "a link is not followed"


def test_trouble_elsewhere_is_trouble_until_the_next_try(pen: JournalWriter, journal: Path) -> None:
    pen.failed(OSError(errno.EROFS, "Read-only\nfile system"))
    assert pen.trouble == "Read-only file system"
    pen.journal(b"later")
    assert journal.read_bytes() == b""
    pen.retry()
    assert (journal.read_bytes(), pen.trouble) == (b"later\n", "")
    pen.failed(OSError("no number"))
    assert pen.trouble == "no number"


def test_a_journal_that_was_removed_is_begun_again_and_one_that_was_not_stays(
    pen: JournalWriter, journal: Path
) -> None:
    pen.journal(b"1")
    pen.renew()
    pen.journal(b"2")
    assert journal.read_bytes() == b"1\n2\n"
    journal.unlink()
    pen.renew()
    pen.journal(b"3")
    assert journal.read_bytes() == b"3\n"


def test_a_journal_whose_folder_is_gone_is_trouble(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    pen = JournalWriter(str(folder / "journal.jsonl"))
    (folder / "journal.jsonl").unlink()
    folder.rmdir()
    pen.renew()
    os.close(pen._fd)
    assert pen.trouble == os.strerror(errno.ENOENT)
