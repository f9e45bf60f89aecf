"""The node agent: serves the hub of one session on this machine, for as long as it has a lease."""

from __future__ import annotations

import os
import signal
import time

import zmq

from cpr_nb.nodes.hub_search import HubSearch
from cpr_nb.nodes.timing import boot_clock_s
from cpr_nb.nodes.wire import PROTOCOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.nodes.node_runs import NodeRuns
    from cpr_nb.nodes.timing import LeaseTimes
    from cpr_nb.nodes.twin import Twin
    from cpr_nb.nodes.wire import Connection

#: A node agent that finds no hub at first leaves after this long.
FIND_S = 30.0
_WELCOME_S = 5.0
#: How often what runs is looked at for new output: where the runner answers it, and elsewhere.
#: The end of a process is seen at once.
_DIALOGUES_EVERY_S, _STREAMS_EVERY_S = 0.1, 0.25
#: How long what runs may take to end, and to pack its work, when this node agent is told to stop.
#: With what follows it is less than Slurm's KillWait, 30 s.
_STOP_TERM_S = 15.0
#: How long the hub may take to note those ends.
_STOP_TELL_S = 10.0
_GOODBYE_MS = 1000
_MOST_WAIT_S = 5.0
LEASE, STOP = "lease", "stop"
_SESSION_OVER = "the session is over"
#: How it has ended: it left; it found no hub; it is to begin a new life.
DONE, NO_HUB, AGAIN = 0, 1, -1


