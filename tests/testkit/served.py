"""A process of the real CLI that serves one task after another, without the runner."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from testkit import processes
from testkit.client import LIMIT_S

Line = dict[str, Any]
_STREAM = ("--input-format", "stream-json", "--output-format", "stream-json", "--verbose")


class Served:
    """A CLI whose prompts come one by one; ``/clear`` between two of them begins a conversation.

    Args:
        cli: The program.
        cwd: The folder that it works in.
        env: Its whole environment, with a token of its own: all that carries it ends with it.
        flags: Further arguments.

    Example:
        ``with Served(claude, folder, env) as served: served.ask("Hello.")[-1]["result"]``
    """

    def __init__(self, cli: str, cwd: Path, env: Mapping[str, str], *flags: str) -> None:
        self.process = subprocess.Popen(
            [cli, "-p", *_STREAM, *flags],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._begun, self._waiting = b"", deque[Line]()
        self._n_requests = 0
        self._token = env[processes.TOKEN]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(LIMIT_S)
        for pid in processes.survivors(self._token):  # MCP servers, what tasks have left
            processes.end(pid)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # a message that nobody has read
                pipe.close()

    def send(self, text: str) -> None:
        """Sends a message of the user, without waiting."""
        message = {"role": "user", "content": text}
        self._write(
            {"type": "user", "message": message, "parent_tool_use_id": None, "session_id": ""}
        )

    def ask(self, prompt: str) -> list[Line]:
        """Sends a prompt; returns the lines up to its result."""
        self.send(prompt)
        return self.read_until(lambda line: line["type"] == "result")

    def clear(self) -> list[Line]:
        """Sends ``/clear``; returns the lines up to its result, which follows the reset."""
        self.send("/clear")
        is_reset = False

        def ends(line: Line) -> bool:
            nonlocal is_reset
            is_reset = is_reset or line["type"] == "conversation_reset"
            return is_reset and line["type"] == "result"

        return self.read_until(ends)

    def request(self, subtype: str, **more: Any) -> Line:
        """Sends a control request; returns the response to it."""
        self._n_requests += 1
        number = f"r{self._n_requests}"
        self._write(
            {
                "type": "control_request",
                "request_id": number,
                "request": {"subtype": subtype, **more},
            }
        )

        def answers(line: Line) -> bool:
            return line["type"] == "control_response" and line["response"]["request_id"] == number

        response: Line = self.read_until(answers)[-1]["response"]
        return response

    def answer(self, question: Line, response: Line) -> None:
        """Answers a request of the CLI, such as whether a tool may run."""
        self._write(
            {
                "type": "control_response",
                "response": {
                    "subtype": "success",
                    "request_id": question["request_id"],
                    "response": response,
                },
            }
        )

    def read_until(self, ends: Callable[[Line], bool]) -> list[Line]:
        """The next lines, up to the first that ends them."""
        lines: list[Line] = []
        while not lines or not ends(lines[-1]):
            while not self._waiting:
                assert self._read(), f"the CLI has ended, after {lines}"
            lines.append(self._waiting.popleft())
        return lines

    def read_for(self, limit_s: float) -> list[Line]:
        """The lines until nothing comes for so long."""
        assert self.process.stdout is not None
        while select.select([self.process.stdout.fileno()], [], [], limit_s)[0] and self._read():
            pass
        lines = list(self._waiting)
        self._waiting.clear()
        return lines

    def close(self) -> list[Line]:
        """Closes stdin; returns the lines until the CLI has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while self._read():
            pass
        self.process.wait(LIMIT_S)
        return list(self._waiting)

    def _write(self, message: Line) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def _read(self) -> bool:
        """Reads what there is, or waits for it; False at the end."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], LIMIT_S)
        assert ready, "the CLI says nothing"
        data = os.read(descriptor, 1 << 16)
        *whole, self._begun = (self._begun + data).split(b"\n")
        self._waiting.extend(json.loads(line) for line in whole if line)
        return bool(data)
