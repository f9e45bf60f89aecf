"""A real hub and real node agents; the test plays the runner, at the other end of the link."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import cpr_nb
from testkit import processes

_NODES = Path(cpr_nb.__file__).parent / "nodes"
#: A test whose event does not come fails after this long.
_LIMIT_S = 60.0
SESSION = "s1"


class HubBed:
    """A session's folder with a hub; ends it and its node agents.

    Args:
        folder: Everything is in it.
        lease_s: The length of leases.
    """

    def __init__(self, folder: Path, lease_s: float = 30) -> None:
        self.folder, self.lease_s = folder, lease_s
        self.join = folder / "join.json"
        self.agents: list[NodeProcess] = []
        self.seen: list[dict[str, Any]] = []
        self._claude = folder / "claude"
        self._claude.write_text("#!/bin/sh\necho 9.9.9\n")
        self._claude.chmod(0o755)
        self.open()

    def open(self, leases: list[dict[str, Any]] | None = None, claim: int = 0) -> None:
        """Starts a hub, perhaps after another one, for a runner that has made a claim."""
        ours, theirs = socket.socketpair()
        self.hub = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", str(_NODES / "hub.py")],
            stdin=theirs,
            cwd=self.folder,
            env=self.environment(),
        )
        theirs.close()
        self._link, self._unread = ours, b""
        self.send(
            "open",
            session_id=SESSION,
            folder=str(self.folder),
            join_path="join.json",
            rival_path=f"owner.{claim + 1}",
            lease_s=self.lease_s,
            executor_name="agents",
            leases=leases or [],
            probes=[{"name": "cwd", "path": str(self.folder)}, {"name": "no", "path": "/none"}],
        )
        self.receive("ready")

    def environment(self) -> dict[str, str]:
        """That of a node: nothing in it leads to an account."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "CPR_CLAUDE": str(self._claude),
            processes.TOKEN: os.environ[processes.TOKEN],
        }

    def node(
        self,
        *options: str,
        join: str | None = None,
        name: str = "n1",
        path: str = "",
        before: Sequence[str] = (),
    ) -> NodeProcess:
        """Starts a node agent, with words before its command."""
        argv = [*before, sys.executable, "-I", str(_NODES / "__main__.py")]
        argv += ["-" if join else str(self.join), "--name", name, "--slots=2", *options]
        log = self.folder / f"{name}-{len(self.agents)}.log"
        env = {**self.environment(), **({"PATH": path} if path else {})}
        with log.open("wb") as err:
            agent = subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=err, env=env)
        assert agent.stdin
        agent.stdin.write((join or "").encode())
        agent.stdin.close()
        self.agents.append(NodeProcess(agent, log))
        return self.agents[-1]

    def live(self) -> str:
        """Waits for a node; returns its life."""
        return str(self.receive("node", state="live")["life"])

    def send(self, kind: str, /, **fields: Any) -> None:
        """Orders something, as the runner does."""
        self._link.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def start(self, life: str, token: str, script: str, **fields: Any) -> None:
        """Orders the start of a shell script; its streams have the name of its token."""
        name = token.replace("/", "-")
        order = {
            "token": token,
            "life": life,
            "kind": "attempt",
            "argv": ["/bin/sh", "-c", script],
            "cwd": str(self.folder),
            "env": {"CPR_TASK_TOKEN": token},
            "stdin": None,
            "keep_stdin": False,
            "out": f"{name}.jsonl",
            "err": f"{name}.err",
            "nice": 0,
            "folder_must_exist": True,
        }
        self.send("start", **{**order, **fields})

    def receive(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Waits for the next message of a kind with these fields; others go to ``seen``."""
        until = time.monotonic() + _LIMIT_S
        while True:
            line, found, rest = self._unread.partition(b"\n")
            if found:
                self._unread = rest
                message = json.loads(line)
                self.seen.append(message)
                if {**message, "type": kind, **fields} == message:
                    return message
                continue
            left = until - time.monotonic()
            assert left > 0 and select.select([self._link], [], [], left)[0], (kind, self.seen)
            chunk = self._link.recv(1 << 16)
            assert chunk, ("the hub has gone", self.seen)
            self._unread += chunk

    def stream(self, token: str, which: str = "jsonl") -> str:
        """What has come home of a stream."""
        return (self.folder / f"{token.replace('/', '-')}.{which}").read_text()

    def spools(self) -> list[str]:
        """The files of node agents on this machine's disk."""
        return sorted(path.name for path in self.folder.glob("cpr-nodes-*/*/*"))

    def leave_hub(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Has no more to do with the hub, whose runner stands still; returns hub and link."""
        return self.hub, self._link

    def kill_hub(self) -> None:
        """Ends hub and link, as when the runner dies."""
        self._link.close()
        self.hub.wait()

    def end(self) -> None:
        """Ends the session."""
        self.send("end")
        self.hub.wait(_LIMIT_S)
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()
        if self.hub.poll() is None:
            self.hub.kill()
            self.hub.wait()
        for agent in self.agents:
            agent.end()
        _await_twins()


class NodeProcess:
    """A node agent.

    Args:
        process: Its process.
        log: Its stderr.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    @property
    def twin_pid(self) -> int:
        """Its twin; 0 if it has none."""
        pid = self.process.pid
        children = [int(word) for word in _read(f"/proc/{pid}/task/{pid}/children").split()]
        programs = {child: _read(f"/proc/{child}/cmdline") for child in children}
        return next((child for child in children if b"nodes/__main__" in programs[child]), 0)

    def farewell(self) -> str:
        """Waits for its end; returns its last line."""
        self.process.wait(_LIMIT_S)
        return self._log.read_text().strip().rpartition("\n")[2]

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def end(self) -> None:
        """Kills it, and its twin, if they are still there."""
        if self.process.poll() is None:
            for pid in filter(None, [self.twin_pid, self.process.pid]):
                processes.end(pid)
            self.process.wait()


def _await_twins() -> None:
    """Waits for twins that have heard that their node agent leaves: they end a moment later."""
    for pid, command in processes.survivors(os.environ[processes.TOKEN]).items():
        if "nodes/__main__" not in command:
            continue
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        select.select([pidfd], [], [], _LIMIT_S)
        os.close(pidfd)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
