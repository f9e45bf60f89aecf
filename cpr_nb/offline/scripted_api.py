"""A loopback stand-in for the Anthropic Messages API: plays scripts to the real CLI, offline.

A prompt carries its script, ``SCRIPT=<json list of steps>``, anywhere in its text; the last one
counts. One step answers one request: its index is the number of assistant messages after the last
user message that carries a script, and the last step repeats. Keys of a step, all optional:

============ ====================================================================================
text         the answer's text
chunks       the number of pieces in which the text is streamed (4)
delay_s      seconds to pause after each piece (0)
thinking     a thinking block in front of the text
tool, input  one tool call: its name and its input object
tools        several tool calls: ``[[name, input], ...]``
so           a call of the StructuredOutput tool with this input
stop         the stop_reason, if not ``tool_use`` after a tool call, else ``end_turn``
usage        overrides of the token counts (100 in, 20 out)
headers      additional response headers: an object of strings
wait         hold the answer until `ScriptedApi.release` names this word
hang_s       hold the answer for so many seconds
fail         ``{status, times, headers, type, message}``: answer an HTTP error (400 to 599) instead;
             status 0 drops the connection
cut          ``{after, times}``: drop the connection after so many pieces of text (1)
error_event  ``{type, message, times}``: send an SSE error after one piece of text, then end
============ ====================================================================================

``times`` limits a failure to the first requests for one step in one conversation; without it, it
lasts. Cuts and error events need a stream; with too little text they strike at its end. ``{cwd}``
in a tool's input stands for the working directory that the request names (not so ``${cwd}``).

A script FILE serves prompts that carry none: ``{"rules": [{"match": "<regular expression on the
last prompt>", "steps": [...]}], "default": [...]}``. With neither, the answer is "Hello from the
scripted API." A script that can't be played answers a 400 that says what is wrong, and where.

As a command (it prints ``listening on http://127.0.0.1:PORT`` and ends on SIGTERM or SIGINT)::

    python -m cpr_nb.offline.scripted_api [--port N] [--script FILE] [--log FILE.jsonl]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cpr_nb.offline._environment import cli_environment
from cpr_nb.offline._script import (
    Book,
    Json,
    ScriptError,
    choose,
    events_of,
    message_of,
    parsed,
    texts_of,
)

__all__ = ["RequestRecord", "ScriptedApi", "cli_environment", "main"]

_ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}
_ERROR_TYPES |= {404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request as it arrived; step is -1 and attempt 0 if no script was played for it.

    The CLI puts reminders of its own in front of a prompt, as blocks of the same message: the
    prompt as the task gave it is the last of `last_user_blocks`.

    Example:
        >>> RequestRecord(1, "/v1/messages", "m", 0, 1, "", 1, 99, (), ("a", "b")).last_user_text
        'ab'
    """

    seq: int
    path: str
    model: str
    step: int
    attempt: int
    conversation_id: str
    n_messages: int
    n_bytes: int
    tools: tuple[str, ...]
    last_user_blocks: tuple[str, ...]

    @property
    def last_user_text(self) -> str:
        """The full text of the last user message: its text blocks, joined."""
        return "".join(self.last_user_blocks)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Else small writes wait 40 ms for an acknowledgement.
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the records are the log."""

    def do_GET(self) -> None:
        self.server.api._note(self, {}, 0)
        self._reply(200, {})

    do_HEAD = do_GET  # noqa: N815  (the name is the base class's)

    def do_POST(self) -> None:
        api, request, chosen = self.server.api, {}, None
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if not self.path.partition("?")[0].endswith("/v1/messages"):
            api._note(self, {}, len(body))
            counts = "count_tokens" in self.path
            return self._reply(200, {"input_tokens": len(body) // 4} if counts else {})
        try:
            request = parsed(body)
            chosen = choose(request, api._book)
        except ScriptError as error:
            bad = {"status": 400, "message": f"scripted API: {error}"}
            return self._fail(bad, api._note(self, request, len(body)))
        return self._play(request, chosen[0], api._note(self, request, len(body), chosen))

    def _play(self, request: Json, step: Json, record: RequestRecord) -> None:
        if not self.server.api._hold(step):
            return self._drop()
        # Without "times", a failure strikes every attempt.
        failures = [(key, step[key]) for key in ("fail", "cut", "error_event") if key in step]
        active: Json = {
            k: f for k, f in failures if record.attempt <= f.get("times", record.attempt)
        }
        if fail := active.get("fail"):
            return self._fail(fail, record) if fail["status"] else self._drop()
        message = message_of(step, request.get("model"), record.seq)
        headers = {"request-id": f"req_{record.seq}", **step.get("headers", {})}
        if not request.get("stream"):
            return self._reply(200, message, headers)
        self._start(200, {"content-type": "text/event-stream", "connection": "close", **headers})
        return self._stream(step, events_of(message, step.get("chunks", 4)), active)

    def _stream(self, step: Json, events: Iterator[Json], active: Json) -> None:
        left = active.get("cut", {}).get("after", 1) if active else math.inf
        for event in events:
            is_text = event.get("delta", {}).get("type") == "text_delta"
            if (is_text and left < 1) or (event["type"] == "message_delta" and active):
                if "cut" in active:
                    return self._drop()
                error = {"type": "overloaded_error", "message": "Overloaded"}
                error |= {k: v for k, v in active["error_event"].items() if k in error}
                return self._send({"type": "error", "error": error})
            self._send(event)
            left -= is_text
            if is_text and self.server.api._closing.wait(step.get("delay_s", 0)):
                return self._drop()
        return None

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


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, port: int, api: ScriptedApi) -> None:
        self.api, self.live = api, dict[Any, threading.Thread]()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own also looks up the host's name.

    def process_request(self, request: Any, client_address: Any) -> None:
        # The base class forgets its daemon threads, but closing has to end and join them.
        self.live = {sock: thread for sock, thread in self.live.items() if thread.is_alive()}
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        self.live[request] = thread
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # A client that went away is no error.
            super().handle_error(request, client_address)


class ScriptedApi:
    """The server: it listens from its creation until `close`, on 127.0.0.1 only.

    Args:
        script: The path of a script file, or the object that such a file holds.
        log_path: A file to which every request is appended, as a line of JSON.
        port: The port to listen on; 0 takes a free one.

    Example:
        >>> with ScriptedApi({"default": [{"text": "Hi."}]}) as api:
        ...     api.url == f"http://127.0.0.1:{api.port}", api.requests
        (True, [])
    """

    def __init__(
        self,
        script: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        log_path: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
    ) -> None:
        """Start to listen."""
        if isinstance(script, str | os.PathLike):
            script = json.loads(Path(script).read_text(encoding="utf-8"))
        self._book = Book({} if script is None else script)
        self._log_path = None if log_path is None else Path(log_path)
        if self._log_path is not None:
            self._log_path.open("a").close()  # A path that can't be written to is refused now.
        self._changed, self._closing = threading.Condition(), threading.Event()
        self._records: list[RequestRecord] = []
        self._attempts: dict[Hashable, int] = {}
        self._released: set[str] = set()
        self._server = _Server(port, self)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the server, which runs already."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close it."""
        self.close()

    @property
    def requests(self) -> list[RequestRecord]:
        """The records of all requests so far, in the order of their arrival (a copy)."""
        with self._changed:
            return self._records.copy()

    def wait_for(
        self, predicate: Callable[[RequestRecord], bool], timeout_s: float
    ) -> RequestRecord:
        """Block until a request satisfies the predicate and return the first that does.

        Example:
            ``api.wait_for(lambda record: record.step == 1, timeout_s=60)``

        Raises:
            TimeoutError: No request did so in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: any(map(predicate, self._records)), timeout_s)
            if found := next(filter(predicate, self._records), None):
                return found
            raise TimeoutError(f"none of {len(self._records)} requests is it after {timeout_s} s")

    def release(self, name: str) -> None:
        """Let the steps with ``"wait": name`` go on, those that wait now and those to come.

        Example:
            ``api.release("second turn")``
        """
        with self._changed:
            self._released.add(name)
            self._changed.notify_all()

    def close(self) -> None:
        """End all threads and connections, whatever they are doing; a second call does nothing.

        Example:
            ``api.close()``
        """
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for connection, thread in self._server.live.items():
            with contextlib.suppress(OSError):  # It may have ended by itself.
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()
        self._thread.join()

    def _hold(self, step: Json) -> bool:
        """Wait as long as the step says; False means that the server closes instead."""
        with self._changed:
            waits = {step["wait"]} if "wait" in step else set[str]()
            self._changed.wait_for(lambda: waits <= self._released or self._closing.is_set())
        return not self._closing.wait(step.get("hang_s", 0))

    def _note(
        self,
        call: BaseHTTPRequestHandler,
        request: Json,
        n_bytes: int,
        chosen: tuple[Json, int, Hashable] | None = None,
    ) -> RequestRecord:
        """Record a request and count it as an attempt at its step."""
        messages = request.get("messages", [])
        users = [message for message in messages if message.get("role") == "user"]
        session = call.headers.get("x-claude-code-session-id", "")
        with self._changed:
            key = (session, chosen and chosen[1:])
            self._attempts[key] = attempt = self._attempts.get(key, 0) + 1
            record = RequestRecord(
                seq=len(self._records) + 1,
                path=call.path.partition("?")[0],
                model=str(request.get("model", "")),
                step=chosen[1] if chosen else -1,
                attempt=attempt if chosen else 0,
                conversation_id=session,
                n_messages=len(messages),
                n_bytes=n_bytes,
                tools=tuple(str(tool.get("name")) for tool in request.get("tools", ())),
                last_user_blocks=tuple(texts_of(users[-1], "user")) if users else (),
            )
            self._records.append(record)
            if self._log_path is not None:
                with self._log_path.open("a", encoding="utf-8") as log:
                    log.write(json.dumps({"t": round(time.time(), 3), **asdict(record)}) + "\n")
            self._changed.notify_all()
        return record


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Example:
        ``main(["--port", "8000"])``
    """
    parser = argparse.ArgumentParser(prog="python -m cpr_nb.offline.scripted_api")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (a free one)")
    parser.add_argument("--script", metavar="FILE", help="scripts for prompts that carry none")
    parser.add_argument("--log", metavar="FILE.jsonl", help="append every request to this file")
    options = parser.parse_args(argv)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before there are threads, so that only sigwait sees them, whenever they come.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        with ScriptedApi(options.script, options.log, port=options.port) as api:
            print(f"listening on {api.url}", flush=True)
            signal.sigwait(signals)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
