"""What a session was asked to do, read from session.json a line at a time.

A session may hold thousands of prompts of up to 10 MiB: the runner keeps where each begins
in the file and reads a prompt when its turn has come.
"""

from __future__ import annotations

import json
from array import array

from cpr_nb.model import record
from cpr_nb.runner.task_state import TaskPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEFAULT_ATTEMPTS = 2
#: A start-up that hangs is no work: other time limits are off unless somebody asks for them.
FIRST_BYTE_S = 600.0
CHECK_TIMEOUT_S = 600.0
SETUP_TIMEOUT_S = 600.0
#: The options that change what all requests of a task begin with.
IN_THE_PREFIX = ("model", "effort", "permissions", "allow", "deny", "schema", "claude_args")


class SessionSpec:
    """The content of session.json.

    Args:
        path: The file. It stays open: what was asked can't be deleted under us.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - open for the runner's whole life
        self.head: dict[str, Any] = json.loads(self._file.readline().rstrip(b",\n") + b"}")
        self._offsets = array("Q")
        self.plans: list[TaskPlan] = []
        self._plans: dict[tuple[Any, ...], TaskPlan] = {}
        self.many_folders = False  # tasks run in different folders
        #: The group of each task, if one of a group is to lead (``warm_start``).
        self.groups: array[int] | None = None
        if self.head["options"].get("warm_start"):
            self.groups = array("I")
        self._group_numbers: dict[str, int] = {}

    def read_tasks(self) -> Iterator[dict[str, Any]]:
        """Reads every task once, before anything else is asked of this object.

        Yields:
            The fields of each task's status that never change.
        """
        self._file.readline()  # "tasks":[
        offset = self._file.tell()
        for line in self._file:
            if line.startswith(b"{"):
                task = json.loads(line.rstrip(b",\n"))
                self._offsets.append(offset)
                self.plans.append(self._plan(task.get("options", {})))
                self.many_folders |= "cwd" in task.get("options", {})
                if self.groups is not None:
                    self.groups.append(self._group(task.get("options", {})))
                yield record.base_fields(len(self._offsets), task["id"], task["prompt"])
            offset += len(line)

    def _plan(self, own: dict[str, Any]) -> TaskPlan:
        options = {**self.head["options"], **own}
        key = (
            options.get("timeout_s"),
            options.get("silence_s"),
            options.get("first_byte_s", FIRST_BYTE_S),
            "schema" in options,
            options.get("attempts", DEFAULT_ATTEMPTS),
            "check" in options,
            options.get("check_timeout_s", CHECK_TIMEOUT_S),
            bool(options.get("fail_on_denied")),
            bool(options.get("worktree")),
            options.get("setup_timeout_s", SETUP_TIMEOUT_S),
        )
        # Thousands of tasks share a handful of plans.
        if key not in self._plans:
            self._plans[key] = TaskPlan(
                key[0],
                key[1],
                first_byte_s=key[2],
                schema=key[3],
                attempts=key[4],
                check=key[5],
                check_timeout_s=key[6],
                fail_on_denied=key[7],
                worktree=key[8],
                setup_timeout_s=key[9],
            )
        return self._plans[key]

    def _group(self, own: dict[str, Any]) -> int:
        """The group of tasks whose requests begin alike: same model, tools and system prompt."""
        options = {**self.head["options"], **own}
        # In different folders they are alike too, for the CLI is told to keep them so.
        alike = json.dumps({k: v for k, v in options.items() if k in IN_THE_PREFIX}, sort_keys=True)
        return self._group_numbers.setdefault(alike, len(self._group_numbers))

    def task(self, number: int) -> dict[str, Any]:
        """The task's object, read from the file: id, prompt, options."""
        self._file.seek(self._offsets[number])
        task: dict[str, Any] = json.loads(self._file.readline().rstrip(b",\n"))
        return task

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return len(self._offsets)

    def number(self, task_id: str) -> int | None:
        """The number of a task (from 0), or None if there is no such task."""
        # Ids are not kept: 5,000 of them would take half a megabyte for the rare request.
        for number in range(len(self._offsets)):
            if self.task(number)["id"] == task_id:
                return number
        return None
