"""A stream that comes home: the same bytes, whatever is lost, repeated, refused or cut between."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.nodes.spool import Spool
from cpr_nb.nodes.stream_file import StreamFile

#: What happens next: the process writes; a chunk leaves; it arrives; all that is under way is lost
#: with the connection; a chunk comes twice, or not at all; a new hub goes on with the file.
STEPS = st.one_of(
    st.tuples(st.just("write"), st.binary(max_size=200_000)),
    st.tuples(
        st.sampled_from(["send", "arrive", "cut", "twice", "lose one", "rewind", "new hub"]),
        st.just(b""),
    ),
)


class Way:
    """A spool on a node, a file at home, and what is under way between them."""

    def __init__(self, folder: Path) -> None:
        self.path, self.home = folder / "spool", folder / "home"
        self.path.touch()
        self.spool = Spool(str(self.path))
        self.file = StreamFile(str(self.home), is_new=True)
        self.under_way: list[tuple[int, bytes]] = []

    def step(self, kind: str, data: bytes) -> None:
        if kind == "write":
            with self.path.open("ab") as file:
                file.write(data)
        elif kind == "send" and (chunk := self.spool.next_chunk()):
            self.under_way.append(chunk)
        elif kind == "arrive" and self.under_way:
            self.arrive(self.under_way.pop(0))
        elif kind == "twice" and self.under_way:
            self.arrive(self.under_way[0])
        elif kind == "lose one" and self.under_way:
            self.under_way.pop(0)
        elif kind == "cut":
            self.under_way.clear()
            self.rewind()
        elif kind == "rewind":
            self.rewind()
        elif kind == "new hub":
            self.under_way.clear()
            self.file.close()
            self.file = StreamFile(str(self.home), is_new=False)
            self.rewind()

    def arrive(self, chunk: tuple[int, bytes]) -> None:
        if self.file.put(*chunk):
            self.spool.acknowledge(self.file.size)

    def rewind(self) -> None:
        self.spool.acknowledge(self.file.size, again=True)

    def finish(self) -> None:
        """In the end the hub lacks bytes, and asks for them until it has them."""
        while self.file.size < self.spool.size:
            self.step("send", b"")
            if self.under_way:
                self.step("arrive", b"")
            else:
                self.rewind()


@given(st.lists(STEPS, max_size=40))
def test_a_stream_comes_home_whole(steps: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        way = Way(Path(folder))
        for kind, data in steps:
            way.step(kind, data)
            assert way.path.read_bytes().startswith(way.home.read_bytes())
        way.finish()
        assert way.home.read_bytes() == way.path.read_bytes()
        way.file.close()
        way.spool.remove()
