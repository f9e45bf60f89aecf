"""Reads a session's spec from session.json, line by line.

A session may hold thousands of prompts of up to 10 MiB. The runner keeps where each begins in
the file, and reads a prompt when its task starts.
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
#: A start-up that hangs does no work. Other time limits are off unless someone sets them.
FIRST_BYTE_S = 600.0
#: A dev server would keep the process of a task that has answered for ever.
LINGER_S = 900.0
CHECK_TIMEOUT_S = 600.0
SETUP_TIMEOUT_S = 600.0
#: The options that change what every request of a task begins with.
IN_THE_PREFIX = (
    "model",
    "effort",
    "permissions",
    "tools",
    "allow",
    "deny",
    "add_dirs",
    "schema",
    "system_prompt",
    "agents",
    "mcp_servers",
    "settings",
    "safe_mode",
    "claude_args",
)


class SessionSpec:
    """The content of session.json.

    Args:
        path: The file. It stays open, so nobody can delete it under us.

    Attributes:
        session: What it says about the session as a whole: everything but the tasks.
        plans: One plan per task.
        many_folders: Whether tasks run in different folders.
        groups: The group of each task if one of a group is to lead (``warm_start``), or None.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - open for the runner's whole life
        self.session: dict[str, Any] = json.loads(self._file.readline().rstrip(b",\n") + b"}")
        self._offsets = array("Q")
        self.plans: list[TaskPlan] = []
        self._plans: dict[tuple[Any, ...], TaskPlan] = {}
        self.many_folders = False
        self.groups: array[int] | None = None
        if self.session["options"].get("warm_start"):
            self.groups = array("I")
        self._group_numbers: dict[str, int] = {}

    def read_tasks(self) -> Iterator[dict[str, Any]]:
        """Reads every task once; everything else needs that.

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
        """The plan of a task with these options of its own; tasks that are alike share one."""
        options = {**self.session["options"], **own}
        fields = {
            "timeout_s": options.get("timeout_s"),
            "silence_s": options.get("silence_s"),
            "first_byte_s": options.get("first_byte_s", FIRST_BYTE_S),
            "linger_s": options.get("linger_s", LINGER_S),
            "schema": "schema" in options,
            "attempts": options.get("attempts", DEFAULT_ATTEMPTS),
            "check": "check" in options,
            "check_timeout_s": options.get("check_timeout_s", CHECK_TIMEOUT_S),
            "fail_on_denied": bool(options.get("fail_on_denied")),
            "worktree": bool(options.get("worktree")),
            "setup_timeout_s": options.get("setup_timeout_s", SETUP_TIMEOUT_S),
        }
        key = tuple(fields.values())
        if key not in self._plans:
            self._plans[key] = TaskPlan(**fields)
        return self._plans[key]

    def _group(self, own: dict[str, Any]) -> int:
        """The group of a task: its requests begin alike (same model, tools and system prompt)."""
        options = {**self.session["options"], **own}
        # In different folders too: the CLI is started with a flag that keeps them alike.
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
        """The number of a task (from 0); None if there is no such task."""
        # Ids are not kept: 5,000 of them would take half a megabyte for a rare request.
        for number in range(len(self._offsets)):
            if self.task(number)["id"] == task_id:
                return number
        return None
