"""The HTTP side of the scripted API: requests in, answers and their streams out."""

from __future__ import annotations

import json
import math
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Protocol

from cpr_nb.offline._cache import CacheMatch
from cpr_nb.offline._record import RequestRecord
from cpr_nb.offline._script import Book, Json, ScriptError, choose, events_of, message_of, parsed

_ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}
_ERROR_TYPES |= {404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


class Turn(NamedTuple):
    """How to answer a request: its step, and the failures that apply this time."""

    record: RequestRecord
    step: Json
    failing: Json
    cached: CacheMatch


class Api(Protocol):
    """What the HTTP side needs of the scripted API."""

    _book: Book
    _closing: threading.Event

    def _refusal(self) -> Json | None: ...

    def _note(
        self,
        call: BaseHTTPRequestHandler,
        request: Json,
        n_bytes: int,
        chosen: tuple[Json, int, Hashable] | None = None,
        wrong: Json | None = None,
        gate: Callable[[], Json | None] = ...,
    ) -> Turn: ...

    def _hold(self, step: Json, conversation_id: str) -> bool: ...

    def _release(self, conversation_id: str, word: str) -> None: ...

    def _begin(self, cached: CacheMatch) -> None: ...

    def _end(self, record: RequestRecord, *, delivered: bool) -> None: ...


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    _delivered = False  # whether the client was there when the answer's last part was sent
    disable_nagle_algorithm = True  # Else small writes wait 40 ms for an acknowledgement.
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the records are the log."""

    def do_GET(self) -> None:
        self.server.api._note(self, {}, 0)
        self._reply(200, {})

    do_HEAD = do_GET  # noqa: N815  (the name is the base class's)

    def do_POST(self) -> None:
        api, body = self.server.api, self.rfile.read(int(self.headers.get("content-length") or 0))
        if not self.path.partition("?")[0].endswith("/v1/messages"):
            api._note(self, {}, len(body))
            counts = "count_tokens" in self.path
            return self._reply(200, {"input_tokens": len(body) // 4} if counts else {})
        request: Json = {}
        chosen = wrong = None
        try:
            request = parsed(body)
            chosen = choose(request, api._book)
        except ScriptError as error:
            wrong = {"status": 400, "message": f"scripted API: {error}"}
        gate = api._refusal
        turn = api._note(self, request, len(body), chosen, wrong, gate)
        self._delivered = False
        try:
            self._play(request, turn)
        except OSError:  # the client has gone
            self._delivered = False
            raise
        finally:
            api._end(turn.record, delivered=self._delivered)
        if "release" in turn.step:
            api._release(turn.record.conversation_id, turn.step["release"])
        return None

    def _play(self, request: Json, turn: Turn) -> None:
        record, step, failing, cached = turn
        if not self.server.api._hold(step, record.conversation_id):
            return self._drop()
        if fail := failing.get("fail"):
            return self._fail(fail, record) if fail["status"] else self._drop()
        # Before the first byte: a client that has seen the answer begin finds the prefix cached.
        self.server.api._begin(cached)
        message = message_of(step, request.get("model"), record.seq, cached.usage)
        headers = {"request-id": f"req_{record.seq}", **step.get("headers", {})}
        if not request.get("stream"):
            self._delivered = self._has_client()
            return self._reply(200, message, headers)
        self._start(200, {"content-type": "text/event-stream", "connection": "close", **headers})
        return self._stream(step, events_of(message, step.get("chunks", 4)), failing)

    def _stream(self, step: Json, events: Iterator[Json], failing: Json) -> None:
        left = failing.get("cut", {}).get("after", 1) if failing else math.inf
        for event in events:
            is_text = event.get("delta", {}).get("type") == "text_delta"
            if (is_text and left < 1) or (event["type"] == "message_delta" and failing):
                return self._break_off(failing)
            if event["type"] == "message_stop":
                self._delivered = self._has_client()
            self._send(event)
            left -= is_text
            if is_text and self.server.api._closing.wait(step.get("delay_s", 0)):
                return self._drop()
        return None

    def _has_client(self) -> bool:
        """Whether the client still listens: one that has ended has closed its connection."""
        try:
            return bool(self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True  # nothing to read, as usual
        except OSError:
            return False

    def _break_off(self, failing: Json) -> None:
        """End a stream as its script says: drop the connection, or send an error event."""
        if "cut" in failing:
            return self._drop()
        error = {"type": "overloaded_error", "message": "Overloaded"}
        error |= {k: v for k, v in failing["error_event"].items() if k in error}
        return self._send({"type": "error", "error": error})

    def _send(self, event: Json) -> None:
        self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def _start(self, status: int, headers: Mapping[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _reply(
        self, status: int, data: object, headers: Mapping[str, object] | None = None
    ) -> None:
        body = json.dumps(data).encode()
        sizes = {"content-type": "application/json", "content-length": len(body)}
        self._start(status, {**sizes, **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, fail: Json, record: RequestRecord) -> None:
        kind = fail.get("type", _ERROR_TYPES.get(fail["status"], "api_error"))
        error = {"type": kind, "message": fail.get("message", "scripted failure")}
        name = {"request-id": f"req_{record.seq}"}
        data = {"type": "error", "error": error, "request_id": name["request-id"]}
        self._reply(fail["status"], data, {**name, **fail.get("headers", {})})

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, so that closing can end them all."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self, port: int, api: Api) -> None:
        self.api, self.live = api, dict[Any, threading.Thread]()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(
            self
        )  # HTTPServer's version also resolves the host's name.

    def process_request(self, request: Any, client_address: Any) -> None:
        # The base class forgets its daemon threads, but closing has to end and join them.
        self.live = {sock: thread for sock, thread in self.live.items() if thread.is_alive()}
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self.live[request] = thread
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # A client that has gone is not an error.
            super().handle_error(request, client_address)
