"""What a run still waits for once a turn has ended: background commands, subagents, a wakeup.

The CLI writes a result line at the end of a turn, and its process stays alive as long as one of
these is left. From 2.1.227 on it lists them (``background_tasks_changed``); before, only the
beginning and the end of each are in the stream.
"""

from __future__ import annotations

from cpr_nb.model.events import content_blocks
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Every line that can matter contains one of these.
MARKS = (
    b'"assistant"',
    b'"tool_result"',
    b'"result"',
    b'"init"',
    b'"background_tasks_changed"',
    b'"task_started"',
    b'"task_updated"',
    b'"task_notification"',
)
# The types of work that a model does. All else (local_bash, monitors) is a command.
_AGENTS = ("local_agent", "remote_agent", "in_process_teammate", "local_workflow")
_OVER = ("completed", "failed", "killed", "stopped")
_WAKEUP = "ScheduleWakeup"
_LABEL_CHARS, _N_LABELS = 80, 3


class BackgroundWork:
    """Follows one attempt's events.

    Attributes:
        turn_ended: Whether the last turn so far has ended with a result line.

    Example:
        >>> work = BackgroundWork()
        >>> task = {"task_id": "b1", "task_type": "local_bash", "description": "npm run dev"}
        >>> work.feed({"type": "system", "subtype": "task_started", **task})
        >>> work.feed({"type": "result", "is_error": False})
        >>> work.lingers, work.now
        (True, 'a background command still runs (npm run dev)')
    """

    __slots__ = ("_calls", "_is_listed", "_tasks", "_wakeup", "turn_ended")

    def __init__(self) -> None:
        self.turn_ended = False
        self._calls: dict[str, tuple[str, str]] = {}  # without a result: name and command
        self._tasks: dict[str, tuple[bool, str]] = {}  # whether it is an agent, and its label
        self._is_listed = False  # by the CLI, which knows best
        self._wakeup = False

    def feed(self, event: dict[str, Any]) -> None:
        """Reads one event of the stream; call it in order."""
        kind, subtype = event.get("type"), event.get("subtype")
        if kind == "result":
            self.turn_ended = True
        elif kind == "assistant":
            self.turn_ended &= event.get("parent_tool_use_id") is not None
            self._add_calls(event)
        elif kind == "user":
            self._remove_calls(event)
        elif kind == "system" and subtype == "init":
            self.turn_ended = self._wakeup = False
        elif kind == "system" and subtype == "background_tasks_changed":
            self._replace_tasks(event.get("tasks"))
        elif kind == "system" and subtype == "task_started":
            self._add_task(event)
        elif kind == "system" and subtype in ("task_updated", "task_notification"):
            patch = event.get("patch") if subtype == "task_updated" else event
            if isinstance(patch, dict) and patch.get("status") in _OVER:
                self._tasks.pop(str(event.get("task_id")), None)

    @property
    def lingers(self) -> bool:
        """Whether its turn has ended, and no model works for it any more."""
        return self.turn_ended and not any(is_agent for is_agent, _ in self._tasks.values())

    @property
    def now(self) -> str:
        """What its process waits for, in the present tense; empty if nothing is known."""
        for is_agent, (one, many) in _NOW.items():
            labels = self._labels(is_agent)
            if labels:
                n_labels = self._count(is_agent)
                return f"{one if n_labels == 1 else many.format(n_labels)} ({labels})"
        return "it waits for a wakeup" if self._wakeup else ""

    @property
    def past(self) -> str:
        """What its process waited for, in the past tense."""
        n_commands = self._count(is_agent=False)
        if n_commands:
            one, many = (
                "a background command still ran",
                f"{n_commands} background commands still ran",
            )
            return f"{one if n_commands == 1 else many}: {self._labels(is_agent=False)}"
        return "it waited for a wakeup" if self._wakeup else "its process had not ended"

    def _count(self, is_agent: bool) -> int:
        return sum(kind == is_agent for kind, _ in self._tasks.values())

    def _labels(self, is_agent: bool) -> str:
        labels = [label for kind, label in self._tasks.values() if kind == is_agent]
        return ", ".join([*labels[:_N_LABELS], "…"] if len(labels) > _N_LABELS else labels)

    def _add_calls(self, event: dict[str, Any]) -> None:
        for block in content_blocks(event):
            if block.get("type") == "tool_use":
                tool_input = block.get("input")
                command = tool_input.get("command") if isinstance(tool_input, dict) else None
                text = command if isinstance(command, str) else ""
                self._calls[str(block.get("id"))] = (str(block.get("name")), text[:_LABEL_CHARS])

    def _remove_calls(self, event: dict[str, Any]) -> None:
        for block in content_blocks(event):
            if block.get("type") == "tool_result":
                name, _ = self._calls.pop(str(block.get("tool_use_id")), ("", ""))
                self._wakeup |= name == _WAKEUP and not block.get("is_error")

    def _replace_tasks(self, tasks: object) -> None:
        self._is_listed = True
        listed = (
            [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
        )
        waited_for = [task for task in listed if not task.get("ambient")]
        self._tasks = {
            str(task.get("task_id")): self._tasks.get(str(task.get("task_id"))) or self._task(task)
            for task in waited_for
        }

    def _add_task(self, event: dict[str, Any]) -> None:
        """Adds a task, or its command to one that is listed."""
        task_id = str(event.get("task_id"))
        is_background = event.get("is_backgrounded") is not False and not event.get("ambient")
        if task_id in self._tasks or (is_background and not self._is_listed):
            self._tasks[task_id] = self._task(event)

    def _task(self, task: dict[str, Any]) -> tuple[bool, str]:
        _, command = self._calls.get(str(task.get("tool_use_id")), ("", ""))
        label = command or str(task.get("description") or "")
        return task.get("task_type") in _AGENTS, one_line(label, _LABEL_CHARS)


_NOW = {
    True: ("a subagent still works", "{} subagents still work"),
    False: ("a background command still runs", "{} background commands still run"),
}
