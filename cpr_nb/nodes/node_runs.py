"""All that runs on this node: started as ordered, reaped, its streams sent, ended if it must be."""

from __future__ import annotations

import os
import signal

from cpr_nb.nodes.node_place import lacks_room
from cpr_nb.nodes.node_run import NodeRun
from cpr_nb.nodes.twin import marks
from cpr_nb.runner import process
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.niceness import Niceness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from cpr_nb.nodes.node_shell import NodeShell

    Send = Callable[..., None]

#: How often the hub hears what shared processes need.
_BUSY_EVERY_S = 1.0


class NodeRuns:
    """The processes of a node agent, by token.

    Args:
        shell: What they have in common.

    Attributes:
        n_marks: How many marks of this life were used: what starts now carries the last.
    """

    def __init__(self, shell: NodeShell) -> None:
        self._shell = shell
        self._by_token: dict[str, NodeRun] = {}
        self._by_pid: dict[int, NodeRun] = {}
        self.n_marks = 1
        self._niceness: Niceness | None = None
        self._busy_at = 0.0

    @property
    def tokens(self) -> list[str]:
        """What the hub has not let go of yet."""
        return list(self._by_token)

    @property
    def lack_room(self) -> str:
        """Why nothing can write its output here; empty if there is room."""
        return lacks_room(self._shell.folder)

    @property
    def are_running(self) -> bool:
        """Whether a process runs."""
        return bool(self._by_pid)

    @property
    def has_dialogue(self) -> bool:
        """Whether the runner answers what a process writes: a question, the end of a turn."""
        return any(run.pipe is not None for run in self._by_pid.values())

    def start(self, order: dict[str, Any], parcel: bytes) -> dict[str, Any]:
        """Starts a process, with the parcel that came for it; returns what to say of it."""
        try:
            self._shell.mark = self._marks()[-1]
            run = NodeRun(order, self._shell, parcel)
        except OSError as error:
            return {
                "type": "refused",
                "token": order["token"],
                "errno": error.errno,
                "strerror": error.strerror,
                "filename": error.filename and os.fsdecode(error.filename),
            }
        self._by_token[run.token] = self._by_pid[run.pid] = run
        self._niceness = self._niceness or Niceness(order["nice"])  # it is the session's
        self._niceness.begin(run.pid)
        return self._started(run)

    def command(self, order: dict[str, Any]) -> None:
        """Carries out an order that concerns one process."""
        run, kind = self._by_token.get(order["token"]), order["do"]
        if kind == "kill":
            if run is not None:
                run.kill_group()
            process.sweep([order["token"]])
        elif run is None:
            return
        elif kind == "signal":
            run.signal(order["number"])
        elif kind == "close_stdin":
            run.close_stdin()
        elif kind == "write" and run.pipe is not None:
            run.pipe.send_bytes(order["line"].encode("utf-8", "surrogatepass"))
        elif kind == "forget":
            self._remove(run)

    def sweep(self, tokens: Iterable[str], conversations: Iterable[tuple[str, str]]) -> None:
        """Ends what is left of trees whose process has ended, or of conversations that are over.

        Args:
            tokens: What marks the trees.
            conversations: What marks the tree of a process that serves on, and the conversation.
        """
        own = [
            (token, conversation_id, run.pid)
            for token, conversation_id in conversations
            if (run := self._by_token.get(token)) is not None
        ]
        process.sweep(tokens, own)

    def drop(self, tokens: Iterable[str]) -> None:
        """Ends what the hub does not want any more, and forgets it."""
        runs = [run for token in tokens if (run := self._by_token.get(token))]
        for run in runs:
            run.kill_group()
            self._remove(run)
        process.sweep([run.token for run in runs])

    def reap(self, cause: Callable[[], str]) -> set[int]:
        """Reaps what has ended.

        Args:
            cause: Why something that was just found has ended, if it was we who ended it.

        Returns:
            The processes that were none of ours.
        """
        strangers: set[int] = set()
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return strangers
            if pid == 0:
                return strangers
            run = self._by_pid.pop(pid, None)
            if run is None:
                strangers.add(pid)
            else:
                run.reaped(status, usage.ru_maxrss, cause())

    def resume(self, sizes: dict[str, dict[str, int]], send: Send) -> None:
        """Says over a new connection what the hub may not know.

        Args:
            sizes: Token → how many bytes of each stream the hub has.
            send: Sends a message.
        """
        for token, of_streams in sizes.items():
            run = self._by_token[token]
            run.resume(of_streams)
            send(self._started(run))

    def acknowledge(self, header: dict[str, Any]) -> None:
        """The hub has so many bytes of a stream."""
        run = self._by_token.get(header["token"])
        if run is not None:
            run.acknowledge(header["which"], header["size"], again=header["again"])

    def send_streams(self, send: Send, *, of_all: bool) -> None:
        """Sends what was written, and the ends of those whose bytes were all sent.

        Args:
            send: Sends a message.
            of_all: Whether to read what those have written that still run: that costs two system
                calls for each of them.
        """
        for run in self._by_token.values():
            if not (of_all or run.end):
                continue
            if run.pipe is not None:
                run.pipe.flush()
            while chunk := run.next_chunk():
                which, offset, data = chunk
                header = {"type": "stream", "token": run.token, "which": which, "offset": offset}
                send(header, data)
            if run.is_all_sent and not run.is_end_sent:
                run.is_end_sent = True
                send(run.end)

    def follow(self, now: float, send: Send) -> None:
        """Makes nice what was started meanwhile, and says what shared processes need.

        Args:
            now: Seconds of the boot clock.
            send: Sends a message.
        """
        if self._niceness is not None:
            self._niceness.follow(now, self._by_pid)
        if now < self._busy_at:
            return
        self._busy_at = now + _BUSY_EVERY_S
        for run in self._by_pid.values():
            if run.kind == "shared":
                local = LocalProcess(run.pid, run.token)
                figures = {"cpu_s": local.busy_s(), "rss_bytes": local.rss_bytes()}
                send({"type": "busy", "token": run.token, **figures})

    def terminate_all(self) -> None:
        """Asks all to end."""
        for run in self._by_pid.values():
            run.signal(signal.SIGTERM)

    def kill_all(self) -> None:
        """Kills all, with whatever they have started."""
        for run in self._by_pid.values():
            run.kill_group()
        process.sweep((), lives=self._marks())

    def _marks(self) -> list[str]:
        return marks(self._shell.life, self.n_marks)

    def _remove(self, run: NodeRun) -> None:
        run.remove()
        del self._by_token[run.token]

    def _started(self, run: NodeRun) -> dict[str, Any]:
        return {"type": "started", "token": run.token, "pid": run.pid}
