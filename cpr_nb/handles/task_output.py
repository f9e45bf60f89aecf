"""What the agent of a task has said and done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.task_status import TaskStatus
from cpr_nb.model import states
from cpr_nb.model.activity import Activity
from cpr_nb.model.denial_reasons import denials_of
from cpr_nb.model.denials import advise
from cpr_nb.model.events import RunFacts, parse_line, text_blocks
from cpr_nb.model.turns import subagent_mark
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import read_answer

if TYPE_CHECKING:
    from cpr_nb.display.diff import Diff
    from cpr_nb.display.patch_lines import PatchLine


class TaskOutput(TaskStatus):
    """The methods of a `Task` that read its answer and its stream."""

    @property
    def text(self) -> str:
        """The answer as text; while the task runs, what its own agent has said so far."""
        if self.state == states.ENDED or self.fields.get("answered_at"):
            answer = read_answer(self._session.paths, self.id)
            if answer is not None:
                return answer.removesuffix("\n")
        return "\n\n".join(
            "\n".join(texts)
            for event in self.events()
            if event["type"] == "assistant"
            and not subagent_mark(event)
            and (texts := text_blocks(event))
        )

    @property
    def structured(self) -> Any:
        """The answer as an object, if a schema was given and met; otherwise None."""
        result = self.facts().result
        return result.get("structured_output") if result else None

    @property
    def denials(self) -> list[dict[str, Any]]:
        """The tool calls that the permissions refused, as the CLI reports them, and what helps.

        Each has ``rules``: what ``allow=[…]`` needs to permit it (empty where no rule does);
        ``rule``, the first of them or None; ``reason``, the CLI's words; and ``warnings``, what
        else a rule allows.
        """
        return [{**d, **advise(d).fields()} for d in denials_of(self.facts().result)]

    def diff(self) -> Diff:
        """What it changed in its worktree: text, with colours in a notebook.

        Empty if it has changed nothing, has not ended, or had no worktree.
        """
        from cpr_nb.display.diff import Diff

        path = self._session.paths.patch(self.id)
        try:
            with open_regular(path) as file:
                return Diff(file.read().decode("utf-8", "replace"), path)
        except (OSError, ValueError):
            return Diff("", path)

    def patch_lines(self) -> list[PatchLine]:
        """The lines of `diff`, with their files and numbers."""
        from cpr_nb.display.patch_lines import patch_lines

        return patch_lines(self.diff().patch)

    def events(self) -> Iterator[dict[str, Any]]:
        """The events of its last attempt so far, without a torn last line."""
        for line in self._lines():
            event = parse_line(line)
            if event is not None:
                yield event

    def facts(self) -> RunFacts:
        """The figures in the stream of its last attempt."""
        facts = RunFacts()
        for line in self._lines():
            facts.feed(line)
        return facts

    def activity(self) -> Activity:
        """What its agent does now."""
        options = self._session.task_spec(self._index).get("options", {})
        activity = Activity(str(options.get("cwd") or self._session.head.get("cwd", "")))
        for event in self.events():
            activity.feed(event)
        return activity

    def _lines(self) -> Iterator[bytes]:
        try:
            with open_regular(str(self.stream_path)) as stream:
                yield from stream
        except (OSError, ValueError):  # ValueError: a stranger's id with a NUL
            return
