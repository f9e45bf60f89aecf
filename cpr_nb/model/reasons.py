"""Why a run of the CLI failed: the reason that its result carries, in fields or in words."""

from __future__ import annotations

from cpr_nb.model.limit_texts import USAGE_TEXTS, access_error, is_lost_login, status_of
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SUBTYPE_REASONS = {
    "error_max_turns": "max_turns",
    "error_max_budget_usd": "budget",
    "error_max_structured_output_retries": "bad_structure",
}
_STATUS_REASONS = {401: "auth", 403: "forbidden", 429: "rate_limit", 529: "overloaded"}
_API_ERROR_REASONS = {"connection_failed": "network", "max_output_tokens": "max_tokens"}
#: What the CLI's words begin with → the reason, where the fields do not tell.
_WORDS = (
    (r"prompt is too long", "prompt_too_long"),
    *((rf".{{0,60}}?{pattern}", "rate_limit") for pattern in USAGE_TEXTS),
    (r"api error.{0,40}\boverloaded", "overloaded"),
    (r"api error.{0,40}\b(unable to connect|connection|timed out)", "network"),
    (r"api error|credit balance is too low", "api_error"),
)


def reason_of(result: dict[str, Any]) -> str:
    """The reason that an error result carries; the most specific field first.

    Example:
        >>> reason_of({"subtype": "error_max_turns", "is_error": False})
        'max_turns'
        >>> reason_of({"is_error": True, "result": "API Error: 529 Overloaded"})
        'overloaded'
    """
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


def error_of(result: dict[str, Any]) -> str:
    """What a result says of its error, on one line; empty if it says nothing."""
    errors = result.get("errors")
    if isinstance(errors, list) and errors:
        return one_line("; ".join(str(e) for e in errors))
    text, subtype = result.get("result"), result.get("subtype")
    if not text and isinstance(subtype, str) and subtype.startswith("error"):
        return one_line(f"the CLI reports {subtype}")  # and nothing else, until 2.1.71
    return one_line(text) if isinstance(text, str) else ""


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
    in_words = _reason_in_words(text) if isinstance(text, str) else ""
    return in_words or ("api_error" if result.get("terminal_reason") == "api_error" else "")


def _reason_in_words(text: str) -> str:
    """The reason that the CLI's words for an error give; empty if they give none."""
    import re  # seldom needed, and it takes as long as Python's own start

    for pattern, reason in _WORDS:
        if re.match(pattern, text, re.IGNORECASE):
            return reason
    return ""
