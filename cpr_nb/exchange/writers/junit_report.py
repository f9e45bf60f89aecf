"""Writes JUnit XML, which every CI server reads: a test case a task."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from cpr_nb.exchange.writers.ci_results import ERROR, FAILED, PASSED, PENDING, SKIPPED, ci_result
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.exchange.session_record import SessionRecord, TaskRecord
    from cpr_nb.exchange.writers.ci_results import CiResult

_ELEMENTS = {FAILED: "failure", ERROR: "error", SKIPPED: "skipped", PENDING: "skipped"}
# What XML 1.0 can't contain, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(record: SessionRecord, path: str, *, with_content: bool) -> None:
    """Writes a session as JUnit XML.

    Args:
        record: The session.
        path: The file.
        with_content: Not used: it has the answers, unless they are redacted.

    Example:
        >>> import os
        >>> from cpr_nb.exchange.session_record import SessionRecord
        >>> from cpr_nb.store.read import read_session
        >>> record = SessionRecord(read_session("/none/session-1"))
        >>> write(record, os.devnull, with_content=False)
    """
    del with_content
    counts: Counter[str] = Counter()
    durations_s: list[float | None] = []
    for task in record.tasks():
        result = ci_result(task)
        counts[result.result] += 1
        durations_s.append(result.duration_s)
    known_s = [duration_s for duration_s in durations_s if duration_s is not None]
    total_s = sum(known_s) if len(known_s) == len(durations_s) else None
    with Path(path).open("w", encoding="utf-8") as file:
        for part in _parts(record, counts, total_s):
            file.write(part + "\n")


def _parts(record: SessionRecord, counts: Counter[str], total_s: float | None) -> Iterator[str]:
    name = record.name or record.id
    figures = {
        "tests": counts.total(),
        "failures": counts[FAILED],
        "errors": counts[ERROR],
        "skipped": counts[SKIPPED] + counts[PENDING],
        **_time(total_s),
    }
    suite = {"name": name, **figures}
    if record.created_at_s is not None:
        # The schema wants a time without a zone; it is in UTC.
        suite["timestamp"] = utc_iso(record.created_at_s).partition(".")[0]
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    all_suites = {key: value for key, value in figures.items() if key != "skipped"}
    yield f"<testsuites{_attributes({'name': 'cpr', **all_suites})}>"
    yield f"<testsuite{_attributes(suite)}>"
    yield "<properties>"
    yield _property("cpr.session_id", record.id)
    yield _property("cpr.state", record.state)
    for key, value in (("claude_version", record.cli_version), ("git_commit", record.git_commit)):
        if value:
            yield _property(f"cpr.{key}", value)
    yield "</properties>"
    for task in record.tasks():
        yield from _case(name, task, ci_result(task))
    yield "</testsuite>"
    yield "</testsuites>"


def _case(suite: str, task: TaskRecord, result: CiResult) -> Iterator[str]:
    attributes = {"classname": suite, "name": task.id, **_time(result.duration_s)}
    yield f"<testcase{_attributes(attributes)}>"
    figures = {
        "reason": task.reason,
        "model": task.model,
        "cost_usd": None if task.cost_usd is None else round(task.cost_usd, 6),
        "attempts": result.n_retries + 1 if task.started_at_s is not None else None,
        "score": task.score,
        **task.tokens,
    }
    if result.result != PASSED:
        element = _ELEMENTS[result.result]
        message = _attributes({"message": result.message})
        if element == "skipped":
            yield f"<skipped{message}/>"
        else:
            kind = _attributes({"type": task.reason or str(task.outcome)})
            yield f"<{element}{message}{kind}>{_text(result.message)}</{element}>"
    # The schema allows no properties here, and some servers obey it.
    lines = [f"{key}: {value}" for key, value in figures.items() if value is not None]
    if task.answer:
        lines += ["", task.answer]
    yield f"<system-out>{_text(chr(10).join(lines))}</system-out>"
    yield "</testcase>"


def _time(duration_s: float | None) -> dict[str, str]:
    return {} if duration_s is None else {"time": f"{duration_s:.3f}"}


def _property(name: str, value: object) -> str:
    return f"<property{_attributes({'name': name, 'value': value})}/>"


def _attributes(values: dict[str, Any]) -> str:
    return "".join(f" {name}={quoteattr(_legal(str(value)))}" for name, value in values.items())


def _text(text: str) -> str:
    return escape(_legal(text))


def _legal(text: str) -> str:
    r"""The text with the codes of what XML can't contain.

    Example:
        >>> _legal("\x1b[31mred")
        '\\x1b[31mred'
    """
    return _FORBIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
