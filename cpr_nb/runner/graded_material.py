"""Adds to the prompt of a grader what it judges: the task, the answer, and what was changed."""

from __future__ import annotations

import errno
import json
import os

from cpr_nb.model.grader import with_material
from cpr_nb.store.files import read_file
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.result_line import last_result
from cpr_nb.store.task_lines import TaskLines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FIELD = "structured_output"


class GradedMaterial:
    """What the tasks of a session grade.

    Args:
        beside: The folder that the sessions lie in, seen from the working folder.
    """

    def __init__(self, beside: str = "..") -> None:
        self._beside = beside
        self._task_lines: dict[str, TaskLines] = {}

    def add(self, task_spec: dict[str, Any]) -> dict[str, Any]:
        """The object of a task whose prompt shows what it grades.

        Args:
            task_spec: Its object in session.json.

        Raises:
            OSError: If that can't be read any more.
        """
        graded = task_spec["grades"]
        session_id, task_id = graded["session_id"], graded["task_id"]
        paths = SessionPaths(f"{self._beside}/{SESSION_PREFIX}{session_id}")
        try:
            parts = list(self._parts(paths, session_id, task_id))
        except (KeyError, ValueError) as error:
            raise OSError(errno.EINVAL, "what it grades can't be read", paths.session) from error
        # Whoever wrote the answer could not know the word, so they can't end their part early.
        prompt = with_material(task_spec["prompt"], parts, os.urandom(8).hex())
        return {**task_spec, "prompt": prompt}

    def _parts(
        self, paths: SessionPaths, session_id: str, task_id: str
    ) -> Iterator[tuple[str, str]]:
        if session_id not in self._task_lines:
            self._task_lines[session_id] = TaskLines(paths.session)
        lines = self._task_lines[session_id]
        task = lines.task(task_id)
        yield "task", task["prompt"]
        yield "answer", _text(paths.answer(task_id)).removesuffix("\n")
        if "schema" in {**lines.head.get("options", {}), **task.get("options", {})}:
            yield from _structured(paths, task_id)
        try:
            yield "changes", _text(paths.patch(task_id))
        except FileNotFoundError:
            pass  # it has changed no files on a branch of its own


def _structured(paths: SessionPaths, task_id: str) -> Iterator[tuple[str, str]]:
    """The answer with a schema, if there is one; that of the newest attempt."""
    number = 1
    while os.path.exists(paths.stream(task_id, number + 1)):
        number += 1
    answer = (last_result(paths.stream(task_id, number), _FIELD) or {}).get(_FIELD)
    if answer is not None:
        yield "structured-answer", json.dumps(answer, ensure_ascii=False, indent=1)


def _text(path: str) -> str:
    return read_file(path).decode("utf-8", "replace")
