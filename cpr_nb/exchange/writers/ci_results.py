"""What a program that reads test results needs of a task: did it pass, and what went wrong."""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.model import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.exchange.session_record import TaskRecord

PASSED, FAILED, ERROR, SKIPPED, PENDING = "passed", "failed", "error", "skipped", "pending"

_RESULTS = {
    states.SUCCEEDED: PASSED,
    states.FAILED: FAILED,
    states.TIMED_OUT: ERROR,
    states.CANCELLED: ERROR,
    states.LOST: ERROR,
    states.SKIPPED: SKIPPED,
}


class CiResult(NamedTuple):
    """A task as a test.

    Args:
        result: One of the words above.
        message: What went wrong, or why it did not run; "" if it passed.
        duration_s: How long it took; 0.0 if it never ran; None if that is unknown.
        n_retries: How often it was started again after its first attempt.
    """

    result: str
    message: str
    duration_s: float | None
    n_retries: int

    @property
    def is_flaky(self) -> bool:
        """Whether it passed, but not at the first attempt."""
        return self.result == PASSED and self.n_retries > 0


def ci_result(task: TaskRecord) -> CiResult:
    """Says of a task what a test report says of a test.

    What was cancelled, timed out or lost is an error, so that nobody takes it for a success.

    Args:
        task: The task.

    Example:
        >>> from cpr_nb.exchange.session_record import SessionRecord, TaskRecord
        >>> from cpr_nb.store.read import read_session
        >>> session = SessionRecord(read_session("/none/session-1"))
        >>> fields = {"state": "ended", "outcome": "failed", "reason": "api_error", "error": "busy"}
        >>> ci_result(TaskRecord(session, 1, fields, [], None)).message
        'api_error: busy'
    """
    result = _RESULTS.get(task.outcome or "", PENDING)
    attempts = task.fields.get("attempts")
    n_retries = max(0, attempts - 1) if isinstance(attempts, int) else 0
    never_ran = result in (SKIPPED, PENDING) and task.started_at_s is None
    duration_s = 0.0 if task.duration_s is None and never_ran else task.duration_s
    return CiResult(result, _message(task, result), duration_s, n_retries)


def _message(task: TaskRecord, result: str) -> str:
    if result == PASSED:
        return ""
    if result == PENDING:
        return f"has not ended when this was written: {task.state}"
    words = [word for word in (task.reason, task.error) if word]
    return ": ".join(words) or str(task.outcome)
