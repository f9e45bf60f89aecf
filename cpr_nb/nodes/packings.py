"""The parcels that are being packed on the runner's machine: an order waits for its own."""

from __future__ import annotations

import json
import os
import signal

from cpr_nb.runner import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import Any

    from cpr_nb.nodes.lease_book import LeaseBook

_READ_BYTES = 1 << 16


class Packings:
    """Runs the helpers that pack parcels, beside everything else.

    Args:
        book: Gets the orders that are complete.
        watch: Watches a descriptor.
        unwatch: Watches it no more.
    """

    def __init__(
        self, book: LeaseBook, watch: Callable[[int], None], unwatch: Callable[[int], None]
    ) -> None:
        self._book, self._watch, self._unwatch = book, watch, unwatch
        self._by_fd: dict[int, _Packing] = {}

    def start(self, order: dict[str, Any]) -> None:
        """Passes an order on, once what goes with it is packed."""
        if not order.get("pack"):
            self._book.start(order)
            return
        try:
            packing = _Packing(order, self._book.known_commits(order["life"]))
        except OSError as error:
            self._book.report_refusal(order["token"], f"{error.strerror}: {error.filename}")
            return
        self._by_fd[packing.fd] = packing
        self._watch(packing.fd)

    def command(self, order: dict[str, Any]) -> None:
        """Passes on an order that concerns one token; one that ends it ends its packing."""
        for packing in list(self._by_fd.values()):
            if packing.order["token"] == order["token"]:
                if order["type"] in ("kill", "signal"):
                    self._end(packing)
                    self._book.report_stopped(order["token"])
                return
        self._book.command(order)

    def turn(self, ready: Container[object]) -> None:
        """Goes on with those that are packed."""
        for packing in [one for fd, one in self._by_fd.items() if fd in ready]:
            if packing.is_done():
                self._finish(packing)

    def close(self) -> None:
        """Ends those that are not packed yet."""
        for packing in list(self._by_fd.values()):
            self._end(packing)

    def _finish(self, packing: _Packing) -> None:
        reply, order = packing.reply(), packing.order
        self._end(packing)
        if not reply.get("ok"):
            why = reply.get("error") or "its helper ended without an answer; see runner.log"
            self._book.report_refusal(order["token"], str(why))
            return
        brought = {name: reply[name] for name in ("parcel", "mirror", "base_commit")}
        self._book.start({**order, "pack": None, **brought})

    def _end(self, packing: _Packing) -> None:
        self._unwatch(packing.fd)
        del self._by_fd[packing.fd]
        packing.end()


class _Packing:
    """One helper at work.

    Raises:
        OSError: If it can't be started.
    """

    def __init__(self, order: dict[str, Any], known: dict[str, list[str]]) -> None:
        self.order = order
        self._answer = b""
        job = json.dumps({**order["pack"]["job"], "known": known})
        stdin = process.open_prompt(job.encode())
        self.fd, stdout = os.pipe()
        os.set_blocking(self.fd, False)
        try:
            argv = order["pack"]["argv"]
            self._pid = process.spawn(
                argv, cwd="/", env=dict(os.environb), stdin=stdin, stdout=stdout, stderr=2
            )
        except OSError:
            os.close(self.fd)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)

    def is_done(self) -> bool:
        """Whether its answer is complete."""
        try:
            while chunk := os.read(self.fd, _READ_BYTES):
                self._answer += chunk
        except BlockingIOError:
            return False
        return True

    def reply(self) -> dict[str, Any]:
        """Its answer; empty if it is none."""
        try:
            reply = json.loads(self._answer)
        except ValueError:
            return {}
        return reply if isinstance(reply, dict) else {}

    def end(self) -> None:
        """It is not needed any more."""
        os.close(self.fd)
        process.signal_process(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
