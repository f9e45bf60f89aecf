"""Reads a session's spec from session.json, line by line.

A session may hold thousands of prompts of up to 10 MiB. The runner keeps where each begins in
the file, and reads a prompt when its task starts. Agents may be able to write that file, so the
runner keeps a hash of each task's line, too, and runs no line that has changed.
"""

from __future__ import annotations

import os

from cpr_nb.model import record
from cpr_nb.model.digest import sha256_for
from cpr_nb.model.numbers import Numbers
from cpr_nb.model.quick_json import loads
from cpr_nb.runner.task_state import TaskPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
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
    "light",
    "claude_args",
)


_SUM_BYTES = 32


#: The keys of session.json that give it rules (see `cpr_nb.runner.rules`).
RULE_KEYS = ("score", "grade", "grading", "stop_rule", "best_of", "pilot")


class ChangedError(Exception):
    """session.json, or a line of it, is not what was launched."""


class SessionSpec:
    """The content of session.json.

    Args:
        path: The file. It stays open, so nobody can delete it under us.
        sha256_hex: The SHA-256 of what its launcher has checked.

    Attributes:
        session: What it says about the session as a whole: everything but the tasks.
        plans: One plan per task.
        many_folders: Whether tasks run in different folders.
        groups: The group of each task if one of a group is to lead (``warm_start``), or None.
    """

    def __init__(self, path: str, sha256_hex: str) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - open for the runner's whole life
        self._sha256 = sha256_for(os.fstat(self._file.fileno()).st_size)
        self._sha256_hex = sha256_hex
        self._head_line = self._file.readline()
        self.session: dict[str, Any] = loads(self._head_line.rstrip(b",\n") + b"}")
        self._offsets = Numbers()
        self._end = 0  # of the last task's line
        self._sums = bytearray()
        self.plans: list[TaskPlan] = []
        self._plans: dict[tuple[Any, ...], TaskPlan] = {}
        self.many_folders = False
        self.groups: array[int] | None = None
        if self.session["options"].get("warm_start"):
            from array import array

            self.groups = array("I")
        self._group_numbers: dict[str, int] = {}
        self._process_groups: dict[str, int] = {}

    def read_tasks(self) -> Iterator[dict[str, Any]]:
        """Reads every task once; everything else needs that.

        Yields:
            The fields of each task's status that never change.

        Raises:
            ChangedError: At the end, if the file is not what was checked.
        """
        total = self._sha256(self._head_line)
        offset = self._file.tell()
        for line in self._file:
            total.update(line)
            if line.startswith(b"{"):
                task = loads(line.rstrip(b",\n"))
                self._offsets.append(offset)
                self._sums += self._sha256(line).digest()
                self.plans.append(self._plan(task))
                self.many_folders |= "cwd" in task.get("options", {})
                if self.groups is not None:
                    self.groups.append(self._group(task.get("options", {})))
                self._end = offset + len(line)
                yield record.launched_fields(len(self._offsets), task, self.session["options"])
            offset += len(line)
        self._head_line = b""
        if total.hexdigest() != self._sha256_hex:
            raise ChangedError("session.json was changed while the session was started")

    def _plan(self, task: dict[str, Any]) -> TaskPlan:
        """The plan of a task; tasks that are alike share one."""
        options = {**self.session["options"], **task.get("options", {})}
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
            "task_budget_usd": options.get("task_budget_usd"),
            "shares": bool(options.get("share_process")) and _may_share(task, options),
        }
        if fields["shares"]:
            fields["process_group"] = self._process_group(task)
        key = tuple(fields.values())
        if key not in self._plans:
            self._plans[key] = TaskPlan(**fields)
        return self._plans[key]

    def _process_group(self, task: dict[str, Any]) -> int:
        """The group of a task that may share a process: it can with the others in its group."""
        from cpr_nb.model.sharing import group_key  # only sessions that share need it

        return self._process_groups.setdefault(group_key(task), len(self._process_groups))

    def _group(self, own: dict[str, Any]) -> int:
        """The group of a task: its requests begin alike (same model, tools and system prompt)."""
        options = {**self.session["options"], **own}
        # In different folders too: the CLI is started with a flag that keeps them alike.
        import json  # only for ``warm_start``

        alike = json.dumps({k: v for k, v in options.items() if k in IN_THE_PREFIX}, sort_keys=True)
        return self._group_numbers.setdefault(alike, len(self._group_numbers))

    def task(self, number: int) -> dict[str, Any]:
        """The task's object, read from the file: id, prompt, options.

        Raises:
            ChangedError: If its line is not what was launched.
        """
        line = self._read_line(number)
        if not self._is_launched(number, line):
            raise ChangedError("its line in session.json is not what was launched")
        task: dict[str, Any] = loads(line.rstrip(b",\n"))
        return task

    def _read_line(self, number: int) -> bytes:
        """A task's line as it is on the disk now: a buffer could hold what it was."""
        start, is_last = self._offsets[number], number == self.n_tasks - 1
        end = self._end if is_last else self._offsets[number + 1]
        line, newline, _ = os.pread(self._file.fileno(), end - start, start).partition(b"\n")
        return line + newline

    def _is_launched(self, number: int, line: bytes) -> bool:
        """Whether the line of a task is the one that was launched."""
        start = number * _SUM_BYTES
        return bool(self._sha256(line).digest() == self._sums[start : start + _SUM_BYTES])

    @property
    def n_tasks(self) -> int:
        """How many tasks there are."""
        return len(self._offsets)


def _may_share(task: dict[str, Any], options: dict[str, Any]) -> bool:
    """Whether a process that serves several tasks may run this one."""
    from cpr_nb.model.sharing import own_process_reason  # only sessions that share need it

    return not own_process_reason(
        task["prompt"],
        options,
        has_own_env=bool(task.get("env_names")),
        follows=bool(task.get("follows")),
    )
