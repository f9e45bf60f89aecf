"""An attempt that a shared process runs: one part of the process's stream."""

from __future__ import annotations

import os
import sys

from cpr_nb.runner.attempt import Attempt, read_tail
from cpr_nb.runner.shared.part import Part
from cpr_nb.runner.shared.served_stream import ServedStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.model.outcome import Exit
    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.shared.shared_process import SharedProcess
    from cpr_nb.store.layout import SessionPaths


class ServedAttempt(Attempt):
    """An attempt that a shared process runs.

    Args:
        source: The process, which has been given the task.
        end_soon: Called to end it before it has ended by itself.
        task: The task's number, from 0.
        task_id: The task's id.
        number: Which attempt it is, from 1.
        paths: The session's paths.
        options: Further arguments of `Attempt`.
    """

    __slots__ = ("_conversation_id", "_end_soon", "source")

    stream: ServedStream

    def __init__(
        self,
        source: SharedProcess,
        end_soon: Callable[[SharedProcess], None],
        task: int,
        task_id: str,
        number: int,
        paths: SessionPaths,
        options: dict[str, Any],
    ) -> None:
        self.source = source
        self._end_soon = end_soon
        self._conversation_id = source.machine.conversation_id
        super().__init__(source.process, task, task_id, number, paths, **options)

    def _open_stream(self, path: str, *, with_tools: bool) -> ServedStream:
        source, begin = self.source, self.source.machine.offset
        part = Part(source.stream.fd, begin, path)
        pid = source.process.pid_here
        return ServedStream(source.path, pid, begin, source.stream, part, with_tools=with_tools)

    @property
    def place_fields(self) -> dict[str, Any]:
        """What status.json says of where it ran."""
        return {"process": self.source.number, **super().place_fields}

    def terminate(self) -> None:
        """Has its turn end; the process itself may go on to serve others."""
        self._end_soon(self.source)

    def kill_tree(self) -> int:
        """Kills its process, and what that has started; returns how many processes that were."""
        return self.source.kill_tree()

    def clean_up(self, leftovers: Leftovers, status: int | None) -> None:
        """Has what it left behind end: not the process, nor the MCP servers, if it goes on."""
        if status is not None:
            super().clean_up(leftovers, status)
        else:
            self.process.sweep_conversation(leftovers, self._conversation_id)

    def collect(self, status: int | None) -> tuple[Exit, RunFacts]:
        """Returns how it ended, and what its stream says.

        Args:
            status: What wait() returned, if its process ended with it; None if that serves on.
        """
        exit_, facts = super().collect(status)
        if facts.result is not None and self.stream.background.turn_ended:
            exit_.exit_code = exit_.signal = None  # that says nothing about a turn that is over
        if self.terminated and not facts.answered:
            facts.cost_usd, facts.tokens = None, {}  # the CLI says 0, whatever the API counts
        return exit_, facts

    def _stderr_path(self) -> str:
        return self.source.stderr_path

    def _read_stderr(self) -> str:
        """What the process wrote to stderr since it has this task, if it ended with it."""
        if not self.source.has_ended:
            return ""
        text = read_tail(self.source.stderr_path, self.source.stderr_begin)
        if text:
            keep_stderr(self._paths.stderr(self.task_id, self.number), text)
        return text


def keep_stderr(path: str, text: str) -> None:
    """Writes what a process wrote to stderr into the file of the task that it ended with."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError as error:  # the record has its last line
        print(f"{path}: {error}", file=sys.stderr, flush=True)
