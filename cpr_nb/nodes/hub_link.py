"""The hub's end of its link with the runner: JSON objects, one a line, over a socket pair."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_BYTES = 1 << 16


class HubLink:
    """Reads orders of the runner and sends it what happens on the nodes.

    Args:
        fd: Its descriptor.

    Attributes:
        fd: The same.
        is_open: Whether the runner may still be there.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.is_open = True
        self._unread = b""
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether the runner has not read all yet."""
        return bool(self._unsent)

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have come; once it is closed, `is_open` is false."""
        parts = [self._unread]
        while True:
            try:
                chunk = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                self.is_open = False
                break
            parts.append(chunk)
        *lines, self._unread = b"".join(parts).split(b"\n")
        return [json.loads(line.decode("utf-8", "surrogatepass")) for line in lines]

    def send(self, kind: str, /, **fields: Any) -> None:
        """Sends a message with the next `flush`."""
        line = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        self._unsent += line.encode("utf-8", "surrogatepass") + b"\n"

    def flush(self) -> None:
        """Sends what there is room for; what the runner does not read at once waits here."""
        while self._unsent:
            try:
                del self._unsent[: os.write(self.fd, self._unsent)]
            except BlockingIOError:
                return
            except OSError:
                self.is_open = False
                return
