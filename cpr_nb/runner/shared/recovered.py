"""Shared processes that an earlier runner started, and what of their tasks is still to be done.

The death of a runner closes the stdin of its processes. So such a process serves its last task to
the end, and is gone. What it wrote for a task stands in its own file, from the place that the
journal names to the next border.
"""

from __future__ import annotations

import os

from cpr_nb.runner.attempt import Attempt, read_tail
from cpr_nb.runner.history import Place
from cpr_nb.runner.shared.borders import RESET, ProcessStream, offsets_of_conversations
from cpr_nb.runner.shared.part import Part
from cpr_nb.runner.shared.served_attempt import keep_stderr
from cpr_nb.runner.shared.served_stream import ServedStream
from cpr_nb.runner.spawning import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cpr_nb.runner.attempt import Process
    from cpr_nb.runner.history import TaskHistory
    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.store.layout import SessionPaths


class RecoveredStream(ServedStream):
    """A task's part of the stream of a process that nobody else follows.

    Args:
        path: The process's file.
        pid: The process, or 0.
        place: Where the part begins, and whose it is.
        task_path: The task's file.
        with_tools: Whether it matters which tools run.

    Attributes:
        is_over: Whether nothing more comes.
        is_closed: Whether everything was read that matters to the task.

    Raises:
        OSError: If the process's file can't be read, or the task's not be written.
    """

    __slots__ = ("is_closed", "is_over")

    def __init__(
        self, path: str, pid: int, place: Place, task_path: str, *, with_tools: bool
    ) -> None:
        source = ProcessStream(path, place.offset)
        source.conversation_id = place.conversation_id
        size_bytes = os.fstat(source.fd).st_size
        try:
            part = Part.resume(source.fd, place.offset, size_bytes, task_path)
        except OSError:
            source.close()
            raise
        super().__init__(path, pid, place.offset, source, part, with_tools=with_tools)
        self.is_over = self.is_closed = False
        self._find_end()

    def close(self) -> None:
        """Closes the process's file; the task's own stays open until it is whole."""
        self.is_closed = True
        super().close()

    def finish_copy(self) -> bool:
        """Copies the rest into the task's file; returns whether all of it is there."""
        is_whole = super().finish_copy()
        if is_whole:
            self._source.close()
        return is_whole

    def release(self) -> None:
        """Closes the files, whether or not all is copied."""
        self._part.close()
        self._source.close()

    @property
    def is_open(self) -> bool:
        """Whether more may come: whether a process still has the file as its output."""
        return self.end is None and super().is_open

    def _known_end(self) -> int:
        self._find_end()
        return super()._known_end()

    def _find_end(self) -> None:
        """Reads what is new in the process's file, up to the border."""
        if self.end is None and self._source.fd >= 0:
            marks = self._source.finish() if self.is_over else self._source.poll()
            border = next((mark for mark in marks if mark.kind == RESET), None)
            if border is not None:
                self.end = border.begin


class RecoveredProcess:
    """A shared process that an earlier runner started.

    Args:
        number: Its number.
        paths: The session's paths.
        token: What marks its process tree.
        places: The parts of its stream, as the journal names them.
    """

    __slots__ = ("_attempts", "_paths", "_places", "_unchecked", "number", "token")

    def __init__(
        self, number: int, paths: SessionPaths, token: str, places: Iterable[Place]
    ) -> None:
        self.number = number
        self.token = token
        self._paths = paths
        self._places = list(places)
        # A full disk may have been in the way of the files of tasks that ended.
        self._unchecked = self._places[:]
        self._attempts: list[RecoveredAttempt] = []

    def find_places(self, tasks: Mapping[str, TaskHistory]) -> None:
        """Finds the parts of tasks of which the journal says nothing: somebody has removed it."""
        try:
            offsets = offsets_of_conversations(self.path)
        except OSError:
            return
        for task_id, task in tasks.items():
            offset = offsets.get(task.conversation_id)
            if offset is not None:
                task.place = Place(self.number, offset, task_id, task.attempt, task.conversation_id)
                self._places.append(task.place)
                self._unchecked.append(task.place)

    @property
    def path(self) -> str:
        """The file that it writes its stream to."""
        return self._paths.process_stream(self.number)

    @property
    def stderr_path(self) -> str:
        """The file that it writes its stderr to."""
        return self._paths.process_stderr(self.number)

    @property
    def busy_pid(self) -> int:
        """Its pid, while it works for a task; else 0."""
        return next((a.process.pid for a in self._attempts if a.process.pid and not a.has_ended), 0)

    def attempt(
        self, place: Place, process: Process, task: int, options: dict[str, Any]
    ) -> RecoveredAttempt:
        """Returns the attempt of a task that has not ended.

        Args:
            place: Where its stream begins.
            process: The process.
            task: The task's number, from 0.
            options: Further arguments of `Attempt`.

        Raises:
            OSError: If its stream can't be read.
        """
        attempt = RecoveredAttempt(self, place, process, task, self._paths, options)
        if attempt.stream.end is not None or not self.is_last(place):
            attempt.let_go()
        self._attempts.append(attempt)
        return attempt

    def is_last(self, place: Place) -> bool:
        """Whether nothing that it served begins after this."""
        return all(other.offset <= place.offset for other in self._places)

    def discard(self) -> bool:
        """Removes its files, unless it works, or not all of its parts are whole.

        Returns:
            Whether they are removed.
        """
        if self.busy_pid or not all(attempt.is_copied() for attempt in self._attempts):
            return False
        while self._unchecked and _is_whole(self.path, self._paths, self._unchecked[-1]):
            self._unchecked.pop()
        if self._unchecked:
            return False
        remove([self.path, self.stderr_path])
        return True


