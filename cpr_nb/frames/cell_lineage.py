"""For each answer in a table of results: what made it, in this session or in one before it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from cpr_nb.frames.columns import DataFrame, table
from cpr_nb.frames.frame_json import read_frame
from cpr_nb.frames.mapping import ANSWERS_ATTR
from cpr_nb.frames.queries import build_task_table
from cpr_nb.frames.results import build_results
from cpr_nb.frames.table_html import set_html
from cpr_nb.frames.tables import TABLES_OF_A_SESSION
from cpr_nb.store.files import read_json
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.lineage import Ids, LinkedTask
from cpr_nb.views.planned_text import input_ids
from cpr_nb.views.result_rows import result_rows

#: More sessions than this before one another are a circle that somebody has made by hand.
_MOST_STEPS = 100


def build_lineage(snapshot: Snapshot) -> DataFrame:
    """Makes the table; see `Session.lineage_df`.

    Args:
        snapshot: The session.
    """
    sessions = _Sessions(str(Path(snapshot.paths.root).parent))
    own = sessions.of(snapshot.session_id)
    rows = []
    for number, (label, task) in enumerate(zip(own.labels, own.answers, strict=True)):
        for cell in sessions.cells(own, task):
            facts = sessions.facts(cell.task)
            rows.append({"row_num": number, "row": label, **cell.place, **facts})
    return set_html(table(rows, TABLES_OF_A_SESSION["lineage_df"].columns))


class _Cell(NamedTuple):
    """An answer in the table of a session, and the task that gave it."""

    column: str
    steps_back: int
    task: LinkedTask

    @property
    def place(self) -> dict[str, Any]:
        return {"column": self.column, "steps_back": self.steps_back}


class _Session:
    """One of the sessions, read once."""

    def __init__(self, root: str) -> None:
        self.snapshot = read_session(root)
        rows = result_rows(self.snapshot)
        self.answers = [row.answer for row in rows]
        self.own_tasks = [row.task for row in rows]
        results = build_results(self.snapshot, read_frame(self.snapshot.paths.frame), flatten=False)
        self.labels = results.index.tolist()
        self.columns: list[str] = [str(name) for name in results.attrs[ANSWERS_ATTR]]
        after = read_spec(self.snapshot.paths).get("after")
        kept = after.get("kept") if isinstance(after, dict) else None
        self.kept: dict[str, str] = kept if isinstance(kept, dict) else {}

    @cached_property
    def runner(self) -> dict[str, Any]:
        return read_json(self.snapshot.paths.runner)

    @cached_property
    def tools(self) -> dict[str, list[str]]:
        """Task id → the tools that it called, in order."""
        calls, _ = build_task_table("tool_calls_df", [self.snapshot], strict=False)
        by_task: dict[str, list[str]] = {}
        for task_id, tool in zip(calls["task_id"], calls["tool"], strict=True):
            by_task.setdefault(str(task_id), []).append(str(tool))
        return by_task

    def own_task(self, ids: Ids) -> LinkedTask | None:
        """The task of its own whose answer this is; another session may have retried it."""
        pairs = zip(self.own_tasks, self.answers, strict=True)
        return next((task for task, answer in pairs if ids in (task.ids, answer.ids)), None)


class _Sessions:
    """The sessions of a results directory, each read when it is needed."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._by_id: dict[str, _Session] = {}

    def of(self, session_id: str) -> _Session:
        if session_id not in self._by_id:
            self._by_id[session_id] = _Session(f"{self._folder}/{SESSION_PREFIX}{session_id}")
        return self._by_id[session_id]

    def cells(self, session: _Session, answer: LinkedTask, steps: int = 0) -> Iterator[_Cell]:
        """The answers in a row of the table of a session: those of before, then its own."""
        own_task = session.own_task(answer.ids) or answer
        source = own_task.spec.get("input")
        if isinstance(source, dict) and session.kept and steps < _MOST_STEPS:
            yield from self._earlier(session, source, steps)
        for column in session.columns:
            yield _Cell(column, steps, answer)

    def _earlier(self, session: _Session, source: dict[str, Any], steps: int) -> Iterator[_Cell]:
        ids = str(source.get("session_id")), str(source.get("task_id"))
        first = input_ids(session.snapshot)
        if not first:
            return
        earlier = self.of(first[0])  # a map over answers has one input
        answers = {task.ids: task for task in (*earlier.own_tasks, *earlier.answers)}
        if ids not in answers:
            return
        new_names = {old: new for new, old in session.kept.items()}
        for cell in self.cells(earlier, answers[ids], steps + 1):
            if cell.column in new_names:
                yield cell._replace(column=new_names[cell.column])

    def facts(self, task: LinkedTask) -> dict[str, Any]:
        """What made an answer."""
        session_id, task_id = task.ids
        session = self.of(session_id)
        calls = session.tools.get(task_id, [])
        checkout = task.spec.get("checkout") or {}
        return {
            "session_id": session_id,
            "task_id": task_id,
            "prompt": task.spec.get("prompt"),
            "model": task.fields.get("response_model") or task.fields.get("model"),
            "claude_version": session.runner.get("claude_version"),
            "git_commit": checkout.get("base") or session.runner.get("git_commit"),
            "n_tool_calls": len(calls),
            "tools": ", ".join(dict.fromkeys(calls)) or None,
            "ended_at": task.fields.get("ended_at"),
        }
