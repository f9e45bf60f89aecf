"""What a report says of the tasks that failed: why, and the end of what their logs say."""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.display.report.end_phrases import phrase_of
from cpr_nb.display.report.entries import Entry
from cpr_nb.display.report.text_limits import read_last_lines
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot
from cpr_nb.views.lineage import LinkedTask, newest_answers

_MAX_FAILURES = 20
_LOG_LINES, _LOG_BYTES = 12, 1500
_ERROR_CHARS = 600


class Failure(NamedTuple):
    """A task that failed.

    Args:
        entry: The task.
        why: Why it failed: in the words of the CLI or of cpr, or in a sentence of ours.
        later: How another session that ran it again ended it; empty if none did.
        log: The end of its log.
        figures: Its figures, and what became of its changes.
    """

    entry: Entry
    why: str
    later: str
    log: str
    figures: str


def failures(
    snapshot: Snapshot, entries: list[Entry], *, redact: bool
) -> tuple[list[Failure], int]:
    """Returns the first tasks that failed, and how many more there are.

    Args:
        snapshot: The session.
        entries: Its tasks.
        redact: Whether to leave out what an agent or a command may have written.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> failures(read_session("/none/session-1"), [], redact=False)
        ([], 0)
    """
    failed = [entry for entry in entries if entry.state in states.FAILURES]
    newest = newest_answers(snapshot) if failed else []
    shown = []
    for entry in failed[:_MAX_FAILURES]:
        later = "" if entry.is_reused else _later(entry, newest[entry.num - 1])
        shown.append(_failure(entry, later, redact=redact))
    return shown, max(0, len(failed) - _MAX_FAILURES)


def _later(entry: Entry, newest: LinkedTask) -> str:
    """How the newest retry of a task ended."""
    if newest.snapshot.session_id == entry.snapshot.session_id:
        return ""
    state, outcome = task_state(newest.fields)
    return f"Run again in session {newest.snapshot.session_id[:8]}: {outcome or state}."


def _failure(entry: Entry, later: str, *, redact: bool) -> Failure:
    reason = str(entry.fields.get("reason") or "")
    why = f"It {phrase_of(entry.state, reason)}."
    branch = entry.fields.get("branch")
    kept = ""
    if entry.lines and isinstance(branch, str) and not redact:
        kept = f" · its changes are kept on branch {one_line(branch, 120)}"
    figures = entry.figures + kept
    if redact:
        return Failure(entry, why, later, "", figures)
    error = one_line(str(entry.fields.get("error") or ""), _ERROR_CHARS)
    words = f"{error[0].upper()}{error[1:]}" if error else why
    return Failure(entry, words, later, _log(entry, reason), figures)


def _log(entry: Entry, reason: str) -> str:
    """The end of the log that says most about this failure."""
    paths, task_id = entry.snapshot.paths, str(entry.fields.get("transaction_id", ""))
    attempts = entry.fields.get("attempts")
    attempt = attempts if isinstance(attempts, int) else 1
    path = {
        "check_failed": paths.check(task_id),
        "setup_failed": paths.setup(task_id),
    }.get(reason, paths.stderr(task_id, attempt))
    return read_last_lines(path, _LOG_LINES, _LOG_BYTES)
