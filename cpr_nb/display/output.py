"""The output of one task as the viewer shows it, in pieces; it follows a running task."""

from __future__ import annotations

import re

from cpr_nb.display import markdown
from cpr_nb.display.steps import StepFollower
from cpr_nb.display.task_errors import error_text, read_text
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import visible
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.notice import PROGRAM
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Message = dict[str, Any]

#: How many characters of a text, and how many steps, go to the browser at once.
PIECE = 40_000
STEPS = 200
_LIMIT_BYTES = 4_000_000
_EMPTY_TEXTS = {
    "answer": "No answer yet.",
    "steps": "No steps yet.",
    "diff": "No changes, or the task had no worktree.",
    "prompt": "The prompt is unknown.",
    "errors": "No errors.",
}


class OutputFollower:
    """The texts and steps of one task, as messages for the viewer.

    Args:
        snapshot: The session.
        index: The task's number, from 0.
        short: The session's id as a person types it.
    """

    def __init__(self, snapshot: Snapshot, index: int, short: str) -> None:
        self._paths: SessionPaths = snapshot.paths
        self._index = index
        self._short = short
        self._cwd = str(snapshot.head.get("cwd", ""))
        self._attempt = 0
        self._info: Message = {}
        self._texts: dict[str, str] = {}
        self._n_sent: dict[str, int] = {}
        self._first = 0
        self._n_agent_texts = 0
        self._has_ended = False
        task = (snapshot.tasks or [])[index]
        self.key = str(task.get("transaction_id", ""))
        self._steps = StepFollower("")

    # -- following the task -----------------------------------------------------------------

    def poll(self, snapshot: Snapshot) -> Iterator[Message]:
        """Yields what is new, as messages for the viewer.

        Args:
            snapshot: The session as it is now.
        """
        task = (snapshot.tasks or [])[self._index]
        is_new_attempt = self._follow_newest(task)
        fresh = self._steps.poll(_LIMIT_BYTES)
        if is_new_attempt:
            self._first = max(0, len(self._steps.steps) - STEPS)
        messages: list[Message] = []
        for name, text in self._changed_texts(task).items():
            messages += self._text_messages(name, visible(text))
        info = self._build_info(task)
        if info != self._info:
            self._info = info
            yield {"info": info}
        yield from messages
        steps = [step.to_message() for step in fresh if step.number >= self._first]
        if steps or is_new_attempt:
            yield {"steps": steps, "first": self._first}

    def _follow_newest(self, task: dict[str, Any]) -> bool:
        """Follows the task's newest attempt; returns whether it is another one than before."""
        attempts = task.get("attempts")
        attempt = attempts if isinstance(attempts, int) else 1
        if attempt == self._attempt:
            return False
        self._attempt = attempt
        self._steps = StepFollower(self._paths.newest_stream(task), self._cwd)
        self._n_agent_texts = -1
        return True

    def _changed_texts(self, task: dict[str, Any]) -> dict[str, str]:
        """Returns the texts that may have changed since the last poll."""
        texts = {}
        if task_state(task)[0] == states.ENDED:
            if not self._has_ended:
                self._has_ended = True
                texts["answer"] = read_answer(self._paths, self.key) or ""
                texts["diff"] = read_text(self._paths.patch(self.key))
                texts["errors"] = error_text(self._paths, task, self._short)
        elif len(self._steps.texts) != self._n_agent_texts:
            self._n_agent_texts = len(self._steps.texts)
            texts["answer"] = "\n\n".join(self._steps.texts)
        if "prompt" not in self._texts:
            texts["prompt"] = self._prompt(task)
            texts.setdefault("diff", "")
            texts.setdefault("errors", error_text(self._paths, task, self._short))
        return texts

    def _text_messages(self, name: str, text: str) -> Iterator[Message]:
        """Yields one piece at most of a text that is new or has grown; the rest on request."""
        before, n_sent = self._texts.get(name), self._n_sent.get(name, 0)
        if before == text:
            return
        self._texts[name] = text
        if before is None or not text.startswith(before):
            yield self._piece(name, 0, PIECE)
        else:  # it follows only if all of it was shown
            yield self._piece(name, n_sent, n_sent + PIECE if n_sent >= len(before) else n_sent)

    def _piece(self, name: str, start: int, end: int) -> Message:
        text = self._texts[name]
        self._n_sent[name] = end = min(len(text), end)
        piece: Message = {"name": name, "text": text[start:end], "offset": start}
        piece["total"] = len(text)
        if name == "answer" and end == len(text) <= PIECE:
            piece["tree"] = markdown.parse(text)
        return {"text": piece}

    # -- requests of the viewer -------------------------------------------------------------

    def next_piece(self, name: str, offset: int) -> Iterator[Message]:
        """Yields the next piece of a text.

        Args:
            name: ``answer``, ``diff``, ``prompt``, ``errors``, or a step's part such as
                ``step-3-input``.
            offset: The character that the piece begins with.
        """
        part = re.fullmatch(r"step-(\d{1,9})-(input|result|text)", name)
        if part:
            try:
                self._texts[name] = visible(self._steps.read_part(int(part[1]), part[2]))
            except (IndexError, KeyError):
                return
        if name in self._texts and offset >= 0:
            yield self._piece(name, offset, offset + PIECE)
        if part:
            self._texts.pop(name)  # it is in the stream: not kept

    def earlier_steps(self) -> Iterator[Message]:
        """Yields the steps before those that were sent."""
        end, self._first = self._first, max(0, self._first - STEPS)
        steps = [step.to_message() for step in self._steps.steps[self._first : end]]
        yield {"steps": steps, "first": self._first}

    # -- what the tabs show -----------------------------------------------------------------

    def _build_info(self, task: dict[str, Any]) -> Message:
        state, _ = task_state(task)
        n_added, n_deleted = task.get("lines_added"), task.get("lines_deleted")
        n_steps = len(self._steps.steps)
        command = f"{PROGRAM} cancel {self._short} --task {self._index + 1}"
        return {
            "cancel": "" if state == states.ENDED else command,
            "note": task_note(task, self._short),
            "tabs": {
                "steps": str(n_steps) if n_steps else "",
                "diff": f"+{n_added or 0} −{n_deleted or 0}" if n_added or n_deleted else "",
                "errors": "!" if self._texts.get("errors") else "",
            },
            "empty": _EMPTY_TEXTS,
        }

    def _prompt(self, task: dict[str, Any]) -> str:
        tasks = read_spec(self._paths).get("tasks")
        spec = tasks[self._index] if isinstance(tasks, list) and self._index < len(tasks) else {}
        prompt = spec.get("prompt") if isinstance(spec, dict) else None
        return str(prompt or task.get("prompt", ""))
