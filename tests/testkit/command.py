"""The installed command, as a person at a terminal or another program calls it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cpr_nb as cpr

LIMIT_S = 120.0  # Ends a test that hangs; no test's outcome depends on how fast it is.
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def console_script() -> str:
    """The installed ``cpr``: of this Python, else of PATH."""
    beside = Path(sys.executable).with_name("cpr")
    path = str(beside) if beside.exists() else shutil.which("cpr")
    assert path, "the project is not installed: pip install -e ."
    return path


def script(*steps: dict[str, Any], say: str = "Do it.") -> str:
    """A prompt that carries a script for the scripted API."""
    return f"{say} SCRIPT=" + json.dumps(list(steps))


def prompts(*elements: Any) -> str:
    """The text of a prompts file."""
    return json.dumps({"prompts": list(elements)})


def kill_agent(first: str = "true") -> str:
    """A command that kills its agent, once the agent's transcript has the call of the command.

    What the transcript lacks when the agent is killed, the next attempt would do again.

    Args:
        first: A command to run before.
    """
    projects = '"${CLAUDE_CONFIG_DIR:-$HOME/.claude}/projects"'
    # Other agents have transcripts there, too; each line has the folder of its agent.
    own = '"\\"cwd\\":\\"$PWD\\""'
    is_written = f"grep -rhs '\"tool_use\".*PPID' {projects} | grep -qF {own}"
    wait = f"for _ in $(seq 1000); do {is_written} && break; sleep 0.02; done"
    return f"{wait}; {first}; kill -9 $PPID"


class Cpr:
    """Calls ``cpr`` in a folder and an environment.

    Args:
        cwd: The folder.
        env: The whole environment.
    """

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self.path, self.cwd, self.env = console_script(), cwd, dict(env)

    def __call__(
        self,
        *args: str,
        stdin: str | bytes = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.path, *args],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=cwd or self.cwd,
            env={**self.env, **(env or {})},
            timeout=LIMIT_S,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def good(self, *args: str, stdin: str | bytes = "", **more: Any) -> str:
        """Calls it, must exit with 0, returns its stdout."""
        done = self(*args, stdin=stdin, **more)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    def launch(self, text: str, *options: str, **more: Any) -> cpr.Session:
        """Starts a session from the text of a prompts file."""
        launched = json.loads(self.good("run", "--json", *options, stdin=text, **more))
        return cpr.Session(launched["path"])

    def start(self, *args: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Starts it without waiting; the caller ends it."""
        settings = {"stdin": subprocess.DEVNULL, "cwd": self.cwd, "env": self.env, **settings}
        return subprocess.Popen([self.path, *args], **settings)

    def on_terminal(self, *args: str, rows: int = 24, columns: int = 100) -> Terminal:
        """Starts it on a terminal of its own."""
        env = {**self.env, "TERM": "xterm-256color"}
        return Terminal([self.path, *args], self.cwd, env, rows, columns)


class Terminal:
    """A process on a pseudo-terminal, which is its controlling one."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], rows: int, columns: int
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: self._begin(slave),
        )
        os.close(slave)
        self.output = b""

    @staticmethod
    def _begin(slave: int) -> None:
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self) -> bytes:
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # Linux: EIO once nobody has the other side open
            chunk = b""
        self.output += chunk
        return chunk

    def read_until(self, words: str) -> None:
        """Reads until the words have been shown."""
        while words not in self.text:
            assert self._read(), f"{words!r} is not in {self.text!r}"

    def press(self, keys: str) -> None:
        """As a person types."""
        os.write(self._master, keys.encode())

    def press_ctrl_c(self) -> None:
        """As a person does: SIGINT to the whole foreground group."""
        os.write(self._master, b"\x03")

    def hang_up(self) -> None:
        """Closes the terminal: SIGHUP."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def finish(self) -> int:
        """Reads to the end; returns the exit code."""
        while self._read():
            pass
        return self.process.wait(LIMIT_S)

    @property
    def text(self) -> str:
        """What was shown, without escape sequences."""
        return _ESCAPE.sub("", self.output.decode("utf-8", "replace"))

    @property
    def last_frame(self) -> str:
        """What stands on the screen after the last redraw."""
        last = self.output.decode("utf-8", "replace").rpartition("\x1b[2K")[2]
        return _ESCAPE.sub("", last)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process that leads a group, with the group, and reaps it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
