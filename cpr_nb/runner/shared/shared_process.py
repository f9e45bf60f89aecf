"""One process of the CLI that serves several tasks: its stdin, its stream, its states."""

from __future__ import annotations

import os

from cpr_nb.runner.shared.borders import ProcessStream
from cpr_nb.runner.shared.process_machine import BUSY, ProcessMachine
from cpr_nb.runner.shared.sizing import ALONE_S
from cpr_nb.runner.spawning import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from cpr_nb.runner.attempt import Process
    from cpr_nb.runner.message_pipe import MessagePipe
    from cpr_nb.runner.remote.remote_process import RemoteStdin
    from cpr_nb.runner.shared.process_groups import Group
    from cpr_nb.runner.shared.served_stream import ServedStream

_CLEAR = "/clear"


class SharedProcess:
    """A process that serves tasks.

    Args:
        process: The process, whose stdin is open.
        number: Its number in the session, from 1.
        group: The group of its tasks.
        path: The file that it writes its stream to.
        stderr_path: The file that it writes its stderr to.
        at_s: When it was started.
        limit_usd: What each of its tasks may cost, or None.
        agent_folders: Where it has read files of subagents from: it does not read them again.

    Attributes:
        machine: Its states.
        stream: Its stream.
        terminated: Whether it was asked to end by a signal.
        has_ended: Whether it is gone.
        next_look_at: When its stream is read again.
        unfinished: The streams of tasks that could not be copied out of it yet.
    """

    __slots__ = (
        *("_agent_folders", "_agents_at"),
        *("_n_requests", "given_at", "given_busy_s", "group"),
        "has_ended",
        *("limit_usd", "machine", "next_look_at", "number", "path", "process", "stderr_begin"),
        *("stderr_path", "stream", "terminated", "unfinished"),
    )

    def __init__(
        self,
        process: Process,
        number: int,
        group: Group,
        path: str,
        stderr_path: str,
        at_s: float,
        limit_usd: float | None,
        agent_folders: Sequence[str] = (),
    ) -> None:
        self.process = process
        self.number = number
        self.group = group
        self.path = path
        self.stderr_path = stderr_path
        self.limit_usd = limit_usd
        self.stream = ProcessStream(path)
        self.machine = ProcessMachine(at_s)
        self.terminated = self.has_ended = False
        self.unfinished: list[ServedStream] = []
        self.next_look_at = self.given_at = at_s
        self.stderr_begin = 0  # of what it has written since it got its task
        self.given_busy_s = 0.0  # how long it had been busy then
        self._agent_folders = agent_folders
        self._agents_at = [_changed_at(folder) for folder in agent_folders]
        self._n_requests = 0
        self.send(_CLEAR)

    # -- stdin --------------------------------------------------------------------------------

    @property
    def stdin(self) -> MessagePipe | RemoteStdin:
        """Our end of its stdin."""
        assert self.process.stdin is not None  # noqa: S101 - for the type
        return self.process.stdin

    def send(self, text: str) -> None:
        """Sends a message of the user: a prompt or a command."""
        self.stdin.send_message(text)

    def clear(self) -> None:
        """Has it begin a new conversation."""
        self.send(_CLEAR)

    def interrupt(self) -> None:
        """Asks it to end its turn."""
        self._n_requests += 1
        request = {"subtype": "interrupt"}
        request_id = f"{self.number}-{self._n_requests}"
        self.stdin.send_line(
            {"type": "control_request", "request_id": request_id, "request": request}
        )

    # -- the process --------------------------------------------------------------------------

    def terminate(self) -> None:
        """Sends SIGTERM to it."""
        self.terminated = True
        if not self.has_ended:
            self.process.terminate()

    def kill_tree(self) -> int:
        """Kills it and all that it started; returns how many processes that were."""
        return self.process.kill_tree()

    def await_end(self, patience_s: float) -> None:
        """Waits until it has ended, and kills it if it takes too long."""
        self.process.await_end(patience_s)
        self.has_ended = True

    def discard(self) -> bool:
        """Removes the files of a process that has ended, unless a task still needs them.

        Returns:
            Whether they are removed.
        """
        self.unfinished = [stream for stream in self.unfinished if not stream.finish_copy()]
        if self.unfinished:
            return False
        self.stream.close()
        remove([self.path, self.stderr_path])
        return True

    def given(self, at_s: float) -> None:
        """It has got a task: from now on everything is that task's."""
        self.given_at = at_s
        self.given_busy_s = self.process.busy_s()
        try:
            self.stderr_begin = os.stat(self.stderr_path).st_size
        except OSError:
            self.stderr_begin = 0

    def waits_long(self, now: float) -> bool:
        """Whether it has waited for long for its present task, and not for a core."""
        if self.machine.state != BUSY or now - self.given_at < ALONE_S:
            return False
        return now - self.given_at - (self.process.busy_s() - self.given_busy_s) >= ALONE_S

    def has_other_agents(self) -> bool:
        """Whether files of subagents came or went since it was started."""
        return [_changed_at(folder) for folder in self._agent_folders] != self._agents_at


def _changed_at(folder: str) -> int:
    """When a folder was changed, in nanoseconds since the epoch; 0 if there is none."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0
