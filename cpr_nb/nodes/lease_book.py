"""The hub's book of leases: which life of which node may run what, and for how long.

It alone keeps the time. A life is lost only once nothing of it can run any more: its twin has said
so, or its lease has been over for long enough. A life that was lost is never let in again.
"""

from __future__ import annotations

import os
import time

from cpr_nb.nodes.leased_run import LeasedRun
from cpr_nb.nodes.node_record import LEFT, LIVE, LOST, REFUSED, SILENT, NodeRecord
from cpr_nb.nodes.wire import PROTOCOL
from cpr_nb.runner.process import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.nodes.timing import LeaseTimes

    Send = Callable[..., None]
    Report = Callable[..., None]

_REWIND_EVERY_S = 1.0
#: How much of a stream comes until the node hears that it has: a part of what it sends unheard.
_ACKNOWLEDGE_BYTES = 1 << 16


class LeaseBook:
    """Carries out what the runner orders, and passes on what nodes say.

    Args:
        times: The times of a lease.
        send: Sends a message to a connection.
        report: Sends a message to the runner.
        now: Seconds of the boot clock.
    """

    def __init__(self, times: LeaseTimes, send: Send, report: Report, now: float) -> None:
        self.hub_id = os.urandom(8).hex()
        self._times, self._send, self._report = times, send, report
        self._now = now
        self._nodes: dict[str, NodeRecord] = {}
        self._by_identity: dict[bytes, NodeRecord] = {}
        self._runs: dict[str, LeasedRun] = {}
        self._brought: dict[str, tuple[str, str]] = {}  # token → mirror, commit
        self._rewinds: set[tuple[str, str]] = set()
        self._rewind_at = now

    # --- What the runner says -------------------------------------------------------------------

    def await_lease(self, lease: dict[str, Any]) -> None:
        """Goes on with a lease that an earlier hub gave."""
        token, life = lease["token"], lease["life"]
        self._runs[token] = LeasedRun(
            token, life, lease["out"], lease["err"], lease.get("home"), is_new=False
        )
        self._nodes.setdefault(life, NodeRecord(life, self._now))

    def start(self, order: dict[str, Any]) -> None:
        """Leases a token to a life, and orders its start."""
        token, record = order["token"], self._nodes.get(order["life"])
        if record is None or not record.is_here:
            self._report("lost", token=token, why="its node is gone")
            return
        try:
            paths = order["out"], order["err"], order.get("home")
            run = LeasedRun(token, record.life, *paths, is_new=True)
        except OSError as error:
            self._report_refusal(token, error.errno, error.strerror, error.filename)
            return
        self._runs[token] = run
        if order.get("mirror"):
            self._brought[token] = order["mirror"], order["base_commit"]
        run.order = self._order(record, {**order, "out": "", "err": order["err"] and "err"})

    def command(self, order: dict[str, Any]) -> None:
        """Passes on an order that concerns one token, such as ``signal``."""
        run = self._runs.get(order["token"])
        record = self._nodes.get(run.life) if run else None
        if record is not None and record.state not in (LOST, LEFT):
            self._order(record, order)

    def sweep(self, order: dict[str, Any]) -> None:
        """Passes on which trees of processes are to be ended, to every node that is here."""
        for record in self._nodes.values():
            if record.is_here:
                self._order(record, order)

    def acknowledge(self, order: dict[str, Any]) -> None:
        """The runner has journalled an end: the node agent may forget it."""
        self.command({"type": "forget", "token": order["token"]})
        self._drop(order["token"])

    def send_leave(self) -> None:
        """The session is over: node agents leave."""
        for record in self._nodes.values():
            if record.is_here and record.identity:
                self._send(record.identity, {"type": "leave"})

    @property
    def has_nodes(self) -> bool:
        """Whether node agents are connected."""
        return any(record.state == LIVE and record.identity for record in self._nodes.values())

    # --- What nodes say -------------------------------------------------------------------------

    def hello(self, identity: bytes, header: dict[str, Any], now: float) -> None:
        """A node agent has connected, for the first time or again."""
        life = header["life"]
        record = self._nodes.get(life) or NodeRecord(life, now)
        if header["protocol"] != PROTOCOL:
            self._refuse(identity, record, header)
            return
        if record.state in (LOST, LEFT):
            self._send(identity, {"type": "gone"})
            return
        self._nodes[life] = record
        self._by_identity.pop(record.identity, None)
        self._by_identity[identity] = record
        record.identity, record.beat_at = identity, now
        record.state, record.machine = LIVE, {**header, "name": self._free_name(record, header)}
        record.is_leaving = header["is_leaving"]
        record.clock_offset_s = header["wall_s"] - time.time()
        if header["hub"] == self.hub_id:
            record.carried_out(header["order"])
        self._welcome(record, header, now)

    def beat(self, record: NodeRecord, header: dict[str, Any], now: float) -> None:
        """A node agent lives; its lease is extended."""
        record.beat_at = now
        record.carried_out(header["order"])
        self._send(record.identity, {"type": "echo", "t": header["t"]})
        if record.state == SILENT:
            record.state = LIVE
            self._report_node(record, now)

    def stream(self, record: NodeRecord, header: dict[str, Any], data: bytes) -> None:
        """Bytes of a stream have come."""
        token, which = header["token"], header["which"]
        run = self._run_of(record, token)
        if run is None:
            return
        file = run.files[which]
        if not file.put(header["offset"], data):
            self._rewinds.add((token, which))
        elif file.size >= file.acknowledged + _ACKNOWLEDGE_BYTES:
            self._send_size(record, run, which)

    def started(self, record: NodeRecord, header: dict[str, Any]) -> None:
        """A process runs."""
        run = self._run_of(record, header["token"])
        if run is not None and not run.is_started:
            run.is_started = True
            self._report("started", token=run.token, pid=header["pid"])

    def refused(self, record: NodeRecord, header: dict[str, Any]) -> None:
        """A process could not be started."""
        run = self._run_of(record, header["token"])
        if run is not None:
            self._report_refusal(run.token, header["errno"], header["strerror"], header["filename"])
            self.acknowledge(header)

    def ended(self, record: NodeRecord, header: dict[str, Any]) -> None:
        """A process has ended."""
        run = self._run_of(record, header["token"])
        if run is None or run.is_over:
            return
        run.end = header
        missing = run.missing()
        self._rewinds |= {(run.token, which) for which in missing}
        if not missing:
            run.is_over = True
            self._learn_commits(record, run.token)
            self._report(
                "ended",
                token=run.token,
                status=header["status"],
                rss_bytes=header["rss_bytes"],
                cause=header["cause"],
            )

    def busy(self, record: NodeRecord, header: dict[str, Any]) -> None:
        """What a shared process needs."""
        run = self._run_of(record, header["token"])
        if run is not None:
            fields = {name: header[name] for name in ("token", "cpu_s", "rss_bytes")}
            self._report("busy", **fields)

    def leaving(self, record: NodeRecord, why: str, now: float) -> None:
        """A node agent is about to leave: it takes no more, and ends what runs."""
        record.is_leaving = True
        self._report_node(record, now, why)

    def bye(self, record: NodeRecord, why: str, now: float) -> None:
        """A node agent leaves, and nothing of it runs any more."""
        self._send(record.identity, {"type": "noted"})
        self._end_life(record, LEFT, why or "it has left", now)

    def swept(self, identity: bytes, life: str, now: float) -> None:
        """The twin of a node agent that has died has ended all that ran."""
        record = self._nodes.get(life)
        if record is not None and record.state not in (LOST, LEFT):
            why = "its node agent has died; its twin has ended what ran"
            self._end_life(record, LOST, why, now)
        self._send(identity, {"type": "noted"})

    def record_of(self, identity: bytes) -> NodeRecord | None:
        """The node agent whose connection this is; None if it has a newer one, or is gone."""
        record = self._by_identity.get(identity)
        return record if record and record.is_here else None

    # --- Time -----------------------------------------------------------------------------------

    def judge(self, now: float) -> None:
        """Finds who has been silent for too long. All that has come was read before."""
        for record in list(self._nodes.values()):
            age = now - record.beat_at
            if record.state in (LOST, LEFT, REFUSED):
                continue
            if age > self._times.over_s:
                self._end_life(record, LOST, f"silent for {age:.0f} s", now)
            elif age > self._times.silent_s and record.state == LIVE:
                record.state = SILENT
                self._report_node(record, now)
        if self._rewinds and now >= self._rewind_at:
            self._rewind_at = now + _REWIND_EVERY_S
            self._rewind()

    def next_at(self) -> float:
        """When `judge` may find something, in seconds of the boot clock; infinite: never."""
        times = [
            record.beat_at + (self._times.silent_s if record.state == LIVE else self._times.over_s)
            for record in self._nodes.values()
            if record.state in (LIVE, SILENT, "")
        ]
        return min([*times, *([self._rewind_at] if self._rewinds else [])], default=float("inf"))

    # --- The rest -------------------------------------------------------------------------------

    def _order(self, record: NodeRecord, order: dict[str, Any]) -> int:
        numbered = record.number({**order, "do": order["type"], "type": "order"})
        if record.identity:
            self._send_order(record, numbered)
        return int(numbered["order"])

    def _send_order(self, record: NodeRecord, order: dict[str, Any]) -> None:
        """Sends an order, with the parcel that belongs to it."""
        parcel = read_file(order["parcel"]) if order.get("parcel") else b""
        self._send(record.identity, {**order, "hub": self.hub_id}, parcel)

    def known_commits(self, life: str) -> dict[str, list[str]]:
        """The mirrors of repositories that a node has, and commits that are in each."""
        record = self._nodes.get(life)
        return record.machine.get("mirrors", {}) if record is not None else {}

    def report_refusal(self, token: str, why: str) -> None:
        """Tells the runner that a process can't be started, before any node has heard of it."""
        self._report_refusal(token, 0, "it can't be sent to a node", why)

    def report_stopped(self, token: str) -> None:
        """Tells the runner that a process was stopped before any node has heard of it."""
        self._report("lost", token=token, why="it was stopped before it began")

    def _welcome(self, record: NodeRecord, header: dict[str, Any], now: float) -> None:
        own = {token: run for token, run in self._runs.items() if run.life == record.life}
        here = set(header["tokens"])
        last = header["order"] if header["hub"] == self.hub_id else 0
        self._send(
            record.identity,
            {
                "type": "welcome",
                "hub": self.hub_id,
                "t": header["t"],
                "sizes": {token: run.sizes() for token, run in own.items() if token in here},
                "drop": sorted(here - set(own)),
            },
        )
        for order in record.open_orders():
            self._send_order(record, order)
        self._report_node(record, now, runs=sorted(here & set(own)))
        for token, run in own.items():
            if token not in here and run.order <= last and not run.is_over:
                self._lose(run, "its node does not know it")

    def _refuse(self, identity: bytes, record: NodeRecord, header: dict[str, Any]) -> None:
        why = "its version of cpr speaks another protocol; install the same one as the runner's"
        self._send(identity, {"type": "refused", "why": why})
        record.state, record.machine = REFUSED, header
        self._report("node", **record.report(record.beat_at, why), runs=[])

    def _free_name(self, record: NodeRecord, header: dict[str, Any]) -> str:
        """Its name; with a number behind it if a node of another machine has the same."""
        machine = (header["host"], header["boot_id"])
        others = {
            str(other.machine["name"])
            for other in self._nodes.values()
            if other is not record
            and other.is_here
            and (other.machine["host"], other.machine["boot_id"]) != machine
        }
        name, number = str(header["name"]), 1
        while name in others:
            number += 1
            name = f"{header['name']}-{number}"
        return name

    def _run_of(self, record: NodeRecord, token: str) -> LeasedRun | None:
        """A run that this life holds; if it holds it no more, its node agent is told to drop it."""
        run = self._runs.get(token)
        if run is not None and run.life == record.life:
            return run
        self._send(record.identity, {"type": "drop", "tokens": [token]})
        return None

    def _send_size(
        self, record: NodeRecord, run: LeasedRun, which: str, *, again: bool = False
    ) -> None:
        file = run.files[which]
        file.acknowledged = file.size
        header = {"type": "size", "token": run.token, "which": which, "size": file.size}
        self._send(record.identity, {**header, "again": again})

    def _learn_commits(self, record: NodeRecord, token: str) -> None:
        """The node has what came with an order: the next parcel can do without it."""
        mirror, commit = self._brought.pop(token, ("", ""))
        if mirror:
            record.machine.setdefault("mirrors", {}).setdefault(mirror, []).append(commit)

    def _rewind(self) -> None:
        """Asks for the bytes again that could not be written."""
        rewinds, self._rewinds = self._rewinds, set()
        for token, which in sorted(rewinds):
            run = self._runs.get(token)
            record = self._nodes.get(run.life) if run else None
            if run is not None and record is not None and record.identity:
                self._send_size(record, run, which, again=True)

    def _end_life(self, record: NodeRecord, state: str, why: str, now: float) -> None:
        record.state = state
        self._by_identity.pop(record.identity, None)
        if record.identity and state == LOST:
            self._send(record.identity, {"type": "gone"})
        record.identity = b""
        record.drop_orders()
        self._report_node(record, now, why)
        for run in [run for run in self._runs.values() if run.life == record.life]:
            if not run.is_over:
                self._lose(run, why)

    def _lose(self, run: LeasedRun, why: str) -> None:
        self._report("lost", token=run.token, why=why)
        self._drop(run.token)

    def _drop(self, token: str) -> None:
        self._brought.pop(token, None)
        run = self._runs.pop(token, None)
        if run is not None:
            run.close()

    def _report_node(
        self, record: NodeRecord, now: float, why: str = "", runs: list[str] | None = None
    ) -> None:
        if runs is None:
            runs = [token for token, run in self._runs.items() if run.life == record.life]
        self._report("node", **record.report(now, why), runs=runs)

    def _report_refusal(
        self, token: str, number: int | None, strerror: str | None, filename: str | None
    ) -> None:
        self._report(
            "refused", token=token, errno=number, strerror=strerror or "", filename=filename or ""
        )
