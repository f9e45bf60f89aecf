"""Decides how a task ended: one pure function for the runner, recovery and recordings.

The rule was measured on the real CLI 2.1.330 (``tests/model/recordings``): neither the exit
code nor the ``subtype`` of the result line is enough. A request that failed for good ends
with ``subtype: success`` and ``is_error: true``; a schema that was never obeyed ends with
exit 0 and no ``structured_output``; SIGINT ends with exit 0 and ``is_error: true``.
"""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.denials import denials_of, rules_of
from cpr_nb.model.limit_texts import access_error, is_lost_login, status_of
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Why we terminated a task → its outcome and reason.
TERMINATION_CAUSES = {
    "cancelled": (states.CANCELLED, "cancelled"),
    "timeout": (states.TIMED_OUT, "timeout"),
    "silence": (states.TIMED_OUT, "silence"),
    "no_first_byte": (states.TIMED_OUT, "no_first_byte"),
    "throttled": (states.FAILED, "rate_limit"),
    "refused": (states.FAILED, "auth"),
}
# A task that was withdrawn ends like this if no more tasks start.
_TERMINATION_MESSAGES = {
    "throttled": "taken back before its first answer: the API refused requests",
    "refused": "the API refused its credential again and again",
}

_SUBTYPE_REASONS = {
    "error_max_turns": "max_turns",
    "error_max_budget_usd": "budget",
    "error_max_structured_output_retries": "bad_structure",
}
_STATUS_REASONS = {401: "auth", 403: "forbidden", 429: "rate_limit", 529: "overloaded"}
_API_ERROR_REASONS = {"connection_failed": "network", "max_output_tokens": "max_tokens"}


class Exit:
    """The end of one attempt, as far as it is known.

    Args:
        exit_code: 0 to 255, or None if unknown (an adopted process, or a signal).
        signal: The signal's number if a signal ended it.
        result: The last ``result`` line of its stream, if there is one.
        stderr: The end of its stderr.
        spawn_error: Why it could not be started, or empty.
        cause: Why we terminated it (a key of `TERMINATION_CAUSES`), or None.
    """

    __slots__ = ("cause", "exit_code", "result", "signal", "spawn_error", "stderr")

    def __init__(
        self,
        exit_code: int | None = None,
        *,
        signal: int | None = None,
        result: dict[str, Any] | None = None,
        stderr: str = "",
        spawn_error: str = "",
        cause: str | None = None,
    ) -> None:
        self.exit_code = exit_code
        self.signal = signal
        self.result = result
        self.stderr = stderr
        self.spawn_error = spawn_error
        self.cause = cause


class Outcome:
    """An outcome, its reason, and one line for the user, empty on success.

    Example:
        >>> derive(Exit(0, result={"is_error": False})).outcome
        'succeeded'
    """

    __slots__ = ("error", "outcome", "reason")

    def __init__(self, outcome: str, reason: str, error: str = "") -> None:
        self.outcome = outcome
        self.reason = reason
        self.error = error

    def __repr__(self) -> str:
        return f"Outcome({self.outcome!r}, {self.reason!r}, {self.error!r})"


def derive(exit_: Exit, *, schema: bool = False, fail_on_denied: bool = False) -> Outcome:
    """Derives how an attempt ended.

    It succeeded only if it exited with 0 (or the exit code is unknown, or we terminated it after it
    had a result), has a result line that is not an error, and has the structure that the schema
    requires.

    Args:
        exit_: The end of the attempt.
        schema: Whether the answer must have a structure.
        fail_on_denied: Whether a tool call that the permissions refused makes it fail.

    Returns:
        The outcome with its reason.

    Example:
        >>> derive(Exit(143, cause="timeout"))
        Outcome('timed_out', 'timeout', '')
    """
    if exit_.spawn_error:
        return Outcome(states.FAILED, "spawn", exit_.spawn_error)
    result = exit_.result
    is_good = result is not None and result.get("is_error") is False
    if result is not None and is_good and _exit_allows_success(exit_):
        return _with_answer(result, schema=schema, fail_on_denied=fail_on_denied)
    if exit_.cause is not None:
        outcome, reason = TERMINATION_CAUSES[exit_.cause]
        return Outcome(outcome, reason, _TERMINATION_MESSAGES.get(exit_.cause, ""))
    if result is not None and not is_good:
        return Outcome(states.FAILED, _result_reason(result), _result_error(result))
    return _without_answer(exit_)


