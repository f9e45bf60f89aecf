"""One process that runs on this node: its start, its streams, its end."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import sys

from cpr_nb.model.environment import NODE_VARIABLE, clean_environment
from cpr_nb.nodes.spool import Spool
from cpr_nb.runner import process
from cpr_nb.runner.message_pipe import new_pipe
from cpr_nb.runner.spawning import HeldError, check_folder, create, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.message_pipe import MessagePipe

_CARRIED_RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "carried_run.py")
_RSS_UNIT = 1024 if process.LINUX else 1  # macOS counts bytes


class NodeShell:
    """What all processes of a node agent have in common.

    Args:
        life: The node agent's life: every process carries it.
        folder: Where spools go.
        claude_path: The node's own CLI; empty if it has none.
    """

    def __init__(self, life: str, folder: str, claude_path: str) -> None:
        self.folder = folder
        self.claude_path = claude_path
        environment = {**clean_environment(os.environ), NODE_VARIABLE: life}
        self._environ = {os.fsencode(name): os.fsencode(v) for name, v in environment.items()}
        # It dies with the thread that starts it, whatever becomes of the twin.
        setpriv = _program("setpriv") if process.LINUX else ""
        self._prefix = [setpriv, "--pdeathsig", "KILL"] if setpriv else []

    def argv(self, order: dict[str, Any]) -> list[str]:
        """The arguments of a process.

        Raises:
            OSError: If its program can't be executed.
        """
        program, *words = order["argv"]
        program = program or self.claude_path or "claude"
        if "/" in program or not program:
            _check_program(program)
        return [*self._prefix, program, *words]

    def carried(
        self, order: dict[str, Any], argv: list[str], home: str, parcel: bytes
    ) -> tuple[list[str], str]:
        """The arguments and the folder of a process that brings things along, and home.

        Args:
            order: The order.
            argv: The arguments of the process itself.
            home: The spool of what must come home.
            parcel: What came for it.
        """
        with open(f"{home}.parcel", "wb") as file:
            file.write(parcel)
        os.close(create(home))
        carried = order["carried"]
        spec = {
            "argv": argv,
            "cwd": order["cwd"],
            "parcel": f"{home}.parcel" if parcel else "",
            "home": home,
            "root": os.path.dirname(self.folder),
            "place": f"{self.folder}/checkouts/{carried['task_id']}",
            "conversation_id": carried["conversation_id"],
            "has_fourth": bool(order.get("fourth")),
        }
        with open(f"{home}.spec", "w", encoding="utf-8", errors="surrogateescape") as spec_file:
            json.dump(spec, spec_file)
        cwd = self.folder if carried["has_checkout"] else order["cwd"]
        return [*self._prefix, sys.executable, "-I", _CARRIED_RUN, f"{home}.spec"], cwd

    def environment(self, more: dict[str, str]) -> dict[bytes, bytes]:
        """The environment of a process: the node's own, and what belongs to the task."""
        own = {os.fsencode(name): os.fsencode(value) for name, value in more.items()}
        return {**self._environ, **own}


