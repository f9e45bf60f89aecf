"""The stdin of a CLI that takes messages as lines of JSON: prompts, answers, requests."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class MessagePipe:
    """Our end of a CLI's stdin; the CLI finds it closed once we are gone.

    Args:
        fd: Its descriptor, closed by `close`.
    """

    __slots__ = ("_fd", "_unsent")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._unsent = b""
        os.set_blocking(fd, False)

    def __del__(self) -> None:
        self.close()

    def send_message(self, text: str) -> None:
        """Sends a message of the user: a prompt or a command."""
        message = {"role": "user", "content": text}
        self.send_line({"type": "user", "message": message, "parent_tool_use_id": None})

    def send_line(self, message: dict[str, Any]) -> None:
        """Sends a line."""
        self.send_bytes(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n")

    def send_bytes(self, data: bytes) -> None:
        """Sends lines as they are."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        """Writes what there is room for."""
        while self._unsent and self.is_open:
            try:
                self._unsent = self._unsent[os.write(self._fd, self._unsent) :]
            except BlockingIOError:
                return
            except OSError:  # the CLI is gone, or closed its stdin: then its end comes
                self._unsent = b""

    @property
    def is_open(self) -> bool:
        """Whether the CLI may get more."""
        return self._fd >= 0

    @property
    def has_unsent(self) -> bool:
        """Whether the CLI has not got all that it was sent."""
        return bool(self._unsent)

    def close(self) -> None:
        """The CLI gets nothing more, and ends once its turn is over."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def new_pipe() -> tuple[int, MessagePipe]:
    """The stdin of a CLI that is about to start, which its starter closes here; and our end."""
    read_fd, write_fd = os.pipe()
    return read_fd, MessagePipe(write_fd)
