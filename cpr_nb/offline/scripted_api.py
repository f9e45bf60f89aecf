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
wait         hold the answer until `ScriptedApi.release` names this word, or until a step with
             ``release`` has done so in the same conversation
release      a word: once this answer is sent, steps that ``wait`` for it continue
notification the number of a notification: this step answers the turn that it starts (see below)
hang_s       hold the answer for so many seconds
fail         ``{status, times, headers, type, message}``: answer an HTTP error (400 to 599) instead;
             status 0 drops the connection
cut          ``{after, times}``: drop the connection after so many pieces of text (1)
error_event  ``{type, message, times}``: send an SSE error after one piece of text, then end
============ ====================================================================================

``times`` limits a failure to the first requests for one step in one conversation; without it, it
lasts. Cuts and error events need a stream; with too little text they strike at its end. ``{cwd}``
in a tool's input stands for the working directory that the request names (not so ``${cwd}``).

The CLI wakes up when a command or an agent in the background has ended: a *notification* starts
another turn. Without ``notification`` the steps just go on. Steps with ``"notification": n`` (from
1) answer the turn of the n-th notification only, however many steps came before it. A turn without
steps of its own continues with those of the notification before it. The CLI may hand over several
notifications at once: then the steps of the last one are played. A notification that comes while
a turn goes on starts none. The subagents of a conversation play the scripts that their own prompts
carry, else those of the file. So this prompt has an answer, and then a second turn::

    SCRIPT=[{"tool": "Bash", "input": {"command": "sleep 1", "run_in_background": true}},
            {"text": "The answer."}, {"text": "It has ended.", "notification": 1}]

