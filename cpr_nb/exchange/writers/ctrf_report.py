"""Writes CTRF, the Common Test Report Format: one JSON file, a test a task."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from cpr_nb.exchange.strict_json import known, strict_json
from cpr_nb.exchange.writers.ci_results import ERROR, FAILED, PASSED, PENDING, SKIPPED, ci_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.exchange.session_record import SessionRecord, TaskRecord

SPEC_VERSION = "0.0.0"
_STATUSES = {
    PASSED: "passed",
    FAILED: "failed",
    ERROR: "failed",
    SKIPPED: "skipped",
    PENDING: "pending",
}


def write(record: SessionRecord, path: str, *, with_content: bool) -> None:
    """Writes a session as a CTRF report.

    Args:
        record: The session.
        path: The file.
        with_content: Not used: it has prompts and answers, unless they are redacted.

    Example:
        >>> import os
        >>> from cpr_nb.exchange.session_record import SessionRecord
        >>> from cpr_nb.store.read import read_session
        >>> record = SessionRecord(read_session("/none/session-1"))
        >>> write(record, os.devnull, with_content=False)
    """
    del with_content
    counts: Counter[str] = Counter()
    n_flaky = 0
    with Path(path).open("w", encoding="utf-8") as file:
        file.write('{"results": {"tests": [')
        for number, task in enumerate(record.tasks()):
            test = _test(record, task)
            counts[test["status"]] += 1
            n_flaky += "flaky" in test
            file.write((",\n" if number else "\n") + strict_json(test))
        rest = {"tool": _tool(), "summary": _summary(record, counts, n_flaky), **_extra(record)}
        file.write("\n], " + strict_json(rest)[1:] + ", ")
        file.write(strict_json(_document(record))[1:] + "\n")


def _test(record: SessionRecord, task: TaskRecord) -> dict[str, Any]:
    result = ci_result(task)
    fields = {
        "testId": task.id,
        "executionId": f"{record.id}/{task.id}",
        "name": task.id,
        "status": _STATUSES[result.result],
        "rawStatus": task.outcome or task.state,
        "duration": round((result.duration_s or 0) * 1000),
        "suite": [record.name or record.id],
        "type": "agent",
    }
    fields |= known(start=_ms(task.started_at_s), stop=_ms(task.ended_at_s))
    if task.row:
        fields["parameters"] = task.row
    if result.message:
        fields["message"] = result.message
    if result.n_retries:
        fields["retries"] = result.n_retries
    if result.is_flaky:
        fields["flaky"] = True
    extra = known(reason=task.reason, model=task.model, cost_usd=task.cost_usd, score=task.score)
    if result.duration_s is None:  # the format wants a number
        extra["duration_is_known"] = False
    extra |= task.tokens
    return {**fields, "extra": extra | known(prompt=task.prompt, answer=task.answer)}


def _summary(record: SessionRecord, counts: Counter[str], n_flaky: int) -> dict[str, Any]:
    start_ms = _ms(record.created_at_s) or 0
    stop_ms = max(_ms(record.ended_at_s) or 0, start_ms)
    statuses = ("passed", "failed", "skipped", "pending", "other")
    return {
        "tests": counts.total(),
        **{status: counts[status] for status in statuses},
        "flaky": n_flaky,
        "suites": 1,
        "start": start_ms,
        "stop": stop_ms,
        "duration": stop_ms - start_ms,
    }


def _tool() -> dict[str, str]:
    from importlib.metadata import version

    return {"name": "cpr_nb", "version": version("cpr_nb")}


def _extra(record: SessionRecord) -> dict[str, Any]:
    ours = known(
        session_id=record.id,
        session_name=record.name,
        state=record.state,
        claude_version=record.cli_version,
    )
    environment = known(commit=record.git_commit, reportName=record.name)
    return {**({"environment": environment} if environment else {}), "extra": ours}


def _document(record: SessionRecord) -> dict[str, Any]:
    return {
        "reportFormat": "CTRF",
        "specVersion": SPEC_VERSION,
        "runId": record.id,
        "generatedBy": "cpr_nb",
    }


def _ms(time_s: float | None) -> int | None:
    return None if time_s is None else round(time_s * 1000)