def _is_whole(path: str, paths: SessionPaths, place: Place) -> bool:
    """Completes the file of a task that has ended; returns whether it has all of its part."""
    try:
        task_path = paths.stream(place.task_id, place.attempt)
        stream = RecoveredStream(path, 0, place, task_path, with_tools=False)
    except FileNotFoundError:
        return True  # somebody has removed the process's file
    except OSError:
        return False
    stream.is_over = True
    stream.close()
    stream.release()
    return not stream.trouble


class RecoveredAttempt(Attempt):
    """An attempt that a shared process of an earlier runner served, or still serves.

    Args:
        source: The process.
        place: Where its stream begins.
        process: The process itself, which may be gone.
        task: The task's number, from 0.
        paths: The session's paths.
        options: Further arguments of `Attempt`.

    Attributes:
        has_ended: Whether it was seen to have ended.

    Raises:
        OSError: If its stream can't be read.
    """

    __slots__ = ("_place", "_source", "has_ended")

    stream: RecoveredStream

    def __init__(
        self,
        source: RecoveredProcess,
        place: Place,
        process: Process,
        task: int,
        paths: SessionPaths,
        options: dict[str, Any],
    ) -> None:
        self._source, self._place, self.has_ended = source, place, False
        arguments = (process, task, place.task_id, place.attempt, paths)
        super().__init__(*arguments, **options)

    def let_go(self) -> None:
        """Its turn is over: the process, if it lives, works for another task or for none."""
        self.process.let_go()

    @property
    def place_fields(self) -> dict[str, Any]:
        """What status.json says of where it ran."""
        return {"process": self._source.number, **super().place_fields}

    @property
    def is_unasked(self) -> bool:
        """Whether its process, which is gone, has never begun to work on its prompt."""
        self._read_to_end()
        return self.stream.first_init is None and not self.terminated

    def is_copied(self) -> bool:
        """Whether its own file has all that the process wrote for it."""
        return self.has_ended and self.stream.is_closed and self.stream.finish_copy()

    def clean_up(self, leftovers: Leftovers, _status: int | None) -> None:
        """Ends what it left behind: all of its process's, unless that works for another task."""
        self.has_ended = True
        if self._source.busy_pid:
            conversation_id = self._place.conversation_id
            leftovers.add_conversation(self.process.token, conversation_id, self._source.busy_pid)
        else:
            self.kill_tree()
        self._read_to_end()

    def _read_to_end(self) -> None:
        self.stream.is_over = True
        self.stream.poll(0.0)

    def _open_stream(self, path: str, *, with_tools: bool) -> RecoveredStream:
        source = self._source.path
        return RecoveredStream(source, self.process.pid, self._place, path, with_tools=with_tools)

    def _stderr_path(self) -> str:
        return self._source.stderr_path

    def _read_stderr(self) -> str:
        text = "" if self.stream.end is not None else read_tail(self._source.stderr_path)
        if text:
            keep_stderr(self._paths.stderr(self.task_id, self.number), text)
        return text
