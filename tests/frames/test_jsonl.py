"""Streams in pieces: the fast way reads what the slow way reads, whatever stands in them."""

from __future__ import annotations

import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.streams_draw import EVENT_LINES, STREAMS, any_stream, lines, message

from cpr_nb.frames import jsonl as frames_lines
from cpr_nb.frames import stream_cache
from cpr_nb.frames.events import EventRowReader
from cpr_nb.frames.jsonl import JsonlReader, count_objects, read_pieces
from cpr_nb.frames.stream_cache import StreamCache
from cpr_nb.frames.tasks import TaskReader
from cpr_nb.model.events import parse_line

#: Objects that stand where lines don't say so.
TRICKS = st.lists(
    st.sampled_from(
        [b'{"type":"a"}{"type":"b"}', b'{"type":\n"a"}', b"", b'{"type":"a"}\r', b' {"type":"a"}',
         b'{"type":"a"},{"type":"b"}', b'{"a":{"type":"x"}\n}', b'[{"type":"a"}\n,{"type":"b"}]',
         b'{"type":"a","message":5}', b'{"type":"a","b":NaN}', b"{}", b"}", b"{", b'{"type":1}']
    ),
    max_size=6,
)  # fmt: skip
TRICKY = st.tuples(EVENT_LINES, TRICKS).flatmap(
    lambda both: st.permutations([*both[0], *both[1]]).map(b"\n".join)
)
ANY = any_stream() | TRICKY | TRICKY.map(lambda stream: stream + b"\n")


class Slow(EventRowReader):
    """Reads every line by itself, and with the standard library."""

    def feed(self, data: Any) -> None:
        for number, line in enumerate(bytes(data).splitlines(keepends=True), 1):
            event = parse_line(line)
            if event is not None:
                self.handle_odd_event(event)
            elif line.endswith(b"\n") and line.strip():
                self.unreadable.append(number)


def split(stream: bytes) -> bytes:
    """The same with lines that end where `splitlines` thinks, too."""
    return stream.replace(b"\r", b"").replace(b"\x0b", b"").replace(b"\x0c", b"")


def rows(reader: EventRowReader) -> list[tuple[Any, ...]]:
    """What it says; the input of a tool as an object, for it may be written in several ways."""
    found = list(zip(*(reader.lists[name] for name in EventRowReader.COLUMNS), strict=True))
    plain = []
    for at, kind, subtype, role, text, model, tool, turn, parent in found:
        if subtype == "tool_use" and isinstance(text, str):
            text = repr(json.loads(text))
        cells = (at, kind, subtype, role, text, model, tool, parent)
        plain.append((turn, *(cell if isinstance(cell, str) else None for cell in cells)))
    return plain


def fed(reader: EventRowReader, *parts: bytes) -> EventRowReader:
    for part in parts:
        reader.feed(part)
    return reader


@given(ANY)
def test_the_fast_way_reads_what_the_slow_way_reads(stream: bytes) -> None:
    stream = split(stream)
    fast, slow = fed(EventRowReader(), stream), fed(Slow(), stream)
    assert rows(fast) == rows(slow)
    assert fast.unreadable == slow.unreadable


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_recording_is_read_the_fast_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing is gained by it."""
    fast, slow = EventRowReader(), fed(Slow(), STREAMS[name])
    monkeypatch.setattr(EventRowReader, "handle_odd_event", None)
    monkeypatch.setattr(JsonlReader, "_feed_line", None)
    if STREAMS[name]:
        fast.feed(STREAMS[name])
    assert rows(fast) == rows(slow)


@given(ANY, st.integers(1, 40))
def test_pieces_are_the_file_in_whole_lines(stream: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as file:
        patch.setattr(frames_lines, "_PIECE_BYTES", size)
        file.write(stream)
        file.seek(0)
        found = [bytes(piece) for piece in read_pieces(file)]
    assert b"".join(found) == stream
    assert all(piece.endswith(b"\n") for piece in found[:-1])


@given(ANY)
def test_lines_are_counted_only_if_each_is_an_object(stream: bytes) -> None:
    *lines, rest = stream.split(b"\n")
    all_look_so = all(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    assert count_objects(stream) == (len(lines) if all_look_so and not rest else 0)


# -- streams that grow ------------------------------------------------------------------------


@given(st.data())
def test_a_growing_stream_reads_like_a_fresh_one(data: st.DataObject) -> None:
    growing = StreamCache(limit_bytes=data.draw(st.sampled_from([0, 2000, 1 << 20])))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stream")
        path.touch()
        for _ in range(data.draw(st.integers(1, 5))):
            change(path, data)
            for make in (EventRowReader, TaskReader):
                with growing.lock:
                    mine = growing.read(str(path), make)
                    fresh = make()
                    with path.open("rb") as file:
                        for piece in read_pieces(file):
                            fresh.feed(piece)
                    assert content(mine) == content(fresh)


def change(path: Path, data: st.DataObject) -> None:
    """What may become of a stream between two looks."""
    stream = path.read_bytes()
    what = data.draw(st.sampled_from(["grows", "grows", "cut", "replaced", "anew"]))
    if what == "grows":
        path.open("ab").write(data.draw(ANY))
    elif what == "cut":
        os.truncate(path, data.draw(st.integers(0, len(stream))))
    elif what == "replaced":
        other = path.with_name("other")
        other.write_bytes(data.draw(ANY))
        other.replace(path)
    else:
        path.write_bytes(data.draw(ANY))


def content(reader: EventRowReader | TaskReader) -> Any:
    if isinstance(reader, EventRowReader):
        return rows(reader), reader.unreadable
    return repr(reader.columns())


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    class Seen(io.BufferedReader):
        def readinto(self, buffer: Any) -> int:
            n = super().readinto(buffer)
            read.append(bytes(memoryview(buffer)[:n]))
            return n

    monkeypatch.setattr(stream_cache, "open_regular", lambda path: Seen(io.FileIO(path)))
    path, growing = tmp_path / "stream", StreamCache()
    one, two = lines(message("assistant", "one")), lines(message("assistant", "two"))
    for new, read_again in ((one + two[:9], b""), (two[9:] + one, two[:9]), (b"", b"")):
        with path.open("ab") as file:
            file.write(new)
        read.clear()
        assert growing.read(str(path), EventRowReader).unreadable == []
        assert b"".join(read) == read_again + new


def test_what_is_kept_stays_below_its_limit(tmp_path: Path) -> None:
    stream = lines(message("assistant", "x" * 1000))
    growing = StreamCache(limit_bytes=5 * (len(stream) + stream_cache.OVERHEAD_BYTES))
    for number in range(9):
        path = tmp_path / str(number)
        path.write_bytes(stream)
        growing.read(str(path), EventRowReader)
        assert growing.n_bytes <= 5 * (len(stream) + stream_cache.OVERHEAD_BYTES)
    assert len(growing._streams) == 5, "those that were used last"
