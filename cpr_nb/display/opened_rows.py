"""What a row of a static card shows when opened: the answer, errors, figures, the raw text."""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.display import markdown
from cpr_nb.display.card_templates import render
from cpr_nb.display.escaping import markup
from cpr_nb.display.task_errors import error_text
from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible
from cpr_nb.store.files import open_regular
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.nodes import node_of
from cpr_nb.views.notice import PROGRAM
from cpr_nb.views.work_left import task_note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOG_BYTES = 1500


class _Answer(NamedTuple):
    """The beginning of an answer, and how many bytes it has in all."""

    text: str
    total_bytes: int


class Inside(NamedTuple):
    """What an opened row shows.

    Args:
        html: All of it, marked as HTML.
        first: The first line of the answer, without any markup; empty if there is none.
    """

    html: Any
    first: str


def inside(snapshot: Snapshot, index: int, limit_bytes: int) -> Inside:
    """Returns what the row of a task shows when it is opened.

    Args:
        snapshot: Its session.
        index: Its number in it, from 0.
        limit_bytes: How much of its answer and of its errors to show.
    """
    task = (snapshot.tasks or [])[index]
    state, outcome = task_state(task)
    answer = _Answer("", 0)
    if state == states.ENDED:
        answer = _read_answer(snapshot.paths, str(task.get("transaction_id", "")), limit_bytes)
    html, first, is_formatted = _format(answer.text)
    n_cut = answer.total_bytes - len(answer.text.encode())
    errors = ""
    if state == states.ENDED and (outcome != states.SUCCEEDED or task.get("n_denials")):
        errors = error_text(snapshot.paths, task, snapshot.short_id, _LOG_BYTES)
    command = f"{PROGRAM} results {snapshot.short_id} --task {index + 1}"
    raw = answer.text if is_formatted and not n_cut else ""
    values = {
        "answer": markup(html),
        "cut": f"… {_size(n_cut)} more: {command}" if n_cut else "",
        "is_failure": outcome in states.FAILURES,
        "errors": _middle_out(errors, limit_bytes),
        "note": task_note(task, snapshot.short_id),
        "facts": facts(task),
        "raw": raw,
        "raw_size": _size(answer.total_bytes),
    }
    return Inside(render("inside", **values), first)


def facts(task: dict[str, Any]) -> list[str]:
    """Returns the figures of a task in words: cost, tokens, duration, attempts, denials, diff.

    Args:
        task: Its fields in status.json.

    Example:
        >>> facts({"cost_usd": 0.181, "input_tokens": 64000, "attempts": 1, "state": "ended"})
        ['USD 0.18 estimate', '64k tokens', '1 attempt', 'nothing denied']
    """
    n_tokens, n_attempts = formatting.total_tokens(task), integer(task.get("attempts"))
    n_denials = integer(task.get("n_denials"))
    has_ended = task_state(task)[0] == states.ENDED
    denied = f"{n_denials} denied" if n_denials else "nothing denied" if has_ended else ""
    texts = [
        formatting.cost(task),
        f"{formatting.short_count(n_tokens)} tokens" if n_tokens else "",
        formatting.clock(task_duration_s(task)),
        formatting.plural(n_attempts, "attempt") if n_attempts else "",
        denied,
        f"on {node}" if (node := node_of(task)) else "",
        _diff(task),
    ]
    return [text for text in texts if text]


def _diff(task: dict[str, Any]) -> str:
    """Returns how much a task has changed, and the branch that holds it; empty if it had none."""
    n_added, n_deleted = integer(task.get("lines_added")), integer(task.get("lines_deleted"))
    n_files = integer(task.get("n_files_changed"))
    if not n_files:
        return ""
    lines = f"diff +{n_added or 0} −{n_deleted or 0} in {formatting.plural(n_files, 'file')}"
    branch = task.get("branch")
    return f"{lines}, on {one_line(str(branch), 100)}" if branch else lines


def _read_answer(paths: SessionPaths, task_id: str, limit_bytes: int) -> _Answer:
    """Returns the beginning of an answer, as far as it has whole lines."""
    try:
        with open_regular(paths.answer(task_id)) as file:
            data = file.read(limit_bytes)
            total_bytes = file.seek(0, 2)
    except (OSError, ValueError):  # ValueError: a foreign task's id with a NUL
        return _Answer("", 0)
    if total_bytes > len(data):
        end = data.rfind(b"\n", limit_bytes // 2)
        data = data[: end if end > 0 else limit_bytes]
    return _Answer(data.decode("utf-8", "ignore"), total_bytes)


def _format(text: str) -> tuple[str, str, bool]:
    """Returns an answer as HTML, its first line, and whether it may look unlike the text."""
    tree = markdown.parse(text)
    first = markdown.to_text(tree[:1]).strip()
    return markdown.to_html(tree), one_line(first, 120), markdown.is_formatted(tree)


def _middle_out(text: str, limit: int) -> str:
    """Returns a text; of a longer one the beginning and the end."""
    text = visible(text)
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]}\n…\n{text[-half:]}"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1000:.1f} kB" if n_bytes >= 1000 else formatting.plural(n_bytes, "byte")
