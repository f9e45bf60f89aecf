"""What the hub knows of one process that runs on a node: its lease, its streams, its end."""

from __future__ import annotations

from cpr_nb.nodes.stream_file import StreamFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class LeasedRun:
    """A token that one life of a node holds, until its end is journalled or the life is lost.

    Args:
        token: What marks the process tree.
        life: The life that may run it.
        out: The file of its stdout.
        err: The file of its stderr; None: it goes to the same file.
        home: The file of what must come home beside its output; None: nothing must.
        is_new: Whether it is about to start.

    Attributes:
        files: The streams by name.
        order: The number of the order that starts it; 0 if an earlier hub gave it.
        is_started: Whether the runner knows that it has started.
        end: What the node said of its end, until the runner knows.
        is_over: Whether the runner knows of its end.

    Raises:
        OSError: If a file can't be opened.
    """

    __slots__ = ("end", "files", "is_over", "is_started", "life", "order", "token")

    def __init__(
        self,
        token: str,
        life: str,
        out: str,
        err: str | None,
        home: str | None,
        *,
        is_new: bool,
    ) -> None:
        self.token, self.life = token, life
        self.files: dict[str, StreamFile] = {}
        try:
            for which, path in (("out", out), ("err", err), ("home", home)):
                if path is not None:
                    self.files[which] = StreamFile(path, is_new=is_new)
        except OSError:
            self.close()
            raise
        self.order = 0
        self.is_started = self.is_over = False
        self.end: dict[str, Any] | None = None

    def sizes(self) -> dict[str, int]:
        """How many bytes of each stream are here."""
        return {which: file.size for which, file in self.files.items()}

    def missing(self) -> list[str]:
        """The streams that lack bytes which were written before its end."""
        totals = self.end["sizes"] if self.end else {}
        return [which for which, file in self.files.items() if file.size < totals.get(which, 0)]

    def close(self) -> None:
        """Closes its files."""
        for file in self.files.values():
            file.close()
