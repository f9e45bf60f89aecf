"""The tasks of a session, checked before anything is spent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options, unknown_option
from cpr_nb.model.random_ids import new_uuid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The most that the CLI reads from stdin; with more it exits with 1 (measured on 2.1.330).
MAX_PROMPT_BYTES = 10 * 1024 * 1024
_TASK_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class TaskSpec:
    """One task of a session's spec.

    Args:
        task_id: The user's id, or a new UUID.
        prompt: The prompt in full.
        options: The task's own options, checked.
        where: What to call it in an error, such as ``prompts[2]``.

    Attributes:
        origin: Its further fields in session.json: ``row`` (of the frame, from 0), ``factors``,
            ``parent`` (the task that it reruns), ``follows`` (the id of the conversation that it
            continues), ``follows_stream`` (the stream of that one), ``is_follow_up``, ``said``
            (the identity of a follow-up's prompt), and ``input`` (the task whose answer it is
            about).
    """

    __slots__ = ("options", "origin", "prompt", "task_id", "where")

    def __init__(self, task_id: str, prompt: str, options: dict[str, Any], where: str) -> None:
        self.task_id = task_id
        self.prompt = prompt
        self.options = options
        self.where = where
        self.origin: dict[str, Any] = {}


def check_tasks(
    prompts: Iterable[Any], source: str = "", label: Sequence[str] | None = None
) -> list[TaskSpec]:
    """Checks prompts and makes tasks from them.

    Args:
        prompts: Texts, or mappings with ``prompt`` and optionally ``id`` and a task's options.
        source: Where they come from, for errors, such as a file's name.
        label: The name of each in errors; default ``prompts[0]``, ``prompts[1]``, …

    Returns:
        The tasks, in order.

    Raises:
        InputError: It names the first element that can't be run, and why.

    Example:
        >>> [task.prompt for task in check_tasks(["fix it", {"prompt": "test it"}])]
        ['fix it', 'test it']
    """
    tasks: list[TaskSpec] = []
    seen: dict[str, str] = {}
    for index, element in enumerate(prompts):
        where = label[index] if label else f"prompts[{index}]"
        task = _task(element, f"{source}: {where}" if source else where)
        # Ids become file names, and on some file systems 'A' and 'a' are the same.
        other = seen.setdefault(task.task_id.casefold(), where)
        if other != where:
            raise InputError(f"the id {task.task_id!r} is already that of {other}", task.where)
        tasks.append(task)
    if not tasks:
        raise InputError("has no prompts", source or "prompts")
    return tasks


def _task(element: Any, where: str) -> TaskSpec:
    if isinstance(element, str):
        return TaskSpec(new_uuid(), check_prompt(element, where), {}, where)
    if not isinstance(element, Mapping):
        kind = type(element).__name__
        raise InputError(f"must be a text or an object with 'prompt', not {kind}", where)
    fields = dict(element)
    if "prompt" not in fields:
        raise InputError("has no 'prompt'", where)
    prompt = check_prompt(fields.pop("prompt"), f"{where}.prompt")
    task_id = fields.pop("id", None)
    task_id = new_uuid() if task_id is None else check_task_id(task_id, f"{where}.id")
    for name in fields:
        if not isinstance(name, str):
            raise unknown_option(str(name), where, per_task=True)
    return TaskSpec(task_id, prompt, check_options(fields, where, per_task=True), where)


def check_task_id(task_id: Any, where: str) -> str:
    """Checks a task's id, which becomes part of file names.

    Raises:
        InputError: If it could leave the session's folder, or can't name a branch.

    Example:
        >>> check_task_id("docs-1", "prompts[0].id")
        'docs-1'
    """
    if not isinstance(task_id, str):
        raise InputError(f"must be a text, not {type(task_id).__name__}", where)
    bad_end = task_id.endswith((".", ".lock"))
    if not re.fullmatch(_TASK_ID, task_id) or ".." in task_id or bad_end:
        shown = ascii(task_id[:60])
        raise InputError(
            f"{shown} can't be an id: up to 128 letters, digits, '.', '_' and '-', beginning "
            "with a letter or digit, without '..', not ending in '.' or '.lock'",
            where,
        )
    return task_id


def check_prompt(prompt: Any, where: str) -> str:
    """Checks a prompt: a text that the CLI accepts.

    Raises:
        InputError: It says what is wrong.

    Example:
        >>> check_prompt("fix it", "prompts[0]")
        'fix it'
    """
    if not isinstance(prompt, str):
        raise InputError(f"must be a text, not {type(prompt).__name__}", where)
    if not prompt.strip():
        raise InputError("is empty", where)
    if "\0" in prompt:
        raise InputError(f"has a NUL character at {prompt.index(chr(0))}", where)
    try:
        size_bytes = len(prompt.encode())
    except UnicodeEncodeError as error:
        raise InputError(f"is not valid Unicode at character {error.start}", where) from None
    if size_bytes > MAX_PROMPT_BYTES:
        raise InputError(
            f"has {size_bytes} bytes; the CLI takes at most {MAX_PROMPT_BYTES} (10 MiB): "
            "put the text into a file and name the file in the prompt",
            where,
        )
    return prompt