A script FILE serves prompts that carry none: ``{"rules": [{"match": "<regular expression on the
last prompt>", "model": "<likewise on the model>", "steps": [...]}], "default": [...]}``; a rule
without a model is one for all. With neither, the answer is "Hello from the scripted API." A script
that can't be played answers a 400 that says what is wrong, and where.

What is true of all requests:

- **The prefix cache.** What stands in front of a block with ``cache_control`` can be read by a
  later request that begins with exactly the same blocks: tools, then system, then messages. The
  usage shows it (4 bytes of JSON are a token), and so do the records; `ScriptedApi.cache_use` adds
  it up.
  As with the real API, nobody can read a prefix before the answer to the request that writes it
  has begun: each request until then writes it again. A prefix lives 5 minutes
  from its last use (1 hour if its ``ttl`` says so). ``input_tokens`` remains 100, and a prefix of
  any length is kept: the real API has a minimum length. A script answers at once, so even tasks
  that start together rarely overlap: to measure shared prefixes, let the steps ``hang_s``.
- **The gates.** Before its script, a request may be refused: the login is lost (401), the usage
  limit is reached (429, with the headers of a subscription), or the `Quota` is spent (429). Tests
  close and open them at any time: `ScriptedApi.lose_login`, ``limit_usage``, ``set_quota``.

As a command (it prints ``listening on http://127.0.0.1:PORT`` and ends on SIGTERM or SIGINT)::

    python -m cpr_nb.offline.scripted_api [--port N] [--script FILE] [--log FILE.jsonl]
        [--quota PER_SECOND [--burst N] [--retry-after SECONDS]]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from cpr_nb.offline._cache import CacheMatch, CacheUse, PrefixCache, prefixes_of
from cpr_nb.offline._environment import cli_environment
from cpr_nb.offline._gates import Gates, Quota
from cpr_nb.offline._http import Server, Turn
from cpr_nb.offline._record import RequestRecord
from cpr_nb.offline._script import Book, Json, failing, texts_of

__all__ = ["CacheUse", "Quota", "RequestRecord", "ScriptedApi", "cli_environment", "main"]


class ScriptedApi(Gates):
    """The server: it listens from its creation until `close`, on 127.0.0.1 only.

    Args:
        script: The path of a script file, or the object that such a file holds.
        log_path: A file to which every request is appended, as a line of JSON; and another line
            at the end of each answer: ``{"t": …, "end_of": seq, "delivered": …}``. It is
            delivered if all of it was sent, and the client was still there for its last part.
        port: The port to listen on; 0 takes a free one.
        quota: The limit on requests; `set_quota` changes it.
        billing_line_counts: Whether the line with the CLI's version, which depends on the prompt,
            is part of the cached prefix.
        clock: The time in seconds, for the cache and the gates; it never goes back.

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
        quota: Quota | None = None,
        billing_line_counts: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start to listen."""
        super().__init__(clock, quota)
        self._cache, self._billing_line_counts = PrefixCache(clock), billing_line_counts
        if isinstance(script, str | os.PathLike):
            script = json.loads(Path(script).read_text(encoding="utf-8"))
        self._book = Book({} if script is None else script)
        self._log_path = None if log_path is None else Path(log_path)
        if self._log_path is not None:
            self._log_path.open("a").close()  # A path that can't be written to is refused now.
        self._changed, self._closing = threading.Condition(), threading.Event()
        self._records: list[RequestRecord] = []
        self._attempts: dict[Hashable, int] = {}
        self._released: set[tuple[str, str]] = set()  # (conversation or "" for all, word)
        self._server = Server(port, self)
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

    @property
    def n_admitted(self) -> int:
        """The number of requests for a message that no gate refused."""
        return sum(not r.gate and r.path.endswith("/v1/messages") for r in self.requests)

    @property
    def cache_use(self) -> CacheUse:
        """How many requests wrote the shared prefix, how many read it, and the tokens."""
        seen = [(r.cache_read_tokens, r.cache_write_tokens) for r in self.requests]
        return CacheUse(
            n_anew=sum(write > 0 == read for read, write in seen),
            n_reads=sum(read > 0 for read, _ in seen),
            read_tokens=sum(read for read, _ in seen),
            write_tokens=sum(write for _, write in seen),
        )

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
            if record := next(filter(predicate, self._records), None):
                return record
            raise TimeoutError(f"none of {len(self._records)} requests is it after {timeout_s} s")

    def release(self, name: str) -> None:
        """Let the steps with ``"wait": name`` continue, those that wait now and later ones.

        Example:
            ``api.release("second turn")``
        """
        self._release("", name)

    def close(self) -> None:
        """End all threads and connections in any state; a second call does nothing.

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

    def _release(self, conversation_id: str, word: str) -> None:
        """Let the steps of a conversation (empty: of all) that wait for a word continue."""
        with self._changed:
            self._released.add((conversation_id, word))
            self._changed.notify_all()

    def _hold(self, step: Json, conversation_id: str) -> bool:
        """Wait as long as the step says; False means that the server closes instead."""
        with self._changed:
            words = {("", step.get("wait")), (conversation_id, step.get("wait"))}
            self._changed.wait_for(
                lambda: "wait" not in step or words & self._released or self._closing.is_set()
            )
        return not self._closing.wait(step.get("hang_s", 0))

    def _begin(self, cached: CacheMatch) -> None:
        """Keep what a request writes to the cache, now that its answer begins."""
        with self._changed:
            self._cache.add(cached)

    def _note(
        self,
        call: BaseHTTPRequestHandler,
        request: Json,
        n_bytes: int,
        chosen: tuple[Json, int, Hashable] | None = None,
        wrong: Json | None = None,
        gate: Callable[[], Json | None] = lambda: None,
    ) -> Turn:
        """Record a request, count it as an attempt at its step, and return how to answer it."""
        prefixes = prefixes_of(request, self._billing_line_counts) if chosen else []
        with self._changed:  # The gate, too: requests pass it in the order of their records.
            if refused := gate() or wrong:
                chosen = None
            attempt = self._count_attempt(call, chosen)
            step = chosen[0] if chosen else {}
            failures = {"fail": refused} if refused else failing(step, attempt)
            # A request that fails reads and writes nothing: none of its tokens were processed.
            cached = CacheMatch() if "fail" in failures else self._cache.find(prefixes)
            record = RequestRecord(
                seq=len(self._records) + 1,
                path=call.path.partition("?")[0],
                step=chosen[1] if chosen else -1,
                attempt=attempt if chosen else 0,
                conversation_id=_conversation_of(call),
                n_bytes=n_bytes,
                status=failures.get("fail", {}).get("status", 200),
                gate=(refused or {}).get("gate", ""),
                cache_read_tokens=cached.read_tokens,
                cache_write_tokens=cached.write_tokens,
                **_content_of(request),
            )
            self._add_record(record)
        return Turn(record, step, failures, cached)

    def _count_attempt(
        self, call: BaseHTTPRequestHandler, chosen: tuple[Json, int, Hashable] | None
    ) -> int:
        """The number of this attempt at a step of a conversation, from 1."""
        key = (_conversation_of(call), chosen and chosen[1:])
        self._attempts[key] = attempt = self._attempts.get(key, 0) + 1
        return attempt

    def _add_record(self, record: RequestRecord) -> None:
        self._records.append(record)
        self._log(asdict(record))
        self._changed.notify_all()

    def _end(self, record: RequestRecord, *, delivered: bool) -> None:
        """The answer to a request has ended, or nobody waits for it any more."""
        with self._changed:
            self._log({"end_of": record.seq, "delivered": delivered})

    def _log(self, line: Json) -> None:
        if self._log_path is not None:
            with self._log_path.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"t": round(time.time(), 3), **line}) + "\n")


def _conversation_of(call: BaseHTTPRequestHandler) -> str:
    return str(call.headers.get("x-claude-code-session-id", ""))


def _content_of(request: Json) -> dict[str, Any]:
    """The fields of a record that describe the request's content."""
    messages = request.get("messages", [])
    users = [message for message in messages if message.get("role") == "user"]
    return {
        "model": str(request.get("model", "")),
        "n_messages": len(messages),
        "tools": tuple(str(tool.get("name")) for tool in request.get("tools", ())),
        "last_user_blocks": tuple(texts_of(users[-1], "user")) if users else (),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Example:
        ``main(["--port", "8000"])``
    """
    parser = argparse.ArgumentParser(prog="python -m cpr_nb.offline.scripted_api")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (a free one)")
    parser.add_argument("--script", metavar="FILE", help="scripts for prompts that carry none")
    parser.add_argument("--log", metavar="FILE.jsonl", help="append every request to this file")
    parser.add_argument("--quota", metavar="N", type=float, help="requests per second, at most")
    parser.add_argument("--burst", metavar="N", type=int, default=1, help="at once at most (1)")
    parser.add_argument("--retry-after", metavar="S", type=float, help="said when refusing")
    options = parser.parse_args(argv)
    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before there are threads, so that only sigwait sees them, whenever they come.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        quota = None
        if options.quota is not None:
            quota = Quota(options.quota, options.burst, options.retry_after)
        with ScriptedApi(options.script, options.log, port=options.port, quota=quota) as api:
            print(f"listening on {api.url}", flush=True)
            signal.sigwait(signals)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
