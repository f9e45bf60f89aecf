"""The texts of a task in a report: prompt, answer, changes, denied calls; as far as they fit."""

from __future__ import annotations

import json
from html import escape
from typing import Any, NamedTuple

from cpr_nb.display import markdown
from cpr_nb.display.escaping import markup
from cpr_nb.display.report.text_limits import Beginning, beginning_of, html_bytes, read_beginning
from cpr_nb.model import states
from cpr_nb.model.activity import tool_target
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible
from cpr_nb.store.result_line import last_result
from cpr_nb.views.lineage import LinkedTask

#: The most bytes that the texts have: of all tasks together, and of one.
_ALL_BYTES, _TASK_BYTES = 600_000, 24_000
_MAX_DENIED = 5
_LINE_CHARS = 140
# Names and hashes of a patch that its next lines say again.
_PATCH_HEADS = ("diff --git ", "index ")
_RUN_BYTES = len('<span class="removed"></span>')


class Texts(NamedTuple):
    """The texts of one task.

    Args:
        prompt: Its prompt, if the title is not all of it.
        line: Its answer in a line; empty if it gave none.
        answer: Its answer, as HTML.
        structured: Its answer as an object, as JSON.
        changes: Its patch as runs of lines of one kind: kind and text.
        cut: Which of these texts are not all here.
        denied: What the first denied calls were about.
    """

    prompt: str = ""
    line: str = ""
    answer: str = ""
    structured: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    cut: str = ""
    denied: tuple[str, ...] = ()


def limit_of(n_tasks: int) -> int:
    """Returns how many bytes the texts of each task may have.

    Example:
        >>> limit_of(1), limit_of(100)
        (24000, 6000)
    """
    return min(_TASK_BYTES, _ALL_BYTES // max(1, n_tasks))


def read_texts(
    task: LinkedTask, prompt: str, denials: list[dict[str, Any]], limit_bytes: int
) -> Texts:
    """Reads the texts of a task.

    Args:
        task: The task.
        prompt: Its prompt; empty if it needs no room of its own.
        denials: The tool calls that it was denied.
        limit_bytes: The most bytes of them all together.
    """
    paths, task_id = task.snapshot.paths, str(task.fields.get("transaction_id", ""))
    value = _structured(task)
    as_json = "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    said = _answer(task, read_beginning(paths.answer(task_id), limit_bytes))
    changes, has_more = _changes(
        read_beginning(paths.patch(task_id), limit_bytes), limit_bytes // 4
    )
    parts = {
        "prompt": beginning_of(prompt, limit_bytes // 5),
        "object": beginning_of(as_json, limit_bytes // 5),
        "answer": beginning_of("" if _is_same(said, value) else said, limit_bytes // 2),
    }
    cut = [name for name, part in parts.items() if part.is_cut]
    answer, first_words = _formatted(parts["answer"], limit_bytes // 2)
    return Texts(
        prompt=parts["prompt"].text,
        line=one_line(first_words if value is None else _in_words(value), _LINE_CHARS),
        answer=answer,
        structured=parts["object"].text,
        changes=tuple(changes),
        cut=", ".join([*cut, *(["changes"] if has_more else [])]),
        denied=tuple(_denied_call(denial) for denial in denials[:_MAX_DENIED]),
    )


def _formatted(answer: Beginning, limit_bytes: int) -> tuple[Any, str]:
    """An answer as HTML, and its first words; as it is, where its formatting takes much room."""
    tree = markdown.parse(answer.text)
    html = markdown.to_html(tree)
    if len(html.encode("utf-8", "replace")) > limit_bytes + html_bytes(answer.text) // 2:
        html = f"<pre>{escape(answer.text)}</pre>"
    return markup(html), markdown.to_text(tree[:1])


def _answer(task: LinkedTask, text: str) -> str:
    """The answer without the last line of a failure, which the row says, too."""
    _, outcome = task_state(task.fields)
    before, _, last = text.strip().rpartition("\n")
    is_end = outcome != states.SUCCEEDED and last.startswith(f"[{outcome}")
    return before.strip() if is_end else text.strip()


def _structured(task: LinkedTask) -> Any:
    """The answer as an object; None if the task gave none."""
    if task.schema is None or task_state(task.fields)[1] != states.SUCCEEDED:
        return None
    stream = task.snapshot.paths.newest_stream(task.fields)
    result = last_result(stream, "structured_output")
    return None if result is None else result["structured_output"]


def _is_same(text: str, value: Any) -> bool:
    """Whether the text of an answer is its object, and nothing else."""
    try:
        return value is not None and bool(json.loads(text) == value)
    except (ValueError, RecursionError):
        return False


def _in_words(value: Any) -> str:
    """An answer that is an object, as a line."""
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return " · ".join(
        f"{name} {one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)}"
        for name, one in value.items()
    )


def _denied_call(denial: dict[str, Any]) -> str:
    """What a call was about; its tool, if nothing tells."""
    return tool_target(denial.get("tool_input")) or one_line(str(denial.get("tool_name", "")), 80)


def _changes(patch: str, limit_bytes: int) -> tuple[list[tuple[str, str]], bool]:
    """The beginning of a patch as runs of lines of one kind, and whether there is more of it."""
    runs: list[tuple[str, str]] = []
    left_bytes = limit_bytes
    for line in patch.splitlines():
        if line.startswith(_PATCH_HEADS):
            continue
        kind, shown = _kind_of(line), visible(line)
        is_same = bool(runs) and runs[-1][0] == kind
        left_bytes -= html_bytes(shown) + (1 if is_same else _RUN_BYTES)
        if left_bytes < 0:
            return runs, True
        if is_same:
            runs[-1] = kind, f"{runs[-1][1]}\n{shown}"
        else:
            runs.append((kind, shown))
    return runs, False


def _kind_of(line: str) -> str:
    """Whether a line of a patch is added, removed, or about its frame."""
    if line.startswith(("+++ ", "--- ", "@@", "new file", "deleted file", "rename ")):
        return "frame"
    return {"+": "added", "-": "removed"}.get(line[:1], "")
