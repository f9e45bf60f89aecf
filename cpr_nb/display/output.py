"""The output of one task as the viewer shows it: it follows a running one, in pieces."""

from __future__ import annotations

import re

from cpr_nb.display.steps import Steps
from cpr_nb.model import states
from cpr_nb.model.denials import denial_rule, denials_of
from cpr_nb.model.events import RunFacts
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_answer
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.notice import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Message = dict[str, Any]

#: How much of a text, and how many steps, go to the browser at once.
PIECE = 40_000
STEPS = 200
_LIMIT_BYTES = 4_000_000
_TAIL_BYTES = 20_000
# What reorders text on the screen, and marks that nobody sees: shown by their code.
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c]")
_EMPTY = {
    "answer": "Nothing said yet.",
    "steps": "No steps yet.",
    "diff": "It changed nothing, or it had no worktree.",
    "prompt": "The prompt is not known.",
    "errors": "No errors.",
}


def visible(text: str) -> str:
    r"""Text as it is, without escape sequences; what can't be seen is shown by its code.

    Example:
        >>> visible("\x1b[31mred\u202e")
        'red⟨U+202E⟩'
    """
    return _HIDDEN.sub(lambda mark: f"⟨U+{ord(mark[0]):04X}⟩", strip_controls(text))


class Output:
    """What there is to see of one task.

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
        self._told: dict[str, int] = {}
        self._first = 0
        self._n_words = 0
        self._has_ended = False
        task = (snapshot.tasks or [])[index]
        self.key = str(task.get("transaction_id", ""))
        self._steps = Steps("")

    # -- looking ----------------------------------------------------------------------------

    def look(self, snapshot: Snapshot) -> Iterator[Message]:
        """What is new, as messages for the viewer.

        Args:
            snapshot: The session as it is now.
        """
        task = (snapshot.tasks or [])[self._index]
        attempt = task.get("attempts")
        attempt = attempt if isinstance(attempt, int) else 1
        is_first = attempt != self._attempt
        if is_first:
            self._attempt = attempt
            self._steps = Steps(self._paths.stream(self.key, attempt), self._cwd)
            self._n_words = -1
        fresh = self._steps.look(_LIMIT_BYTES)
        if is_first:
            self._first = max(0, len(self._steps.steps) - STEPS)
        messages: list[Message] = []
        for name, text in self._now(task).items():
            messages += self._told_of(name, visible(text))
        info = self._tabs(task)
        if info != self._info:
            self._info = info
            yield {"info": info}
        yield from messages
        told = [step.told() for step in fresh if step.number >= self._first]
        if told or is_first:
            yield {"steps": told, "first": self._first}

    def _now(self, task: dict[str, Any]) -> dict[str, str]:
        """The texts that may be others than at the last look."""
        texts = {}
        if task_state(task)[0] == states.ENDED:
            if not self._has_ended:
                self._has_ended = True
                texts["answer"] = read_answer(self._paths, self.key) or ""
                texts["diff"] = _read(self._paths.patch(self.key))
                texts["errors"] = self._errors(task)
        elif len(self._steps.words) != self._n_words:
            self._n_words = len(self._steps.words)
            texts["answer"] = "\n\n".join(self._steps.words)
        if "prompt" not in self._texts:
            texts["prompt"] = self._prompt(task)
            texts.setdefault("diff", "")
            texts.setdefault("errors", self._errors(task))
        return texts

    def _told_of(self, name: str, text: str) -> Iterator[Message]:
        """A text that is new, or has grown: a piece of it at most, the rest is asked for."""
        before, told = self._texts.get(name), self._told.get(name, 0)
        if before == text:
            return
        self._texts[name] = text
        if before is None or not text.startswith(before):
            yield self._piece(name, 0, PIECE)
        else:  # it follows only if all of it was shown
            yield self._piece(name, told, told + PIECE if told >= len(before) else told)

    def _piece(self, name: str, at: int, end: int) -> Message:
        text = self._texts[name]
        self._told[name] = end = min(len(text), end)
        return {"text": {"name": name, "text": text[at:end], "at": at, "total": len(text)}}

    # -- being asked ------------------------------------------------------------------------

    def more(self, name: str, at: int) -> Iterator[Message]:
        """The next piece of a text.

        Args:
            name: ``answer``, ``diff``, ``prompt``, ``errors``, or ``step-N-input`` and the like.
            at: From which character on.
        """
        step = re.fullmatch(r"step-(\d{1,9})-(input|result|words)", name)
        if step:
            try:
                self._texts[name] = visible(self._steps.text(int(step[1]), step[2]))
            except (IndexError, KeyError):
                return
        if name in self._texts and at >= 0:
            yield self._piece(name, at, at + PIECE)
        if step:
            self._texts.pop(name)  # it stands in the stream: not kept

    def earlier(self) -> Iterator[Message]:
        """The steps before those that were told."""
        end, self._first = self._first, max(0, self._first - STEPS)
        told = [step.told() for step in self._steps.steps[self._first : end]]
        yield {"steps": told, "first": self._first}

    # -- what stands in the tabs ------------------------------------------------------------

    def _tabs(self, task: dict[str, Any]) -> Message:
        state, _ = task_state(task)
        added, deleted = task.get("lines_added"), task.get("lines_deleted")
        changed = f"+{added or 0} −{deleted or 0}" if added or deleted else ""
        n_steps = len(self._steps.steps)
        command = f"{PROGRAM} cancel {self._short} --task {self._index + 1}"
        return {
            "cancel": "" if state == states.ENDED else command,
            "tabs": {
                "steps": str(n_steps) if n_steps else "",
                "diff": changed,
                "errors": "!" if self._texts.get("errors") else "",
            },
            "empty": _EMPTY,
        }

    def _prompt(self, task: dict[str, Any]) -> str:
        tasks = read_spec(self._paths).get("tasks")
        asked = tasks[self._index] if isinstance(tasks, list) and self._index < len(tasks) else {}
        prompt = asked.get("prompt") if isinstance(asked, dict) else None
        return str(prompt or task.get("prompt", ""))

    def _errors(self, task: dict[str, Any]) -> str:
        """What went wrong, what was denied, and what was written to stderr and by the check."""
        told = []
        _, outcome = task_state(task)
        if outcome not in (None, states.SUCCEEDED):
            why = [str(task[name]) for name in ("reason", "error") if task.get(name)]
            told.append(": ".join([str(outcome), *why]))
        if task.get("harvest_error"):
            told.append(f"what it left could not be kept: {task['harvest_error']}")
        told += self._denied(task)
        logs = {
            "stderr": self._paths.stderr(self.key, self._attempt),
            "its check": self._paths.check(self.key),
            "its set-up": self._paths.setup(self.key),
        }
        for name, path in logs.items():
            text = _read(path, _TAIL_BYTES).strip()
            if text:
                told.append(f"{name} ({path}):\n{text}")
        return "\n\n".join(told)

    def _denied(self, task: dict[str, Any]) -> list[str]:
        if not task.get("n_denials"):
            return []
        facts = RunFacts()
        for line in _lines(self._paths.stream(self.key, self._attempt)):
            if b'"permission_denials"' in line:
                facts.feed(line)
        told = []
        for denial in denials_of(facts.result):
            rule = one_line(denial_rule(denial), 200)
            told.append(f"denied: {denial.get('tool_name')}\nto allow: s.retry(allow=[{rule!r}])")
        return told


def _lines(path: str) -> Iterator[bytes]:
    try:
        with open_regular(path) as file:
            yield from file
    except (OSError, ValueError):  # ValueError: a stranger's id with a NUL
        return


def _read(path: str, tail_bytes: int | None = None) -> str:
    try:
        with open_regular(path) as file:
            if tail_bytes is not None:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - tail_bytes))
            return file.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
