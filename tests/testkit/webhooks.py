"""A webhook on loopback: what it was sent, and answers as a test wants them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LIMIT_S = 120.0


class Request:
    """One request.

    Attributes:
        headers: Its headers.
        json: Its body.
        commands: The arguments of all processes of this machine while it was there.
    """

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.json: dict[str, Any] = json.loads(body)
        self.commands = [_arguments(path) for path in Path("/proc").glob("[0-9]*/cmdline")]


class Webhook:
    """Serves until the block ends.

    Args:
        answers: The status of each answer, the last one for all that come after; None answers
            nothing before `go_on` was called.
    """

    def __init__(self, answers: Iterable[int | None] = (200,)) -> None:
        self._answers = list(answers)
        self._come = threading.Condition()
        self._may_go_on = threading.Event()
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = hook.comes(Request(dict(self.headers.items()), body))
                if answer is None:
                    hook.wait_to_go_on()
                else:
                    self.send_response(answer)
                    self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._may_go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def comes(self, request: Request) -> int | None:
        """Notes a request; returns the answer."""
        with self._come:
            self.requests.append(request)
            self._come.notify_all()
            return self._answers[min(len(self.requests), len(self._answers)) - 1]

    def wait_to_go_on(self) -> None:
        """Holds an answer back."""
        assert self._may_go_on.wait(LIMIT_S)

    def await_requests(self, number: int) -> list[Request]:
        """Waits until so many have come."""
        with self._come:
            assert self._come.wait_for(lambda: len(self.requests) >= number, LIMIT_S)
            return list(self.requests)


def _arguments(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