class NodeAgent:
    """Serves one hub, until the session ends or this node agent is told to stop.

    Args:
        facts: What the hub is told of this machine and of this life.
        times: The times of a lease.
        runs: What runs here.
        twin: Its twin.
        search: Finds the hub.

    Attributes:
        farewell: Why it has left, in a line.
    """

    def __init__(
        self,
        facts: dict[str, Any],
        times: LeaseTimes,
        runs: NodeRuns,
        twin: Twin,
        search: HubSearch,
    ) -> None:
        self._facts, self._times, self._runs, self._twin = facts, times, runs, twin
        self._search = search
        self._connection: Connection | None = None
        self._is_welcome = False
        self._hub = ""
        self._last_order = 0
        self._began_at = self._echo_at = boot_clock_s()
        self._welcome_by = self._beat_at = self._streams_at = 0.0
        self._lease_end = 0.0
        self._cause = ""  # why we end what runs
        self._kill_at = self._leave_by = float("inf")
        self._is_leaving = False
        self._why_leaving = ""
        self._after_leaving = DONE
        self._exit: int | None = None
        self._poller = zmq.Poller()
        self._search_fd = -1
        self._signal_fd = _signals()
        self._poller.register(self._signal_fd, zmq.POLLIN)
        self.farewell = ""

    def run(self) -> int:
        """Serves; returns `DONE`, `NO_HUB` or `AGAIN`."""
        while self._exit is None:
            self._poller.poll(self._wait_ms())
            now = boot_clock_s()
            self._keep_lease(now)  # first: what ended while we stood still was ended by our twin
            self._read_signals(now)
            self._reap(now)
            self._keep_room(now)
            self._keep_connection(now)
            self._send_due(now)
            self._may_leave(now)
            if self._connection is not None:
                self._connection.flush()
        if self._connection is not None:
            self._connection.finish(_GOODBYE_MS)
        return self._exit

    # --- Time -----------------------------------------------------------------------------------

    def _wait_ms(self) -> int:
        now = boot_clock_s()
        times = [self._kill_at, self._leave_by, now + _MOST_WAIT_S]
        if self._connection is None:
            times.append(self._search.next_at)
        else:
            times.append(self._beat_at if self._is_welcome else self._welcome_by)
        if self._runs.are_running:
            times += [self._streams_at] if self._is_welcome else []
            times += [] if self._cause else [self._lease_end]
        return int(1000 * max(0.0, min(times) - now)) + 1

    def _keep_lease(self, now: float) -> None:
        if self._runs.are_running and now >= self._lease_end and not self._cause:
            self._end_all(LEASE, now, self._times.term_s)
        if now >= self._kill_at:
            self._kill_at = float("inf")
            self._runs.kill_all()

    def _end_all(self, cause: str, now: float, term_s: float) -> None:
        self._cause = cause
        self._kill_at = now + term_s
        self._runs.terminate_all()

    def _reap(self, now: float) -> None:
        strangers = self._runs.reap(self._cause_now)
        if self._twin.pid in strangers:
            self._stop_without_twin(now)
        if not self._runs.are_running:
            self._kill_at = float("inf")
            if self._cause == LEASE:
                self._cause = ""

    def _cause_now(self) -> str:
        """Why something has ended, if it was we, or our twin while we stood still."""
        if self._cause or boot_clock_s() >= self._lease_end:
            return self._cause or LEASE
        return STOP if self._runs.lack_room else ""

    def _stop_without_twin(self, now: float) -> None:
        """Somebody has killed the twin: what runs here is ended, and a new life has a new one."""
        self._after_leaving = AGAIN
        self._stop(now)

    def _may_leave(self, now: float) -> None:
        if self._is_leaving and not self._runs.are_running:
            if self._leave_by == float("inf"):
                self._leave_by = now + _STOP_TELL_S
            if not self._runs.tokens or now >= self._leave_by:
                self._send({"type": "bye", "why": self._why_leaving})
                self._exit = self._after_leaving
        elif not self._hub and now >= self._began_at + FIND_S:
            tried = "; ".join(f"{at}: {why}" if at else why for at, why in self._problems())
            self.farewell = (
                f"no hub answered within {FIND_S:.0f} s ({tried}): give its address with "
                "--address HOST:PORT (of a tunnel, for example), or start the session where "
                "this machine can reach it"
            )
            self._exit = NO_HUB
        elif self._search.is_over and not self._runs.are_running:
            self.farewell = _SESSION_OVER
            self._exit = DONE
        elif not self._runs.tokens and now >= self._echo_at + 10 * self._times.lease_s:
            self.farewell = "the hub has not answered for ten leases"
            self._exit = DONE

    def _problems(self) -> list[tuple[str, str]]:
        return list(self._search.problems.items()) or [("", "not tried")]

    # --- Signals --------------------------------------------------------------------------------

    def _read_signals(self, now: float) -> None:
        try:
            numbers = os.read(self._signal_fd, 4096)
        except BlockingIOError:
            return
        if not self._is_leaving and set(numbers) - {signal.SIGCHLD}:
            self.farewell = "it was told to stop"
            self._stop(now)

    def _keep_room(self, now: float) -> None:
        """A node whose disk is full would fail whatever is given to it: it leaves."""
        if not self._is_leaving and (why := self._runs.lack_room):
            self.farewell = self._why_leaving = why
            self._stop(now)

    def _stop(self, now: float) -> None:
        self._is_leaving = True
        self._send({"type": "leaving", "why": self._why_leaving})
        self._end_all(STOP, now, _STOP_TERM_S)

    # --- The connection -------------------------------------------------------------------------

    def _keep_connection(self, now: float) -> None:
        if self._connection is None:
            self._dial(now)
            return
        while (connection := self._connection) is not None and (messages := connection.receive()):
            for header, data in messages:
                if self._connection is connection:  # one of them may have made us hang up
                    self._answer(header, data, now)
            if self._exit is not None:
                return
        if self._connection is None:
            return
        if self._connection.is_broken():
            self._hang_up("the connection broke, or the join file is of another session")
        elif not self._is_welcome and now >= self._welcome_by:
            self._hang_up("no welcome")
        elif self._is_welcome and now >= self._echo_at + self._times.silent_s:
            self._hang_up("no answer any more")

    def _dial(self, now: float) -> None:
        connection = self._search.step(now)
        self._watch_search()
        if connection is None:
            return
        self._connection, self._is_welcome = connection, False
        self._poller.register(connection.socket, zmq.POLLIN)
        self._poller.register(connection.monitor, zmq.POLLIN)
        self._welcome_by = now + _WELCOME_S
        self._send_hello(now)

    def _watch_search(self) -> None:
        fd = self._search.fd
        if fd != self._search_fd:
            if self._search_fd >= 0:
                self._poller.unregister(self._search_fd)
            if fd >= 0:
                self._poller.register(fd, zmq.POLLOUT)
            self._search_fd = fd

    def _hang_up(self, why: str) -> None:
        if self._connection is not None:
            self._poller.unregister(self._connection.socket)
            self._poller.unregister(self._connection.monitor)
            self._connection.close()
        self._connection, self._is_welcome = None, False
        self._search.failed(why)

    def _send_hello(self, now: float) -> None:
        hello = {
            "type": "hello",
            "protocol": PROTOCOL,
            "t": now,
            "wall_s": time.time(),
            "hub": self._hub,
            "order": self._last_order,
            "is_leaving": self._is_leaving,
            "tokens": self._runs.tokens,
        }
        if self._connection is not None:
            self._connection.send({**self._facts, **hello})

    def _send(self, header: dict[str, Any], data: bytes = b"") -> None:
        if self._connection is not None and self._is_welcome:
            self._connection.send(header, data)

    def _send_due(self, now: float) -> None:
        if not self._is_welcome:
            return
        if now >= self._beat_at:
            self._beat_at = now + self._times.beat_s
            self._send({"type": "beat", "t": now, "order": self._last_order})
        of_all = now >= self._streams_at
        if of_all:
            has_dialogue = self._runs.has_dialogue
            self._streams_at = now + (_DIALOGUES_EVERY_S if has_dialogue else _STREAMS_EVERY_S)
            self._runs.follow(now, self._send)
        self._runs.send_streams(self._send, of_all=of_all)

    # --- What the hub says ----------------------------------------------------------------------

    def _answer(self, header: dict[str, Any], data: bytes, now: float) -> None:
        kind = header["type"]
        if kind == "welcome":
            self._begin(header, now)
        elif kind == "echo":
            self._extend(header["t"], now)
        elif kind == "order":
            self._carry_out(header, data)
        elif kind == "size":
            self._runs.acknowledge(header)
        elif kind == "drop":
            self._runs.drop(header["tokens"])
        elif kind == "leave":
            self.farewell = _SESSION_OVER
            self._runs.kill_all()
            self._send({"type": "bye"})
            self._exit = DONE
        elif kind == "refused":
            self.farewell = f"the hub has refused this node agent: {header['why']}"
            self._runs.kill_all()
            self._exit = NO_HUB
        elif kind == "gone":
            self._runs.kill_all()
            self._exit = DONE if self._is_leaving else AGAIN

    def _begin(self, header: dict[str, Any], now: float) -> None:
        if header["hub"] != self._hub:
            self._hub, self._last_order = header["hub"], 0
        self._is_welcome = True
        self._search.succeeded()
        self._extend(header["t"], now)
        self._beat_at = now
        self._runs.drop(header["drop"])
        self._runs.resume(header["sizes"], self._send)

    def _extend(self, sent_at: float, now: float) -> None:
        self._echo_at = now
        earlier_end = self._lease_end
        self._lease_end = sent_at + self._times.lease_s
        self._twin.extend(self._lease_end, self._runs.n_marks)
        # By the clock of this moment, since we may have stood still.
        if 0 < earlier_end <= boot_clock_s():
            # Too late for what runs: our twin may be about to end all of that lease.
            self._runs.n_marks += 1
            self._twin.extend(self._lease_end, self._runs.n_marks)
            if self._runs.are_running and not self._cause:
                self._end_all(LEASE, now, self._times.term_s)

    def _carry_out(self, order: dict[str, Any], parcel: bytes) -> None:
        if order["hub"] != self._hub or order["order"] != self._last_order + 1:
            return  # it was carried out already
        if order["do"] == "start":
            if self._is_leaving:
                return  # the hub hears it with our good-bye
            if boot_clock_s() >= self._lease_end or self._cause:
                self._hang_up("an order came too late")  # it comes again, with a new lease
                return
            self._send(self._runs.start(order, parcel))
        elif order["do"] == "sweep":
            self._runs.sweep(order["tokens"], order["conversations"])
        else:
            self._runs.command(order)
        self._last_order = order["order"]


def _signals() -> int:
    """A descriptor that becomes readable with every signal that concerns us."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return read_fd
