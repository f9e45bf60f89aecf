"""The hub's loop: messages of the runner and of nodes, one at a time, and the clock."""

from __future__ import annotations

import os

import zmq

from cpr_nb.nodes.hub_opening import OpenHub
from cpr_nb.nodes.lease_book import LeaseBook
from cpr_nb.nodes.packings import Packings
from cpr_nb.nodes.timing import LeaseTimes, boot_clock_s
from cpr_nb.nodes.wire import packed, unpacked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.nodes.hub_link import HubLink
    from cpr_nb.nodes.wire import Message

_MOST_WAIT_S = 1.0
#: Messages of nodes in one turn: the runner is not to wait for them.
_MOST_MESSAGES = 500
#: How long node agents may take to say good-bye at the session's end.
_GOODBYE_S = 2.0


class HubLoop:
    """Serves one runner.

    Args:
        link: The link with it. Its first message says what to open.

    Raises:
        zmq.ZMQError: If there is no port.
        OSError: If the files can't be written.
    """

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._poller = zmq.Poller()
        self._poller.register(link.fd, zmq.POLLIN)
        opening, *more = self._await_opening()
        self._hub = OpenHub(opening)
        self._times = LeaseTimes(opening["lease_s"])
        self._turn_at = boot_clock_s()
        self._book = LeaseBook(self._times, self._send, link.send, self._turn_at)
        poller = self._poller
        watch = lambda fd: poller.register(fd, zmq.POLLIN)  # noqa: E731
        self._packings = Packings(self._book, watch, poller.unregister)
        for lease in opening["leases"]:
            self._book.await_lease(lease)
        self._orders: dict[str, Callable[[dict[str, Any]], None]] = {
            "start": self._packings.start,
            "sweep": self._book.sweep,
            "acked": self._book.acknowledge,
            "end": self._end,
            **dict.fromkeys(("write", "close_stdin", "signal", "kill"), self._packings.command),
        }
        self._rival_path: str = opening.get("rival_path", "")
        self._has_rival = False
        self._next_look_at = 0.0
        self._judge_from = 0.0
        self._leave_by: float | None = None  # seconds of the boot clock
        self._poller.register(self._hub.router, zmq.POLLIN)
        self._poller.register(self._hub.gate.socket, zmq.POLLIN)
        self._unsent: dict[bytes, list[Message]] = {}  # by connection
        addresses, port = self._hub.join.addresses, self._hub.join.port
        link.send("ready", addresses=addresses, port=port, lost_after_s=self._times.over_s)
        for order in more:
            self._orders[order["type"]](order)

    def run(self) -> None:
        """Runs until the runner has gone, or its session is over, or is another runner's."""
        while self._link.is_open and not (self._may_leave() or self._is_taken_over()):
            self._poller.modify(
                self._link.fd, zmq.POLLIN | (zmq.POLLOUT if self._link.has_unsent else 0)
            )
            ready = dict(self._poller.poll(self._wait_ms()))
            now = boot_clock_s()
            self._note_absence(now)
            if self._hub.gate.socket in ready:
                self._hub.gate.answer()
            if self._link.fd in ready:
                for order in self._link.receive():
                    self._orders[order["type"]](order)
            self._packings.turn(ready)
            if self._read_nodes() and now >= self._judge_from:
                self._book.judge(now)
            self._flush()
        self._packings.close()
        self._hub.close(for_good=self._leave_by is not None)
        if self._has_rival:
            self._await_runner()

    def _await_opening(self) -> list[dict[str, Any]]:
        while not (messages := self._link.receive()):
            if not self._link.is_open:
                raise EOFError("the runner has gone")
            self._poller.poll()
        return messages

    def _is_taken_over(self) -> bool:
        """Whether another runner has the session now. Ours may stand still, and not know of it.

        The node agents then look for the hub of the other one, which waits for their leases.
        """
        now = boot_clock_s()
        if now < self._next_look_at or not self._rival_path:
            return False
        self._next_look_at = now + _MOST_WAIT_S
        self._has_rival = os.path.lexists(self._rival_path)
        return self._has_rival

    def _await_runner(self) -> None:
        """Waits until the runner has noticed that its session is another one's, and leaves."""
        poller = zmq.Poller()
        poller.register(self._link.fd, zmq.POLLIN)
        while self._link.is_open:
            poller.poll()
            self._link.receive()

    def _may_leave(self) -> bool:
        if self._leave_by is None:
            return False
        return not self._book.has_nodes or boot_clock_s() >= self._leave_by

    def _wait_ms(self) -> int:
        next_at = max(self._book.next_at(), self._judge_from)
        return int(1000 * max(0.0, min(_MOST_WAIT_S, next_at - boot_clock_s()))) + 1

    def _note_absence(self, now: float) -> None:
        """After this process or its machine stood still: what nodes sent then is yet to arrive."""
        if now - self._turn_at > _MOST_WAIT_S + self._times.beat_s:
            self._judge_from = now + 2 * self._times.beat_s
        self._turn_at = now

    def _end(self, _order: dict[str, Any]) -> None:
        self._book.send_leave()
        self._leave_by = boot_clock_s() + _GOODBYE_S

    def _send(self, identity: bytes, header: dict[str, Any], data: bytes = b"") -> None:
        self._unsent.setdefault(identity, []).append((header, data))

    def _flush(self) -> None:
        """Says what this turn has to say: to the nodes, and to the runner."""
        unsent, self._unsent = self._unsent, {}
        for identity, messages in unsent.items():
            self._hub.router.send_multipart([identity, *packed(messages)])
        self._link.flush()

    def _read_nodes(self) -> bool:
        """Reads what nodes have sent; returns whether that was all."""
        for _ in range(_MOST_MESSAGES):
            try:
                identity, *frames = self._hub.router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return True
            for header, data in unpacked(frames):
                self._pass_on(identity, header, data)
        return False

    def _pass_on(self, identity: bytes, header: dict[str, Any], data: bytes) -> None:
        now, kind, book = boot_clock_s(), header["type"], self._book
        if kind == "hello":
            book.hello(identity, header, now)
            if self._leave_by is not None:
                book.send_leave()
            return
        if kind == "swept":
            book.swept(identity, header["life"], now)
            return
        record = book.record_of(identity)
        if record is None:
            return  # of an earlier connection, or of a life that is over
        if kind == "beat":
            book.beat(record, header, now)
        elif kind == "stream":
            book.stream(record, header, data)
        elif kind in ("leaving", "bye"):
            (book.leaving if kind == "leaving" else book.bye)(record, header.get("why", ""), now)
        else:
            passed_on = {
                "started": book.started,
                "refused": book.refused,
                "ended": book.ended,
                "busy": book.busy,
            }
            passed_on[kind](record, header)
