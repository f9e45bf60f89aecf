"""The tasks of a report: what the page says of each of them, in its row and in its open part."""

from __future__ import annotations

from typing import Any, NamedTuple

from cpr_nb.display.report.entry_texts import Texts, limit_of, read_texts
from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.figures import FiguresFollower
from cpr_nb.views.lineage import LinkedTask, linked_tasks
from cpr_nb.views.nodes import node_of
from cpr_nb.views.questions import Question, questions_of
from cpr_nb.views.result_rows import reused_rows
from cpr_nb.views.stream_denials import read_denials
from cpr_nb.views.task_figures import TaskFigures
from cpr_nb.views.work_left import task_note

_TITLE_CHARS, _RESULT_CHARS, _LABEL_CHARS = 160, 140, 40
_ID_CHARS = 36  # of a generated id


class Entry(NamedTuple):
    """One task of a report.

    Args:
        num: Its number; those of reused rows follow those of the session's own tasks.
        state: Its outcome, or its state before.
        symbol: The sign of its state.
        tone: The tone of its state.
        label: What tells it from the other tasks, in a few words.
        title: The beginning of its prompt.
        result: How it ended, in a line.
        lines: How many lines it changed.
        clock: How long it took.
        usd: What it cost, as text.
        cost_usd: What it cost; None if that is unknown, or counted elsewhere.
        figures: All of its figures, in a line.
        note: What a person should know beside its outcome.
        texts: What its row opens.
        denials: The tool calls that it was denied.
        questions: What its agent asks now.
        fields: What status.json says of it.
        snapshot: The session that ran it.
        is_reused: Whether that is another session.
    """

    num: int
    state: str
    symbol: str
    tone: str
    label: str
    title: str
    result: str
    lines: str
    clock: str
    usd: str
    cost_usd: float | None
    figures: str
    note: str
    texts: Texts
    denials: list[dict[str, Any]]
    questions: list[Question]
    fields: dict[str, Any]
    snapshot: Snapshot
    is_reused: bool


def read_entries(snapshot: Snapshot, figures: FiguresFollower, *, redact: bool) -> list[Entry]:
    """Reads the tasks of a session, and the rows that it reuses.

    Args:
        snapshot: The session.
        figures: Its figures.
        redact: Whether to leave out whatever the user or an agent has written.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> from cpr_nb.views.figures import session_figures
        >>> snapshot = read_session("/none/session-1")
        >>> read_entries(snapshot, session_figures(snapshot), redact=True)
        []
    """
    reused = [row for _, row in sorted(reused_rows(snapshot).items())]
    own = linked_tasks(snapshot)
    tasks = [(task, task, False) for task in own]
    tasks += [(row.task, row.answer, True) for row in reused]
    prompts = [_prompt(task) for task, _, _ in tasks]
    labels = _labels(prompts)
    limit_bytes = limit_of(len(tasks))
    follower = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
    entries = []
    for index, ((_, answer, is_reused), prompt) in enumerate(zip(tasks, prompts, strict=True)):
        used = TaskFigures() if is_reused else figures.task(index)
        row = _row(index + 1, answer, used, follower, is_reused=is_reused)
        title, label = one_line(prompt, _TITLE_CHARS), labels[index]
        row = row._replace(title=title, label=row.label or one_line(label, _LABEL_CHARS))
        if redact:
            entries.append(_without_texts(row))
            continue
        if node := node_of(row.fields):
            row = row._replace(figures=f"{row.figures} · on {node}".removeprefix(" · "))
        is_titled = one_line(prompt, _TITLE_CHARS + 1) == row.title
        texts = read_texts(answer, "" if is_titled else prompt, row.denials, limit_bytes)
        is_answer = texts.line and row.state == states.SUCCEEDED and not (row.note or is_reused)
        entries.append(row._replace(texts=texts, result=texts.line if is_answer else row.result))
    return entries


def _prompt(task: LinkedTask) -> str:
    return str(task.spec.get("prompt") or task.fields.get("prompt", ""))


