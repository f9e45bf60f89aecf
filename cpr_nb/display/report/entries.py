"""The tasks of a report: what the page says of each of them, in its row and in its open part."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from cpr_nb.display.report.text_limits import beginning_of, read_beginning
from cpr_nb.model import states
from cpr_nb.model.activity import tool_target
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.store.result_line import last_result
from cpr_nb.views import formatting
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.lineage import LinkedTask, linked_tasks
from cpr_nb.views.result_rows import reused_rows
from cpr_nb.views.stream_denials import read_denials
from cpr_nb.views.work_left import task_note

#: The most bytes that prompts, answers and changes have: of all tasks together, and of one.
_TEXT_BYTES = 600_000
_TASK_TEXT_BYTES = 24_000
_TITLE_CHARS, _RESULT_CHARS, _LABEL_CHARS = 160, 140, 40
_MAX_DENIED = 5
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
        usd: What it cost.
        figures: All of its figures, in a line.
        note: What a person should know beside its outcome.
        prompt: Its prompt, if the title is not all of it.
        answer: Its answer.
        structured: Its answer as an object, as JSON.
        changes: Its patch, line by line: tone and text.
        cut: What of these texts is not all here.
        denials: The tool calls that it was denied.
        denied: What the first of them were about.
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
    figures: str
    note: str
    prompt: str
    answer: str
    structured: str
    changes: list[tuple[str, str]]
    cut: str
    denials: list[dict[str, Any]]
    denied: list[str]
    fields: dict[str, Any]
    snapshot: Snapshot
    is_reused: bool


def read_entries(snapshot: Snapshot, *, redact: bool) -> list[Entry]:
    """Reads the tasks of a session, and the rows that it reuses.

    Args:
        snapshot: The session.
        redact: Whether to leave out whatever the user or an agent has written.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> read_entries(Snapshot(SessionPaths("/no/session-1"), {}, [], "error"), redact=True)
        []
    """
    reused = [row for _, row in sorted(reused_rows(snapshot).items())]
    own = linked_tasks(snapshot)
    tasks = [(task, task, False) for task in own]
    tasks += [(row.task, row.answer, True) for row in reused]
    prompts = [_prompt(task) for task, _, _ in tasks]
    labels = _labels(prompts)
    limit = min(_TASK_TEXT_BYTES, _TEXT_BYTES // max(1, len(tasks)))
    follower = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
    entries = []
    for index, ((_, answer, is_reused), prompt) in enumerate(zip(tasks, prompts, strict=True)):
        names = (prompt, labels[index])
        row = _row(index + 1, answer, names, follower, is_reused=is_reused)
        if redact:
            entries.append(_without_texts(row))
        else:
            has_schema = answer.schema is not None
            entries.append(_with_texts(row, prompt, limit, has_schema=has_schema))
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
    names: tuple[str, str],
    follower: ActivityFollower,
    *,
    is_reused: bool,
) -> Entry:
    """The row of a task, without its texts; ``names`` are its prompt and its label."""
    prompt, label = names
    fields, snapshot = task.fields, task.snapshot
    state, outcome = task_state(fields)
    if outcome is None and state != states.PENDING and not snapshot.is_live:
        state = states.INTERRUPTED
    symbol, tone = formatting.STATE_STYLES.get(outcome or state, ("?", "warn"))
    task_id = str(fields.get("transaction_id", ""))
    is_generated = len(task_id) == _ID_CHARS and task_id.count("-") == 4
    usd = None if is_reused else number(fields.get("cost_usd"))
    result = f"reused from {snapshot.session_id[:8]}" if is_reused else follower.describe(fields)[0]
    return Entry(
        num=num,
        state=outcome or state,
        symbol=symbol,
        tone=tone,
        label=one_line(label if is_generated else task_id, _LABEL_CHARS),
        title=one_line(prompt, _TITLE_CHARS),
        result=one_line(result, _RESULT_CHARS),
        lines=_changed_lines(fields),
        clock=formatting.clock(task_duration_s(fields)),
        usd="" if usd is None else f"{usd:.{4 if 0 < usd < 0.005 else 2}f}",
        figures=_figures(fields, is_reused=is_reused),
        note=task_note(fields, snapshot.short_id),
        prompt="",
        answer="",
        structured="",
        changes=[],
        cut="",
        denials=read_denials(snapshot.paths.newest_stream(fields))
        if fields.get("n_denials")
        else [],
        denied=[],
        fields=fields,
        snapshot=snapshot,
        is_reused=is_reused,
    )


def _changed_lines(fields: dict[str, Any]) -> str:
    added, deleted = integer(fields.get("lines_added")), integer(fields.get("lines_deleted"))
    return f"+{added or 0} −{deleted or 0}" if added or deleted else ""


def _figures(fields: dict[str, Any], *, is_reused: bool) -> str:
    n_tokens, n_files = formatting.total_tokens(fields), integer(fields.get("n_files_changed"))
    attempts = integer(fields.get("attempts"))
    changed = f"{_changed_lines(fields)} in {formatting.plural(n_files, 'file')}" if n_files else ""
    if fields.get("base_commit") and not n_files:
        changed = "nothing changed"
    texts = [
        "" if is_reused else formatting.cost(fields),
        f"{formatting.short_count(n_tokens)} tokens" if n_tokens else "",
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


def _with_texts(entry: Entry, prompt: str, limit: int, *, has_schema: bool) -> Entry:
    """The entry with its prompt, answer and changes, as far as they fit."""
    paths, task_id = entry.snapshot.paths, str(entry.fields.get("transaction_id", ""))
    in_full = beginning_of("" if one_line(prompt, limit) == entry.title else prompt, limit // 5)
    value = _structured(entry) if has_schema else None
    text = "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    structured = beginning_of(text, limit // 5)
    answer = beginning_of(_answer(entry, read_beginning(paths.answer(task_id), limit)), limit // 2)
    patch = beginning_of(read_beginning(paths.patch(task_id), limit), limit // 4)
    cut = [
        name
        for name, text in (
            ("prompt", in_full),
            ("answer", structured),
            ("answer", answer),
            ("changes", patch),
        )
        if text.is_cut
    ]
    return entry._replace(
        prompt=in_full.text,
        answer=answer.text,
        structured=structured.text,
        result=entry.result if value is None else one_line(_in_words(value), _RESULT_CHARS),
        changes=[
            (_change_tone(line), line)
            for line in patch.text.splitlines()
            if not line.startswith(
                ("diff --git ", "index ")
            )  # names and hashes: the next lines say it
        ],
        cut=" and ".join(dict.fromkeys(cut)),
        denied=[_denied_call(denial) for denial in entry.denials[:_MAX_DENIED]],
    )


def _answer(entry: Entry, text: str) -> str:
    """The answer without the last line of a failure, which the row says, too."""
    before, _, last = text.strip().rpartition("\n")
    is_end = entry.state != states.SUCCEEDED and last.startswith(f"[{entry.state}")
    return before.strip() if is_end else text.strip()


def _structured(entry: Entry) -> Any:
    """The answer as an object; None if the task gave none."""
    if entry.state != states.SUCCEEDED:
        return None
    result = last_result(entry.snapshot.paths.newest_stream(entry.fields), "structured_output")
    return None if result is None else result["structured_output"]


def _in_words(value: Any) -> str:
    """An answer that is an object, as the line of its row."""
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    parts = []
    for name, one in value.items():
        parts.append(f"{name} {one if isinstance(one, str) else json.dumps(one)}")
    return " · ".join(parts)


def _denied_call(denial: dict[str, Any]) -> str:
    """What a call was about; its tool, if nothing tells."""
    return tool_target(denial.get("tool_input")) or one_line(str(denial.get("tool_name", "")), 80)


def _change_tone(line: str) -> str:
    """The tone of a line of a patch: added, removed, or of its frame."""
    if line.startswith(("+++ ", "--- ", "@@", "diff ", "index ", "new file", "deleted file")):
        return "frame"
    return {"+": "added", "-": "removed"}.get(line[:1], "")
