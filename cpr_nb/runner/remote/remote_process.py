"""A process on a node that runs for a task: the runner reaches it through the hub."""

from __future__ import annotations

import json
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.remote.belongings import Carried

    class Reach(Protocol):
        """What reaches the nodes."""

        def send(self, kind: str, /, **fields: Any) -> None:
            """Sends a message to the hub."""

        def sweep_soon(self, token: str, conversation_id: str = "") -> None:
            """Has what a process, or one conversation of it, left behind ended soon."""

        def release(self, token: str) -> RemoteProcess | None:
            """Nothing runs for a token any more."""

        def await_end(self, process: RemoteProcess, patience_s: float) -> None:
            """Waits until a process has ended, and kills it if it takes too long."""


class RemoteStdin:
    """The stdin of a process on a node, to which lines of JSON go.

    Args:
        cluster: What reaches the node.
        token: What marks the process.
    """

    __slots__ = ("_cluster", "_token", "is_open")

    has_unsent = False

    def __init__(self, cluster: Reach, token: str) -> None:
        self._cluster, self._token = cluster, token
        self.is_open = True

    def send_message(self, text: str) -> None:
        """Sends a message of the user: a prompt or a command."""
        message = {"role": "user", "content": text}
        self.send_line({"type": "user", "message": message, "parent_tool_use_id": None})

    def send_line(self, message: dict[str, Any]) -> None:
        """Sends a line."""
        if self.is_open:
            line = json.dumps(message, ensure_ascii=False) + "\n"
            self._cluster.send("write", token=self._token, line=line)

    def flush(self) -> None:
        """Nothing waits here: the link with the hub keeps what it can't send yet."""

    def close(self) -> None:
        """The process gets nothing more, and ends once its turn is over."""
        if self.is_open:
            self.is_open = False
            self._cluster.send("close_stdin", token=self._token)


class RemoteProcess:
    """A process on a node.

    Args:
        cluster: What reaches the node.
        token: What marks its whole process tree.
        life: The life of the node agent that starts it.
        node: The node's name.
        program: Its program, as an error at its start names it.
        stdin: Its stdin, if that stays open.

    Attributes:
        pid: Its pid there; 0 until it runs.
        is_started: Whether it runs, or has run.
        carried: What comes home from it beside its output; None: nothing.
        busy: How long it has used a core, in seconds, and its memory in bytes, as last heard.
    """

    __slots__ = (
        *(
            "_cluster",
            "busy",
            "carried",
            "folder",
            "has_ended",
            "is_started",
            "life",
            "node",
            "pid",
        ),
        *("program", "stdin", "token"),
    )

    pidfd = None
    #: Its pid means nothing on this machine.
    pid_here = 0

    def __init__(
        self,
        cluster: Reach,
        token: str,
        life: str,
        node: str,
        *,
        program: str = "",
        folder: str = "",
        stdin: RemoteStdin | None = None,
    ) -> None:
        self._cluster = cluster
        self.token, self.life, self.node = token, life, node
        self.program, self.folder = program, folder
        self.stdin = stdin
        self.pid = 0
        self.is_started = self.has_ended = False
        self.carried: Carried | None = None
        self.busy = 0.0, 0

    @property
    def key(self) -> int | str:
        """What the table of processes knows it by: pids of several machines collide."""
        return self.token

    def terminate(self) -> None:
        """Sends SIGTERM to it; the CLI then cleans up its own shells."""
        self._cluster.send("signal", token=self.token, number=int(signal.SIGTERM))

    def kill_tree(self) -> int:
        """Kills what is left of its process tree; nobody knows how many processes that are."""
        if self.has_ended:
            self._cluster.sweep_soon(self.token)
        else:
            self._cluster.send("kill", token=self.token)
        return 0

    def sweep_later(self, _leftovers: Leftovers) -> None:
        """Has what it left behind ended soon."""
        self._cluster.sweep_soon(self.token)

    def sweep_conversation(self, _leftovers: Leftovers, conversation_id: str) -> None:
        """The same for one of its conversations: it serves on."""
        self._cluster.sweep_soon(self.token, conversation_id)

    def is_gone(self) -> bool:
        """Whether it has ended: the hub says so by itself."""
        return self.has_ended

    def let_go(self) -> None:
        """Has nothing more to do with it: what it does now is for no task."""
        self._cluster.send("kill", token=self.token)
        self._cluster.release(self.token)

    def await_end(self, patience_s: float) -> None:
        """Waits until it has ended, and kills it if it takes too long."""
        self._cluster.await_end(self, patience_s)

    def busy_s(self) -> float:
        """How long it has used a core, as last heard."""
        return self.busy[0]

    def rss_bytes(self) -> int:
        """How much memory it has, as last heard."""
        return self.busy[1]
