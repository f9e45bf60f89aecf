"""The stream of a task that a shared process serves: a part of the process's own."""

from __future__ import annotations

from cpr_nb.runner.stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.runner.shared.borders import ProcessStream
    from cpr_nb.runner.shared.part import Part


class ServedStream(Stream):
    """The part of a process's stream that is one task's.

    It is read from the process's file, and copied into the task's own for everybody else.

    Args:
        path: The process's file.
        pid: The process.
        begin: Where the part begins in it, in bytes.
        source: What follows the process's stream.
        part: The copy in the task's own file.
        with_tools: Whether it matters which tools run.

    Attributes:
        end: Where it ends, in bytes; None as long as that is not known.
        trouble: Why it could not be copied yet; empty if it was.
    """

    __slots__ = ("_part", "_source", "end", "trouble")

    def __init__(
        self,
        path: str,
        pid: int,
        begin: int,
        source: ProcessStream,
        part: Part,
        *,
        with_tools: bool,
    ) -> None:
        super().__init__(path, pid, with_tools=with_tools)
        self._offset = begin
        self._source = source
        self._part = part
        self.end: int | None = None
        self.trouble = ""

    def finish_copy(self) -> bool:
        """Copies the rest into the task's file; returns whether all of it is there."""
        self._copy()
        if not self.trouble:
            try:
                self._part.finish()
            except OSError as error:
                self.trouble = error.strerror or str(error)
        return not self.trouble

    def close(self) -> None:
        """Closes the process's file; the task's own stays open until it is whole."""
        super().close()
        self.finish_copy()

    def _copy(self) -> None:
        try:
            self._part.copy(self._known_end())
            self.trouble = ""
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def _new_chunks(self) -> Iterator[bytes]:
        self._copy()
        for chunk in self._file.read_from(self._offset):
            chunk = chunk[: max(0, self._known_end() - self._offset)]
            if not chunk:
                return
            yield chunk

    def _known_end(self) -> int:
        return self._source.end if self.end is None else self.end
