"""The tasks of a session.json by their ids, each read when it is needed.

A session may hold thousands of long prompts, so only where each begins is kept.
"""

from __future__ import annotations

from cpr_nb.model.quick_json import loads
from cpr_nb.store.files import open_regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TaskLines:
    """The tasks of one session.

    Args:
        path: Its session.json.

    Attributes:
        head: What the file says of the session as a whole.

    Raises:
        OSError: If it can't be read.
        ValueError: If it is no session.json of ours.

    Example:
        >>> TaskLines("/no/such/session.json")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: '/no/such/session.json'
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        with open_regular(path) as file:
            first = file.readline()
            self.head: dict[str, Any] = loads(first.rstrip(b",\n") + b"}")
            offset = len(first)
            for line in file:
                if line.startswith(b'{"id":'):
                    task = loads(line.rstrip(b",\n"))
                    self._places[task["id"]] = offset, len(line)
                offset += len(line)

    def task(self, task_id: str) -> dict[str, Any]:
        """The object of a task.

        Raises:
            OSError: If the file can't be read.
            KeyError: If there is no such task.
            ValueError: If the file was changed.
        """
        offset, n_bytes = self._places[task_id]
        with open_regular(self._path) as file:
            file.seek(offset)
            task: dict[str, Any] = loads(file.read(n_bytes).rstrip(b",\n"))
        return task
