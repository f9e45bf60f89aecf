"""Prompts from the text of a file: ``.json``, ``.jsonl`` and ``.csv``."""

from __future__ import annotations

import json
from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import parse_text, unknown_option
from cpr_nb.model.options import OPTIONS
from cpr_nb.model.spec import MAX_PROMPT_BYTES, TaskSpec, check_tasks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


#: What a file may have beside its prompts: keywords of the launch as a whole.
KEYWORDS = (
    *("after", "vary", "repeats"),
    *("score", "grade", "grade_model", "best_of", "at_once", "full_mark", "pilot", "pilot_by"),
    *("stop_when", "alpha", "baseline", "delta", "metric", "over"),
)


class Prompts(NamedTuple):
    """What a file asks for.

    Args:
        tasks: Its prompts.
        warnings: What the user should know.
        keywords: Keywords of the launch as a whole, such as ``best_of``; not checked.
    """

    tasks: list[TaskSpec]
    warnings: list[str]
    keywords: dict[str, Any]


def parse(text: str, source: str, form: str = "json") -> Prompts:
    """Reads prompts from text.

    Args:
        text: The text of the file.
        source: Its name, for errors.
        form: ``json``, ``jsonl`` or ``csv``.

    Returns:
        The tasks, warnings for the user, and the keywords of the launch.

    Raises:
        InputError: It names the element and the line.

    Example:
        >>> prompts = parse('{"prompts": ["fix it"], "best_of": 3}', "prompts.json")
        >>> prompts.tasks[0].prompt, prompts.keywords
        ('fix it', {'best_of': 3})
    """
    if not text.strip():
        raise InputError("is empty", source)
    readers = {"json": _json, "jsonl": _jsonl, "csv": _csv}
    prompts: Prompts = readers[form](text, source)
    return prompts._replace(warnings=[*prompts.warnings, *slash_warnings(prompts.tasks)])


def slash_warnings(tasks: list[TaskSpec]) -> list[str]:
    """Warnings of prompts that the CLI would run as slash commands."""
    return [
        f"{task.where}: begins with '/', so the CLI runs it as a slash command; "
        "if no model answers, the task has failed (no_answer)"
        for task in tasks
        if task.prompt.startswith("/")
    ]


def _loads(text: str, source: str, line_offset: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno + line_offset}, column {error.colno}"
        raise InputError(f"is not JSON: {error.msg} at {position}", source) from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"is not JSON that can be read: {error}", source) from None


def _json(text: str, source: str) -> Prompts:
    data = _loads(text, source)
    if not isinstance(data, dict) or "prompts" not in data:
        raise InputError('must be an object with "prompts": {"prompts": ["…", "…"]}', source)
    prompts = data["prompts"]
    if not isinstance(prompts, list):
        kind = type(prompts).__name__
        raise InputError(f'"prompts" must be a list, not {kind}', source)
    for name in states.NOTICES:
        if name in data:
            raise InputError(
                "is not allowed in a prompts file: it runs a command, or tells somebody outside of "
                "your work; set it on the command line",
                f"{source}: {name}",
            )
    for key in data:
        _refuse_misspelt(key, source)
    others = [repr(key) for key in data if key not in ("prompts", *KEYWORDS)]
    ignored = (
        f"{source}: ignored: {', '.join(others)}; options of the session go on the command line"
    )
    keywords = {name: data[name] for name in KEYWORDS if name in data}
    return Prompts(check_tasks(prompts, source), [ignored] if others else [], keywords)


def _refuse_misspelt(key: str, source: str) -> None:
    """Refuses what was meant to be a keyword: ignored, all would run that it was to limit."""
    import difflib  # only here, and it takes a while

    near = difflib.get_close_matches(key.lower().replace("-", "_"), KEYWORDS, n=1, cutoff=0.85)
    if near and key not in KEYWORDS:
        raise InputError(f"unknown key {key!r}; did you mean {near[0]}?", source)


def _jsonl(text: str, source: str) -> Prompts:
    # Not splitlines(): a JSON text may hold U+2028 and the like as they are.
    numbered = [(n, line) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    elements = [_loads(line, source, n - 1) for n, line in numbered]
    return Prompts(check_tasks(elements, source, [f"line {n}" for n, _ in numbered]), [], {})


def _csv(text: str, source: str) -> Prompts:
    import csv  # only for such a file
    import io

    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    elements: list[dict[str, Any]] = []
    labels: list[str] = []
    usual_limit = csv.field_size_limit(MAX_PROMPT_BYTES + 1)  # the default is 128 KiB per cell
    try:
        columns = reader.fieldnames or []
        _check_columns(columns, source)
        line = reader.reader.line_num + 1
        for row in reader:
            labels.append(f"line {line}")
            line = reader.reader.line_num + 1
            elements.append(_row(row, f"{source}: {labels[-1]}"))
    except csv.Error as error:
        raise InputError(f"is not CSV: {error} at line {reader.reader.line_num}", source) from None
    finally:
        csv.field_size_limit(usual_limit)
    return Prompts(check_tasks(elements, source, labels), [], {})


def _check_columns(columns: Any, source: str) -> None:
    if "prompt" not in columns:
        raise InputError(f"has no column 'prompt', only {', '.join(columns)}", source)
    for column in columns:
        if column not in ("prompt", "id") and column not in OPTIONS:
            raise unknown_option(column, f"{source}: line 1", per_task=True)
    if len(set(columns)) != len(columns):
        raise InputError("has the same column twice", f"{source}: line 1")


def _row(row: dict[Any, Any], where: str) -> dict[str, Any]:
    if None in row or None in row.values():
        raise InputError("does not have as many cells as the first line", where)
    element: dict[str, Any] = {"prompt": row["prompt"]}
    for column, cell in row.items():
        if column == "id" and cell:
            element["id"] = cell
        elif column in OPTIONS and cell:
            element[column] = parse_text(OPTIONS[column], cell, f"{where}.{column}")
    return element