def _labels(prompts: list[str]) -> list[str]:
    """What tells prompts apart: each without the words that all of them begin and end with."""
    if len(set(prompts)) < 2:
        return prompts
    first, last = _shared_words(prompts), _shared_words([prompt[::-1] for prompt in prompts])
    shortest = min(map(len, prompts))
    if first + last >= shortest:
        last = 0
    return [
        prompt[first : len(prompt) - last] if first < shortest else prompt for prompt in prompts
    ]


def _shared_words(texts: list[str]) -> int:
    """How many characters all texts begin with, in whole words."""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    n_equal = next((index for index, (a, b) in pairs if a != b), len(first))
    return first.rfind(" ", 0, n_equal) + 1


def _row(
    num: int,
    task: LinkedTask,
    used: TaskFigures,
    follower: ActivityFollower,
    *,
    is_reused: bool,
) -> Entry:
    """The row of a task, without its texts; without a label if its id is a generated one."""
    fields, snapshot = task.fields, task.snapshot
    state, outcome = task_state(fields)
    if outcome is None and state != states.PENDING and not snapshot.is_live:
        state = states.INTERRUPTED
    questions = questions_of(fields) if snapshot.is_live else []
    state = states.ASKING if questions else state
    symbol, tone = formatting.STATE_STYLES.get(outcome or state, ("?", "warn"))
    task_id = str(fields.get("transaction_id", ""))
    is_generated = len(task_id) == _ID_CHARS and task_id.count("-") == 4
    if is_reused:
        result = f"reused from {snapshot.session_id[:8]}"
    elif questions:
        result = f"{questions[0].wants}: {questions[0].target}"
    else:
        result, _ = follower.describe(fields)
    return Entry(
        num=num,
        state=outcome or state,
        symbol=symbol,
        tone=tone,
        label="" if is_generated else one_line(task_id, _LABEL_CHARS),
        title="",
        result=one_line(result, _RESULT_CHARS),
        lines=_changed_lines(fields),
        clock=formatting.clock(task_duration_s(fields)),
        usd=used.cost_text,
        cost_usd=used.cost_usd,
        figures=_figures(fields, used),
        note=task_note(fields, snapshot.short_id),
        texts=Texts(),
        denials=read_denials(snapshot.paths.newest_stream(fields))
        if fields.get("n_denials")
        else [],
        questions=questions,
        fields=fields,
        snapshot=snapshot,
        is_reused=is_reused,
    )


def _changed_lines(fields: dict[str, Any]) -> str:
    added, deleted = integer(fields.get("lines_added")), integer(fields.get("lines_deleted"))
    return f"+{added or 0} −{deleted or 0}" if added or deleted else ""


def _figures(fields: dict[str, Any], used: TaskFigures) -> str:
    n_files = integer(fields.get("n_files_changed"))
    attempts = integer(fields.get("attempts"))
    changed = f"{_changed_lines(fields)} in {formatting.plural(n_files, 'file')}" if n_files else ""
    if fields.get("base_commit") and not n_files:
        changed = "nothing changed"
    texts = [
        f"USD {used.cost_text} estimate" if used.cost_text else "",
        formatting.unknown_costs(fields.get("n_unknown_costs")) if used != TaskFigures() else "",
        f"{used.tokens_text} tokens" if used.n_tokens else "",
        formatting.clock(task_duration_s(fields)),
        formatting.plural(attempts, "attempt") if attempts else "",
        changed,
    ]
    return " · ".join(text for text in texts if text)


def _without_texts(entry: Entry) -> Entry:
    """The entry without anything that the user or an agent may have written."""
    reason = str(entry.fields.get("reason") or "")
    result = reason if entry.state in states.FAILURES and reason in states.REASONS else ""
    denials = [{"tool_name": denial.get("tool_name")} for denial in entry.denials]
    return entry._replace(label="", title="", result=result, note="", denials=denials)