def _with_answer(result: dict[str, Any], *, schema: bool, fail_on_denied: bool) -> Outcome:
    """The outcome of an attempt whose result is not an error."""
    rules = rules_of(denials_of(result)) if fail_on_denied else []
    if rules:  # before a missing structure: another attempt would no longer show the denials
        return Outcome(states.FAILED, "denied", one_line(f"denied: {', '.join(rules)}"))
    if schema and result.get("structured_output") is None:
        return Outcome(states.FAILED, "no_structure", "the answer lacks the structure")
    return Outcome(states.SUCCEEDED, "completed")


def _exit_allows_success(exit_: Exit) -> bool:
    """Whether it exited with 0, or in a way that says nothing: unknown, or terminated by us."""
    is_unknown = exit_.exit_code is None and exit_.signal is None
    return exit_.exit_code == 0 or exit_.cause is not None or is_unknown


def _result_reason(result: dict[str, Any]) -> str:
    """The reason that an error result carries; the most specific field first."""
    subtype, terminal = result.get("subtype"), result.get("terminal_reason")
    if isinstance(subtype, str) and subtype in _SUBTYPE_REASONS:
        return _SUBTYPE_REASONS[subtype]
    if terminal == "prompt_too_long":
        return "prompt_too_long"
    if isinstance(terminal, str) and terminal.startswith("aborted"):
        return "signal"
    if result.get("stop_reason") == "refusal":
        return "refusal"
    api_reason = _api_reason(result)
    if api_reason:
        return api_reason
    if subtype == "error_during_execution" and not result.get("num_turns"):
        return "usage_error"  # such as --resume of an unknown conversation
    return "unknown"


def _api_reason(result: dict[str, Any]) -> str:
    """The reason if the API refused or failed; else empty."""
    api_error = result.get("api_error")
    if isinstance(api_error, str) and api_error in _API_ERROR_REASONS:
        return _API_ERROR_REASONS[api_error]
    status, text = status_of(result), result.get("result")
    if isinstance(text, str) and (is_lost_login(status, text) or access_error(status, text)):
        return "auth"
    if status is not None:
        return _STATUS_REASONS.get(status, "api_error")
    return "api_error" if result.get("terminal_reason") == "api_error" else ""


def _result_error(result: dict[str, Any]) -> str:
    errors = result.get("errors")
    if isinstance(errors, list) and errors:
        return one_line("; ".join(str(e) for e in errors))
    text = result.get("result")
    return one_line(text) if isinstance(text, str) else ""


def _without_answer(exit_: Exit) -> Outcome:
    """The outcome without a result line, or with a good one and a bad exit code."""
    stderr, signal = one_line(exit_.stderr), _signal_of(exit_)
    if signal is not None:
        return Outcome(states.FAILED, "signal", stderr or f"ended by signal {signal}")
    if exit_.exit_code is None:
        return Outcome(states.LOST, "vanished", "its process is gone, nothing tells how it ended")
    if exit_.exit_code and exit_.result is None and stderr:
        return Outcome(states.FAILED, "usage_error", stderr)
    when = "without a result line" if exit_.result is None else "after its result line"
    return Outcome(states.FAILED, "unknown", stderr or f"exited with code {exit_.exit_code} {when}")


def _signal_of(exit_: Exit) -> int | None:
    """The signal that ended it; the CLI itself reports it as an exit code: 143 is SIGTERM."""
    if exit_.signal is None and exit_.exit_code is not None and 128 < exit_.exit_code < 160:
        return exit_.exit_code - 128
    return exit_.signal
