"""A process on this machine that runs for a task: signals to it, its tree, its figures."""

from __future__ import annotations

import os
import signal
import time

from cpr_nb.runner import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.message_pipe import MessagePipe

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class LocalProcess:
    """A process that we started, or that an earlier runner started and we adopted.

    Args:
        pid: Its pid; 0 if it is gone; below 0 if it can't be seen from here.
        token: What marks its whole process tree.
        pidfd: None if the process is our child. Otherwise a descriptor of it, or -1 if the
            system has none or the process is gone.
        stdin: Our end of its stdin, if that stays open.

    Attributes:
        is_started: Whether it runs, or has run: true for every process of this machine.
        node: The name of the node that it runs on: empty on this machine.
        life: The life of that node's agent: likewise.
    """

    __slots__ = ("pid", "pidfd", "stdin", "token")

    is_started = True
    node = life = ""

    def __init__(
        self, pid: int, token: str, pidfd: int | None = None, stdin: MessagePipe | None = None
    ) -> None:
        self.pid = pid
        self.token = token
        self.pidfd = pidfd
        self.stdin = stdin

    @property
    def has_ended(self) -> bool:
        """Whether it is known to be gone."""
        return self.pid == 0

    @property
    def key(self) -> int | str:
        """What the table of processes knows it by."""
        return self.pid

    @property
    def pid_here(self) -> int:
        """Its pid on this machine; 0 or less if there is none that we could look at."""
        return self.pid

    def terminate(self) -> None:
        """Sends SIGTERM to it; the CLI then cleans up its own shells."""
        process.signal_process(self.pid, signal.SIGTERM, self.pidfd)

    def kill_tree(self) -> int:
        """Kills what is left of its process tree; returns how many processes that were."""
        if self.pidfd is None:  # else the pid may be reused by now
            process.kill_group(self.pid)
        return process.sweep([self.token])

    def sweep_later(self, leftovers: Leftovers) -> None:
        """Has what it left behind ended soon."""
        leftovers.add(self.token)

    def sweep_conversation(self, leftovers: Leftovers, conversation_id: str) -> None:
        """The same for one of its conversations: it serves on."""
        leftovers.add_conversation(self.token, conversation_id, self.pid)

    def is_gone(self) -> bool:
        """Whether a process that is not our child has ended."""
        return process.start_time(self.pid) is None

    def let_go(self) -> None:
        """Has nothing more to do with it."""
        if self.pidfd is not None and self.pidfd >= 0:
            os.close(self.pidfd)
        self.pid, self.pidfd = 0, -1

    def await_end(self, patience_s: float) -> None:
        """Waits until our child has ended, and kills it if it takes too long."""
        give_up_at = time.monotonic() + patience_s
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.monotonic() > give_up_at:
                self.kill_tree()
                os.waitpid(self.pid, 0)
                break
            time.sleep(0.01)

    def busy_s(self) -> float:
        """How long it has used a core, or waited for one; 0 if that is not known."""
        fields = process.stat_fields(self.pid)
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S if len(fields) > 12 else 0.0
        return cpu_s + process.run_delay_s(self.pid)

    def rss_bytes(self) -> int:
        """How much memory it has; 0 if that is not known."""
        fields = process.stat_fields(self.pid)
        return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 21 else 0
