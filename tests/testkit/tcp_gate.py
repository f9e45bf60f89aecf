"""A gate in front of a TCP port: it passes bytes on, or nothing, as when a cable is cut."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self


class TcpGate:
    """Listens on a port of its own; exists inside of ``with``.

    Args:
        port: The port on loopback that it leads to.

    Attributes:
        address: Its own, ``HOST:PORT``.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_open = True
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run)

    def shut(self) -> None:
        """Passes nothing on from now on; whoever is connected is not told."""
        self._is_open = False
        self._wake.send(b".")

    def open(self) -> None:
        """Passes all on again, what has come meanwhile, too."""
        self._is_open = True
        self._wake.send(b".")

    def reset(self) -> None:
        """Breaks all connections."""
        self._wake.send(b"r")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.send(b"x")
        self._thread.join()
        for one in [self._listener, self._wake, self._woken, *self._pairs]:
            one.close()

    def _run(self) -> None:
        while True:
            watched = [self._listener, *self._pairs] if self._is_open else []
            ready = select.select([self._woken, *watched], [], [])[0]
            if self._woken in ready:
                words = self._woken.recv(100)
                if b"x" in words:
                    return
                for one in list(self._pairs) if b"r" in words else []:
                    self._drop(one)
                continue
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif one in self._pairs:
                    self._pass_on(one)

    def _accept(self) -> None:
        inner, _ = self._listener.accept()
        try:
            outer = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            inner.close()
            return
        self._pairs[inner], self._pairs[outer] = outer, inner

    def _pass_on(self, one: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if data := one.recv(1 << 16):
                self._pairs[one].sendall(data)
                return
        self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is not None:
            self._pairs.pop(other)
            one.close()
            other.close()