class NodeRun:
    """A process of one token.

    Args:
        order: The order that starts it.
        shell: What it has in common with the others.
        parcel: What came for it; empty if nothing did.

    Attributes:
        token: What marks its whole tree.
        kind: What it is: ``attempt``, ``check``, ``shared``.
        pid: Its process.
        end: How it has ended, for the hub; None while it runs.
        is_end_sent: Whether the hub was sent that, over the connection that there is.
        pipe: Its stdin, if it stays open.

    Raises:
        OSError: If it can't be started.
    """

    __slots__ = ("_spools", "end", "is_end_sent", "kind", "pid", "pipe", "token")

    def __init__(self, order: dict[str, Any], shell: NodeShell, parcel: bytes) -> None:
        self.token, self.kind = order["token"], order["kind"]
        self.end: dict[str, Any] | None = None
        self.is_end_sent = False
        self.pipe: MessagePipe | None = None
        paths = {"out": f"{shell.folder}/{order['order']}.out"}
        if order["err"]:
            paths["err"] = f"{shell.folder}/{order['order']}.err"
        if order.get("home"):
            paths["home"] = f"{shell.folder}/{order['order']}.home"
        try:
            if order.get("folder_must_exist"):
                check_folder(order["cwd"])
            self.pid = self._spawn(order, shell, paths, parcel)
        except HeldError as held:
            cause = held.__cause__
            raise (cause if isinstance(cause, OSError) else held) from None
        self._spools = {which: Spool(path) for which, path in paths.items()}

    def _spawn(
        self, order: dict[str, Any], shell: NodeShell, paths: dict[str, str], parcel: bytes
    ) -> int:
        read_fd, self.pipe = new_pipe() if order["keep_stdin"] else (-1, None)
        text, fourth = order["stdin"], order.get("fourth")
        prompt = None if text is None else text.encode("utf-8", "surrogatepass")

        def stdin() -> int:
            if self.pipe is not None:
                return read_fd
            if prompt is None:
                return os.open(os.devnull, os.O_RDONLY)
            return process.open_prompt(prompt)

        argv, cwd = shell.argv(order), order["cwd"]
        if "home" in paths:
            argv, cwd = shell.carried(order, argv, paths["home"], parcel)
        pid = spawn(
            argv,
            cwd,
            shell.environment(order["env"]),
            stdin,
            lambda: create(paths["out"]),
            (lambda: create(paths["err"])) if "err" in paths else None,
            base64.b64decode(fourth) if fourth else None,
        )
        if self.pipe is not None and prompt:
            self.pipe.send_bytes(prompt)
        return pid

    def next_chunk(self) -> tuple[str, int, bytes] | None:
        """What to send next of its streams: which, its offset, and the bytes."""
        sizes = self.end["sizes"] if self.end else {}
        for which, spool in self._spools.items():
            chunk = spool.next_chunk(sizes.get(which))
            if chunk is not None:
                return which, *chunk
        return None

    @property
    def is_all_sent(self) -> bool:
        """Whether it has ended, and all bytes of its streams were sent."""
        if self.end is None:
            return False
        sizes = self.end["sizes"]
        return all(spool.sent >= sizes[which] for which, spool in self._spools.items())

    def acknowledge(self, which: str, size: int, *, again: bool = False) -> None:
        """The hub has so many bytes of a stream; ``again``: it wants the rest once more."""
        self._spools[which].acknowledge(size, again=again)
        if again:
            self.is_end_sent = False

    def resume(self, sizes: dict[str, int]) -> None:
        """Over a new connection: the hub has so many bytes."""
        for which, size in sizes.items():
            self.acknowledge(which, size, again=True)

    def reaped(self, status: int, rss: int, cause: str) -> None:
        """It has ended."""
        self.end = {
            "type": "ended",
            "token": self.token,
            "status": status,
            "rss_bytes": rss * _RSS_UNIT,
            "cause": cause,
            "sizes": {which: spool.size for which, spool in self._spools.items()},
        }
        self.close_stdin()

    def signal(self, number: int) -> None:
        """Sends it a signal, if it still runs."""
        if self.end is None:
            process.signal_process(self.pid, number)

    def kill_group(self) -> None:
        """Kills its process group."""
        if self.end is None:
            process.kill_group(self.pid)
            self.signal(signal.SIGKILL)

    def close_stdin(self) -> None:
        """It gets no more on stdin."""
        if self.pipe is not None:
            self.pipe.close()

    def remove(self) -> None:
        """Nobody needs its streams any more."""
        self.close_stdin()
        for spool in self._spools.values():
            spool.remove()


def _program(name: str) -> str:
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/bin"]:
        path = f"{folder}/{name}"
        if folder and os.access(path, os.X_OK):
            return path
    return ""


def _check_program(program: str) -> None:
    """Checks what the kernel would only say to ``setpriv``."""
    if not os.path.exists(program):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)
    if os.path.isdir(program) or not os.access(program, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
