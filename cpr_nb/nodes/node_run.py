"""One process that runs on this node: its start, its streams, its end."""

from __future__ import annotations

import base64
import os
import signal

from cpr_nb.nodes.spool import Spool
from cpr_nb.runner import process
from cpr_nb.runner.message_pipe import new_pipe
from cpr_nb.runner.spawning import HeldError, check_folder, create, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.nodes.node_shell import NodeShell
    from cpr_nb.runner.message_pipe import MessagePipe

_RSS_UNIT = 1024 if process.LINUX else 1  # macOS counts bytes


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
        streams = ["out", *(which for which in ("err", "home") if order.get(which))]
        number = shell.next_number()
        paths = {which: f"{shell.folder}/{number}.{which}" for which in streams}
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
