"""The runner's end of its link with the hub: JSON objects, one a line, over a socket pair."""

from __future__ import annotations

import json
import os
import sys
import time
from _socket import AF_UNIX, SOCK_STREAM, socketpair  # the module around it costs a megabyte

from cpr_nb.model.quick_json import loads
from cpr_nb.runner import process
from cpr_nb.runner.own_folder import HERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_HUB = os.path.join(os.path.dirname(os.path.dirname(_HERE)), "nodes", "hub.py")
_READ_BYTES = 1 << 18
_POLL_S = 0.02


class HubPipe:
    """A hub that we have started, and the link with it.

    Args:
        library_dirs: The folders in which Python has installed libraries.

    Attributes:
        fd: The descriptor on which its messages come.
        pid: Its process: a child of ours.
        is_open: Whether it may still be there.

    Raises:
        OSError: If it can't be started.
    """

    def __init__(self, library_dirs: Sequence[str]) -> None:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        self.fd, hub_fd = ours.detach(), theirs.detach()
        argv = [sys.executable, "-I", "-X", "utf8", _HUB, *library_dirs]
        try:
            self.pid = process.spawn(
                argv, cwd=HERE, env=dict(os.environb), stdin=hub_fd, stdout=2, stderr=2
            )
        finally:
            os.close(hub_fd)
        os.set_blocking(self.fd, False)
        self.is_open = True
        self._unread = b""
        self._unsent = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether the hub has not read all yet."""
        return bool(self._unsent)

    def send(self, kind: str, /, **fields: Any) -> None:
        """Sends a message; what the hub does not read at once waits here."""
        line = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        self._unsent += line.encode("utf-8", "surrogatepass") + b"\n"
        self.flush()

    def flush(self) -> None:
        """Sends what there is room for."""
        while self._unsent and self.is_open:
            try:
                del self._unsent[: os.write(self.fd, self._unsent)]
            except BlockingIOError:
                return
            except OSError:
                self.is_open = False

    def receive(self) -> list[dict[str, Any]]:
        """The messages that have come; once the hub is gone, `is_open` is false."""
        parts = [self._unread]
        while self.is_open:
            try:
                chunk = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            self.is_open = bool(chunk)
            parts.append(chunk)
        *lines, self._unread = b"".join(parts).split(b"\n")
        return [loads(line) for line in lines]

    def close(self) -> None:
        """Has nothing more to do with it: a hub whose link is closed ends."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.is_open = -1, False

    def await_end(self, patience_s: float) -> None:
        """Waits until it has sent and received the last that there is, and has ended."""
        give_up_at = time.monotonic() + patience_s
        while self.is_open and time.monotonic() < give_up_at:
            self.flush()
            self.receive()
            time.sleep(_POLL_S)
