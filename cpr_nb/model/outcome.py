"""Decides how a task ended: one pure function for the runner, recovery and recordings.

The rule was measured on the real CLI (docs/outcomes.md has the table, ``tests/model/recordings``
what it wrote): neither the exit code nor any one field of the result is enough. A request that
failed for good ends with ``subtype: success`` and ``is_error: true``; old versions report a limit
with exit 0 and ``is_error: false``; a schema that was never obeyed ends with exit 0 and no
``structured_output``; where a hook refuses the prompt, no model is asked, and all looks well.
"""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.denial_reasons import denials_of
from cpr_nb.model.merged_result import is_good
from cpr_nb.model.reasons import error_of, reason_of
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: We terminate a task for this once its turn has ended, so its result line says how it ended.
LINGERED = "lingered"
#: Why we terminated a task → its outcome and reason, unless it had a good answer.
TERMINATION_CAUSES = {
    "cancelled": (states.CANCELLED, "cancelled"),
    "timeout": (states.TIMED_OUT, "timeout"),
    "silence": (states.TIMED_OUT, "silence"),
    "no_first_byte": (states.TIMED_OUT, "no_first_byte"),
    "throttled": (states.FAILED, "rate_limit"),
    "refused": (states.FAILED, "auth"),
    "setup_refused": (states.FAILED, "setup_refused"),
    LINGERED: (states.FAILED, "unknown"),
}
# A task that was withdrawn ends like this if no more tasks start; one whose stream was removed.
_TERMINATION_MESSAGES = {
    "throttled": "taken back before its first answer: the API refused requests",
    "refused": "refused with 401 again and again",
    "setup_refused": "the set-up of the CLI was not as asked",
    LINGERED: "its result line is gone: nothing shows how it ended",
}
# What the user can do where the CLI's own words mislead: it says "Failed to authenticate".
_HINTS = {
    "forbidden": "a new login does not help: check the model, the account's rights and the proxy"
}


class Exit:
    """The end of one attempt, as far as it is known.

    Args:
        exit_code: 0 to 255, or None if unknown (an adopted process, or a signal).
        signal: The signal's number if a signal ended it.
        result: The result of its stream (`RunFacts.result`), if there is one.
        answered: Whether a model said anything; only a stream tells.
        trouble: The result line of a turn that failed after the answer. The exit code may be that
            turn's.
        stderr: The end of its stderr.
        spawn_error: Why it could not be started, or empty.
        changed: Why it was not started at all: what it would run was changed. Or empty.
        cause: Why we terminated it (a key of `TERMINATION_CAUSES`), or None.
        setup_problem: What of the CLI's set-up was not as asked, if that makes it fail.
        unprepared: Why its checkout on a node could not be made, so that it never started: the
            reason and the error. Or None.
    """

    __slots__ = (
        "answered",
        "cause",
        "changed",
        "exit_code",
        "result",
        "setup_problem",
        "signal",
        "spawn_error",
        "stderr",
        "trouble",
        "unprepared",
    )

    def __init__(
        self,
        exit_code: int | None = None,
        *,
        signal: int | None = None,
        result: dict[str, Any] | None = None,
        answered: bool = True,
        trouble: dict[str, Any] | None = None,
        stderr: str = "",
        spawn_error: str = "",
        changed: str = "",
        cause: str | None = None,
        setup_problem: str = "",
        unprepared: tuple[str, str] | None = None,
    ) -> None:
        self.exit_code = exit_code
        self.signal = signal
        self.result = result
        self.answered = answered
        self.trouble = trouble
        self.stderr = stderr
        self.spawn_error = spawn_error
        self.changed = changed
        self.cause = cause
        self.setup_problem = setup_problem
        self.unprepared = unprepared


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
    had a result, or a later turn's trouble explains it), has a result that is not an error, a
    model's answer, and the structure that the schema requires.

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
    if exit_.changed:
        return Outcome(states.FAILED, "changed", exit_.changed)
    if exit_.unprepared:
        return Outcome(states.FAILED, *exit_.unprepared)
    if exit_.spawn_error:
        return Outcome(states.FAILED, "spawn", exit_.spawn_error)
    if exit_.setup_problem and exit_.cause in (None, "setup_refused"):
        return Outcome(states.FAILED, "setup_refused", exit_.setup_problem)
    result = exit_.result
    good = result is not None and is_good(result)
    if result is not None and good and _exit_allows_success(exit_):
        if not exit_.answered and _asked_no_model(result):
            return Outcome(states.FAILED, "no_answer", _no_answer_error(result))
        return _with_answer(result, schema=schema, fail_on_denied=fail_on_denied)
    if exit_.cause is not None and not (exit_.cause == LINGERED and result is not None):
        outcome, reason = TERMINATION_CAUSES[exit_.cause]
        return Outcome(outcome, reason, _TERMINATION_MESSAGES.get(exit_.cause, ""))
    if result is not None and not good:
        reason = reason_of(result)
        words = [error_of(result), _HINTS.get(reason)]
        return Outcome(states.FAILED, reason, "; ".join(text for text in words if text))
    return _without_answer(exit_)


def _with_answer(result: dict[str, Any], *, schema: bool, fail_on_denied: bool) -> Outcome:
    """The outcome of an attempt whose result is not an error."""
    denials = denials_of(result) if fail_on_denied else []
    if denials:  # before a missing structure: another attempt would no longer show the denials
        from cpr_nb.model.denial_summary import DenialSummary  # its rules take the runner memory

        words = DenialSummary(denials).words()
        return Outcome(states.FAILED, "denied", one_line(f"denied: {words}"))
    if schema and result.get("structured_output") is None:
        return Outcome(states.FAILED, "no_structure", "the answer lacks the structure")
    return Outcome(states.SUCCEEDED, "completed")


def _exit_allows_success(exit_: Exit) -> bool:
    """Whether it exited with 0, or in a way that says nothing: unknown, or terminated by us."""
    is_unknown = exit_.exit_code is None and exit_.signal is None
    is_explained = exit_.exit_code == 1 and exit_.trouble is not None
    return exit_.exit_code == 0 or exit_.cause is not None or is_unknown or is_explained


def trouble_note(trouble: dict[str, Any]) -> str:
    """What the user should know of a turn that failed after the answer.

    Example:
        >>> trouble_note({"is_error": True, "api_error_status": 529, "result": "API Error: 529"})
        'a later turn failed (overloaded): API Error: 529'
    """
    return f"a later turn failed ({reason_of(trouble)}): {error_of(trouble)}".rstrip(": ")


def _asked_no_model(result: dict[str, Any]) -> bool:
    """Whether no model was asked; older CLIs count a turn for a command of their own, too."""
    return result.get("modelUsage") == {} or not (result.get("num_turns") and error_of(result))


def _no_answer_error(result: dict[str, Any]) -> str:
    """Why no model was asked: the words of the hook or the command that ended the turn."""
    command, words = result.get("local_command"), error_of(result)
    if isinstance(command, str):
        return one_line(": ".join(filter(None, [f"the CLI ran the command /{command}", words])))
    return words or "the CLI asked no model"


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
