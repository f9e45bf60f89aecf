"""Finds the hub: tries every address of the join file, again and again, without ever waiting."""

from __future__ import annotations

import errno
import os
import socket

from cpr_nb.nodes.join_file import JoinFileError
from cpr_nb.nodes.wire import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    import zmq

    from cpr_nb.nodes.join_file import JoinFile
    from cpr_nb.nodes.join_source import JoinSource

_TRY_S = 3.0
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.1, 2.0


class HubSearch:
    """Looks for the hub of a session.

    Args:
        source: The join file.
        address: Where the hub is, ``HOST:PORT``; empty: where the join file says.
        context: The context of its connections.

    Attributes:
        problems: What happened at each address, newest last.
        is_over: Whether the join file is removed: a hub does that at its session's end.
    """

    def __init__(self, source: JoinSource, address: str, context: zmq.Context[Any]) -> None:
        self._source, self._address, self._context = source, address, context
        self._left: list[str] = []
        self._last = ""
        self._join: JoinFile | None = None
        self._try: socket.socket | None = None
        self._trying = ""
        self._try_until = self._next_at = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self.problems: dict[str, str] = {}
        self.is_over = False

    @property
    def fd(self) -> int:
        """What becomes writable when there is something to do; -1 if nothing does."""
        return -1 if self._try is None else self._try.fileno()

    @property
    def next_at(self) -> float:
        """When there is something to do in any case, in seconds of the boot clock."""
        return self._next_at if self._try is None else self._try_until

    def step(self, now: float) -> Connection | None:
        """Goes on; returns a connection where somebody listens."""
        if self._try is not None:
            return self._finish_try(now)
        if now < self._next_at:
            return None
        try:
            self._begin_try(now)
        except JoinFileError as error:
            self.is_over = self._source.is_removed
            self.problems = {"": str(error)}
            self._pause(now)
        else:
            self.is_over = False  # the file was away for a moment
        return None

    def failed(self, why: str) -> None:
        """The newest connection was of no use."""
        self.problems[self._trying] = why

    def succeeded(self) -> None:
        """The newest connection leads to the hub: it is tried first from now on."""
        self._last, self._left = self._trying, []
        self._pause_s = _FIRST_PAUSE_S
        self._next_at = 0.0

    def _close(self) -> None:
        if self._try is not None:
            self._try.close()
            self._try = None

    def _begin_try(self, now: float) -> None:
        self._join = join = self._source.read()
        if not self._left:
            own = [self._address] if self._address else []
            self._left = own or [f"{address}:{join.port}" for address in join.addresses]
            if self._last in self._left:
                self._left.remove(self._last)
                self._left.insert(0, self._last)
        self._trying = self._left.pop(0)
        host, _, port = self._trying.rpartition(":")
        self._try = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._try.setblocking(False)
        self._try_until = now + _TRY_S
        try:
            number = self._try.connect_ex((host, int(port)))
        except OSError as error:  # its name is unknown
            self._give_up(error.strerror or str(error), now)
        else:
            if number not in (0, errno.EINPROGRESS):
                self._give_up(os.strerror(number), now)

    def _finish_try(self, now: float) -> Connection | None:
        assert self._try is not None and self._join is not None  # noqa: S101 - for mypy
        number = self._try.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._give_up(os.strerror(number), now)
            return None
        try:
            self._try.getpeername()
        except OSError:  # not yet
            if now >= self._try_until:
                self._give_up("no answer", now)
            return None
        self._close()
        self._pause(now)
        return Connection(self._context, self._join, self._trying)

    def _give_up(self, why: str, now: float) -> None:
        self._close()
        self.problems[self._trying] = why
        if self._left:
            self._next_at = now
        else:
            self._pause(now)

    def _pause(self, now: float) -> None:
        self._next_at = now + self._pause_s
        self._pause_s = min(_MOST_PAUSE_S, 2 * self._pause_s)
