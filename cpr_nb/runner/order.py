"""What is to be started for a task: the same whether it starts on this machine or on a node."""

from __future__ import annotations

from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.message_pipe import new_pipe
from cpr_nb.runner.process import open_prompt
from cpr_nb.runner.spawning import create, create_stream, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.remote.belongings import Belongings


class Order:
    """What is to be started.

    Args:
        kind: ``attempt``, ``check`` or ``shared``.
        token: What marks its whole process tree.
        argv: The program, and its arguments.
        folder: Its working folder.
        environment: Its variables, encoded.
        stdin: All that it reads from its stdin; None: that stays open for messages.
        out: The file that gets its output.
        err: The file that gets its errors; empty: the same one.
        names: What the journal calls it by.
        socket_program: What becomes its descriptor 3, if it runs in a sandbox of ours.
        belongings: What goes along with it to a node, if it may run on one.
    """

    __slots__ = (
        *("argv", "belongings", "environment", "err", "folder", "kind", "names", "out"),
        *("socket_program", "stdin", "token"),
    )

    def __init__(
        self,
        kind: str,
        token: str,
        argv: list[str],
        folder: str,
        environment: dict[bytes, bytes],
        stdin: str | None,
        out: str,
        err: str = "",
        *,
        names: dict[str, Any] | None = None,
        socket_program: bytes | None = None,
        belongings: Belongings | None = None,
    ) -> None:
        self.kind, self.token, self.argv, self.folder = kind, token, argv, folder
        self.environment, self.stdin, self.out, self.err = environment, stdin, out, err
        self.names, self.socket_program = names or {}, socket_program
        self.belongings = belongings


class LocalMachine:
    """Starts what is ordered on this machine, at once."""

    has_repository = True

    def mark_of_check(self) -> str:
        """What tells one run of a check from another: here the first one is always over."""
        return ""

    def start(self, order: Order) -> LocalProcess:
        """Starts a process.

        Raises:
            HeldError: If the machine can't start it now.
            OSError: If it can't be started for another reason; nothing runs in either case.
        """
        read_fd, pipe = new_pipe() if order.stdin is None else (-1, None)
        text = order.stdin or ""
        is_stream = order.kind != "check"
        pid = spawn(
            order.argv,
            order.folder,
            order.environment,
            lambda: open_prompt(text.encode()) if pipe is None else read_fd,
            lambda: create_stream(order.out) if is_stream else create(order.out),
            (lambda: create(order.err)) if order.err else None,
            order.socket_program,
        )
        return LocalProcess(pid, order.token, stdin=pipe)
