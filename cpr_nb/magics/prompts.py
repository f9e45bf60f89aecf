"""Prompts in a cell: separated by lines of ``---``, or JSON; filled from the notebook."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cpr_nb.model.errors import InputError
from cpr_nb.model.inputs import Prompts, parse, slash_warnings
from cpr_nb.model.spec import check_tasks
from cpr_nb.model.templates import fill

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_IS_JSON = re.compile(r'\s*\{\s*"prompts"\s*:')
_SEPARATOR = re.compile(r"^---[ \t]*$", re.MULTILINE)


class Names(dict[str, Any]):
    """Names of the notebook → values; using a module or a function in a prompt is an error."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, ModuleType) or callable(value):
            kind = type(value).__name__
            hint = f"for the braces themselves write {{{{{name}}}}}"
            raise InputError(f"{{{name}}} is a {kind} and can't be filled in: {hint}")
        return value


def notebook_names(shell: InteractiveShell) -> Names:
    """Returns the names that the user has defined in the notebook, without IPython's."""
    hidden, missing = shell.user_ns_hidden, object()
    own = {
        name: value
        for name, value in shell.user_ns.items()
        if hidden.get(name, missing) is not value
    }
    return Names(own)


def read_cell(cell: str, form: str | None, names: Mapping[str, Any]) -> Prompts:
    r"""Reads the prompts of a cell.

    Args:
        cell: Its text.
        form: ``json``, ``jsonl``, ``csv``; None for plain prompts, or JSON that begins with
            ``{"prompts":``.
        names: What ``{name}`` in a prompt stands for.

    Returns:
        The tasks, warnings for the user, and the keywords of the launch.

    Raises:
        InputError: If a prompt can't be run, or a name is unknown.

    Example:
        >>> prompts = read_cell("Review {path}.\n---\nTest it.", None, {"path": "a.py"})
        >>> [task.prompt for task in prompts.tasks]
        ['Review a.py.', 'Test it.']
    """
    if form is None and not _IS_JSON.match(cell):
        parts = _SEPARATOR.split(cell)
        while len(parts) > 1 and not parts[-1].strip():
            parts.pop()
        labels = [f"prompt {number}" for number in range(1, len(parts) + 1)]
        filled = [
            fill(part.strip("\n"), names, label) for part, label in zip(parts, labels, strict=True)
        ]
        tasks = check_tasks(filled, "", labels)
        return Prompts(tasks, slash_warnings(tasks), {})
    parsed = parse(cell, "cell", form or "json")
    for task in parsed.tasks:
        text = fill(task.prompt, names, task.where)
        task.prompt = check_tasks([text], "", [task.where])[0].prompt
    return parsed
