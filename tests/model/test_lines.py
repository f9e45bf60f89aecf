"""Lines that come in portions: none is lost, and a long one costs no more than its length."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.examples import SHARED_FIXTURES

from cpr_nb.frames.jsonl import read_pieces
from cpr_nb.model.lines import LineSplitter
from cpr_nb.runner.stream import Stream
from cpr_nb.store import result_line
from cpr_nb.store.result_line import last_result
from cpr_nb.store.tail import Follower

PORTION_BYTES = 1 << 12
N_PORTIONS = 128
TEXT = "x" * PORTION_BYTES * N_PORTIONS
RESULT = b'{"type":"result","result":"%s"}\n' % TEXT.encode()
LINEAR = 12 * len(RESULT)  # copied whole at each portion, it would be half as often as portions


@given(st.lists(st.text("a\n", max_size=5).map(str.encode), max_size=8))
def test_the_lines_are_the_same_in_any_portions(portions: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [line for portion in portions for line in splitter.feed(portion)]
    assert [*lines, splitter.rest()] == b"".join(portions).split(b"\n")
    assert splitter.rest() == b""


class Work:
    """Counts bytes that were allocated: who copies the beginning of a line again allocates it."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._before = tracemalloc.get_traced_memory()[0]

    def add(self) -> None:
        """Adds what was allocated at most since the last call, beyond what was there then."""
        held, peak = tracemalloc.get_traced_memory()
        self.n_bytes += max(0, peak - self._before)
        tracemalloc.reset_peak()
        self._before = held


@pytest.fixture
def work_done() -> Iterator[Work]:
    tracemalloc.start()
    yield Work()
    tracemalloc.stop()


class Portions(io.FileIO):
    """A file that is read in portions; work is added up with each."""

    def __init__(self, path: Path, work: Work) -> None:
        super().__init__(path)
        self._work = work

    def read(self, n: int | None = -1) -> bytes | None:
        self._work.add()
        return super().read(n)

    def readinto(self, buffer: Any) -> int | None:
        self._work.add()
        return super().readinto(memoryview(buffer)[:PORTION_BYTES])


def poll_stream(path: Path) -> Callable[[], object]:
    stream = Stream(str(path))
    return lambda: stream.poll(0.0)


def follow(path: Path) -> Callable[[], object]:
    return Follower(str(path)).new_lines


@pytest.mark.parametrize("reader", [poll_stream, follow])
def test_a_long_line_that_grows_is_not_copied_at_each_look(
    reader: Callable[[Path], Callable[[], object]],
    tmp_path: Path,
    work_done: Work,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "stream"
    monkeypatch.setattr("cpr_nb.runner.kept_file._CHUNK_BYTES", PORTION_BYTES)
    path.touch()
    look = reader(path)
    for begin in range(0, len(RESULT), PORTION_BYTES):
        with path.open("ab") as file:
            file.write(RESULT[begin : begin + PORTION_BYTES])
        look()
        work_done.add()
    assert work_done.n_bytes < LINEAR


def test_the_runner_reads_a_long_line_at_once(
    tmp_path: Path, work_done: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, pread = tmp_path / "stream", os.pread

    def counting_pread(fd: int, n: int, offset: int) -> bytes:
        work_done.add()
        return pread(fd, min(n, PORTION_BYTES), offset)

    path.write_bytes(RESULT)
    monkeypatch.setattr(os, "pread", counting_pread)
    assert (Stream(str(path)).finish().result or {})["result"] == TEXT
    assert work_done.n_bytes < LINEAR


def test_tables_read_a_long_line_in_growing_pieces(tmp_path: Path, work_done: Work) -> None:
    path = tmp_path / "stream"
    path.write_bytes(RESULT)
    with Portions(path, work_done) as file:
        pieces = read_pieces(cast("BinaryIO", file))
        assert [len(piece) for piece in pieces] == [len(RESULT)]
    assert work_done.n_bytes < LINEAR


def test_the_last_result_is_found_backwards(
    tmp_path: Path, work_done: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stream"
    path.write_bytes(b'{"type":"system"}\n' + RESULT + b'{"type":"system"}\n')
    monkeypatch.setattr(result_line, "_BLOCK_BYTES", PORTION_BYTES)
    monkeypatch.setattr(result_line, "open_regular", lambda _: Portions(path, work_done))
    assert (last_result(str(path)) or {})["result"] == TEXT
    assert work_done.n_bytes < LINEAR


SHORT = [b'{"type":"result","n":1}', b'{"type":"result","n":2}', b'{"type":"x"}', b"result", b""]


@SHARED_FIXTURES
@given(st.lists(st.sampled_from(SHORT), max_size=8), st.integers(1, 40))
def test_the_last_result_is_the_last_in_blocks_of_any_size(
    tmp_path: Path, lines: list[bytes], block_bytes: int
) -> None:
    path = tmp_path / "stream"
    path.write_bytes(b"\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_line, "_BLOCK_BYTES", block_bytes)
        found = last_result(str(path))
    results = [json.loads(line) for line in lines if b'"result"' in line]
    assert found == (results[-1] if results else None)
