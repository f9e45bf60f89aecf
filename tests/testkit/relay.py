"""A relay between two programs: it keeps what passes, and may be cut like a cable."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

_CHUNK_BYTES = 65536


class Relay:
    """Listens on a port of the loopback interface, and hands on what comes to another port.

    Args:
        port: The port that it leads to.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._passes = threading.Event()
        self._passes.set()
        self._lock = threading.Lock()
        self._seen = bytearray()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        """It works until the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Closes everything, and waits for its threads."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        with self._lock:
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._passes.set()
        for thread in self._threads:
            thread.join()
        for end in (self._listening, *self._sockets):
            end.close()

    @property
    def seen(self) -> bytes:
        """All that has passed, in both directions."""
        with self._lock:
            return bytes(self._seen)

    def cut(self) -> None:
        """From now on nothing passes, and neither side learns of it."""
        self._passes.clear()

    def mend(self) -> None:
        """What was held back passes, and all that comes later."""
        self._passes.set()

    def _start(self, work: object, *args: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=args, name="relay")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listening.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    near.close()
                    continue
                with self._lock:
                    self._sockets += (near, far)
                self._start(self._pump, near, far)
                self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed
            while data := source.recv(_CHUNK_BYTES):
                self._passes.wait()
                with self._lock:
                    self._seen += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
