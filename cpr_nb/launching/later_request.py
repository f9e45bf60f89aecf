"""What a planned session is asked to do, as session.json keeps it until its inputs have ended."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from cpr_nb.model.errors import InputError
from cpr_nb.model.random_ids import is_uuid
from cpr_nb.model.spec import TaskSpec
from cpr_nb.store.layout import SESSION_PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SessionInput:
    """A session that another one waits for, and those of its rows that the other is about.

    Args:
        root: Its folder.
        condition: An expression over the columns of its table of results; None: the rows that
            succeeded.
        task_ids: Only the rows of these tasks; None: of all.

    Example:
        >>> SessionInput("/r/session-1", "score < 3")
        <rows of session 1: where 'score < 3'>
    """

    __slots__ = ("condition", "root", "task_ids")

    def __init__(
        self, root: str, condition: str | None = None, task_ids: Iterable[str] | None = None
    ) -> None:
        self.root = root
        self.condition = condition
        self.task_ids = None if task_ids is None else list(task_ids)

    def __repr__(self) -> str:
        return f"<rows of session {self.session_id[:8]}: {self._words()}>"

    def _words(self) -> str:
        if self.condition is not None:
            return f"where {self.condition!r}"
        return "those that succeeded" + ("" if self.task_ids is None else ", of some tasks")

    @property
    def session_id(self) -> str:
        """The id of the session."""
        return os.path.basename(self.root).removeprefix(SESSION_PREFIX)

    def as_json(self) -> dict[str, Any]:
        """Its fields; the folder is that of the results directory in which the other one is."""
        fields = {"where": self.condition, "tasks": self.task_ids}
        shown = {name: value for name, value in fields.items() if value is not None}
        return {"session_id": self.session_id, **shown}


def read_inputs(after: Any) -> list[SessionInput]:
    """Reads the keyword ``after``.

    Args:
        after: A session, a task of one, ``s.where(…)``, or a list of them.

    Returns:
        One entry per session.

    Raises:
        InputError: If it is something else.
    """
    parts = [after] if hasattr(after, "as_input") or isinstance(after, SessionInput) else after
    if isinstance(parts, str | bytes | Mapping) or not isinstance(parts, Iterable):
        raise _no_input(after)
    inputs: dict[str, SessionInput] = {}
    for part in parts:
        one = part if isinstance(part, SessionInput) else _as_input(part)
        known = inputs.setdefault(one.root, one)
        if known is one:
            continue
        if known.task_ids is None or one.task_ids is None:
            raise InputError(f"names the session {one.session_id[:8]} twice", "after")
        known.task_ids += one.task_ids
    if not inputs:
        raise InputError("names no session", "after")
    folders = {os.path.dirname(one.root) for one in inputs.values()}
    if len(folders) > 1:
        raise InputError(
            f"names sessions of several results directories: {', '.join(sorted(folders))}", "after"
        )
    return list(inputs.values())


def _as_input(part: Any) -> SessionInput:
    if not hasattr(part, "as_input"):
        raise _no_input(part)
    one: SessionInput = part.as_input()
    return one


def _no_input(value: Any) -> InputError:
    return InputError(
        "must be a session, tasks of one, or s.where('ok and score < 3') for some of its rows, "
        f"not {type(value).__name__}",
        "after",
    )


class LaterRequest:
    """What a planned session is asked to do.

    Args:
        inputs: The sessions that it waits for.
        template: The prompt with ``{column}`` placeholders; None if its tasks are known already.
        columns: Option → the column of the rows that it is taken from.
        factors: The combinations of its factors; each row runs once for each.
        tasks: Its tasks, if they are known already.
        study: Further keywords, such as ``stop_when``.
        reuse: Whether rows that have an answer already need not run.

    Example:
        >>> first = SessionInput("/r/session-58f2a8e6-135c-4d34-8ae6-f30afe254fb0")
        >>> request = LaterRequest([first], "Fix {path}")
        >>> LaterRequest.from_json(request.as_json(), "/r").template
        'Fix {path}'
    """

    __slots__ = ("columns", "factors", "inputs", "reuse", "study", "tasks", "template")

    def __init__(
        self,
        inputs: list[SessionInput],
        template: str | None,
        columns: Mapping[str, str] | None = None,
        factors: list[dict[str, Any]] | None = None,
        tasks: list[TaskSpec] | None = None,
        study: Mapping[str, Any] | None = None,
        *,
        reuse: bool = False,
    ) -> None:
        self.reuse = reuse
        self.inputs = inputs
        self.template = template
        self.columns = dict(columns or {})
        self.factors = factors or [{}]
        self.tasks = tasks
        self.study = dict(study or {})

    def as_json(self) -> dict[str, Any]:
        """Its fields, as session.json keeps them."""
        tasks = None if self.tasks is None else [_task_fields(task) for task in self.tasks]
        return {
            "inputs": [one.as_json() for one in self.inputs],
            "template": self.template,
            "columns": self.columns,
            "factors": self.factors,
            "tasks": tasks,
            "study": self.study,
            "reuse": self.reuse,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], results_dir: str) -> LaterRequest:
        """Reads what `as_json` has returned.

        Args:
            fields: The fields, from a session.json that was checked.
            results_dir: The folder in which the sessions are.

        Raises:
            InputError: If they are something else.
        """
        try:
            inputs = [
                SessionInput(
                    f"{results_dir}/{SESSION_PREFIX}{_checked_id(one['session_id'])}",
                    one.get("where"),
                    one.get("tasks"),
                )
                for one in fields["inputs"]
            ]
            tasks = fields["tasks"]
            return cls(
                inputs,
                fields["template"],
                fields["columns"],
                fields["factors"],
                None if tasks is None else [_read_task(task) for task in tasks],
                fields["study"],
                reuse=fields["reuse"] is True,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            words = f"is not what a launch writes: {type(error).__name__}: {error}"
            raise InputError(words, "session.json: after") from None


def _checked_id(session_id: str) -> str:
    """The id of a session; it becomes part of a path."""
    if not is_uuid(session_id):
        raise ValueError(f"{session_id!r} is no session's id")
    return session_id


def _task_fields(task: TaskSpec) -> dict[str, Any]:
    return {
        "id": task.task_id,
        "prompt": task.prompt,
        "options": task.options,
        "where": task.where,
        "origin": task.origin,
    }


def _read_task(fields: Mapping[str, Any]) -> TaskSpec:
    task = TaskSpec(fields["id"], fields["prompt"], dict(fields["options"]), fields["where"])
    task.origin.update(fields["origin"])
    return task
