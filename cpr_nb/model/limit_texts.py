"""What the CLI says at a limit of the account: the texts of all versions, and what they mean."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The beginnings of its texts when nobody is logged in, or the login is no longer valid.
LOGIN_TEXTS = (
    "not logged in",
    "please run /login",
    "invalid api key",
    "oauth token has expired",
    "oauth token revoked",
    "failed to authenticate",
    "your account does not have access to claude. please login again",
    "claude code can't use the anthropic console sign-in",
)
#: The beginnings of its texts when this kind of access is closed for every task, whoever waits.
ACCESS_TEXTS = (
    "your organization has disabled claude subscription access",
    "claude code can't use your claude subscription",
    "your account does not have access to claude code",
    "your organization does not have access to claude",
    "your anthropic_api_key belongs to a disabled organization",
)
_RESETS = r"resets? (?:at )?(?P<clock>[^\n·∙•|]{2,40})"
#: Its texts when a usage limit is reached; a group ``epoch`` or ``clock`` holds the reset.
USAGE_TEXTS = (
    r"usage limit reached\|(?P<epoch>\d{10,13})",
    rf"(?:hit|reached) your [\w '’-]{{0,30}}limit\b[^\n]{{0,40}}?{_RESETS}",
    rf"limit reached\b[^\n]{{0,20}}?{_RESETS}",
    rf"out of extra usage\b[^\n]{{0,20}}?{_RESETS}",
    r"(?:hit|reached) your [\w '’-]{0,30}limit\b",
    r"usage limit reached",
    r"out of extra usage",
)
# The text of an error that has no text of its own, with what some versions put before it.
_STATUS = r"(?:failed to authenticate\. |please run /login · )?api error:? \(?([45]\d\d)\b"


def status_of(result: dict[str, Any]) -> int | None:
    """The HTTP status of the answer that ended a run; None if the result tells none.

    Versions before 2.1.111 have it in their text only.

    Example:
        >>> status_of({"result": "API Error: 403 <html>"}), status_of({"result": "Done: 403"})
        (403, None)
    """
    status, text = result.get("api_error_status"), result.get("result")
    if isinstance(status, int) or not isinstance(text, str):
        return status if isinstance(status, int) else None
    import re  # seldom needed, and it takes as long as Python's own start

    match = re.match(_STATUS, text, re.IGNORECASE)
    return int(match[1]) if match else None


def is_lost_login(status: int | None, text: str) -> bool:
    """Whether a failed run could not log in. A 403 has other causes, too.

    Args:
        status: The HTTP status, as `status_of` returns it.
        text: The result's text.

    Example:
        >>> is_lost_login(403, "Failed to authenticate: OAuth token revoked.")
        True
        >>> is_lost_login(403, "Failed to authenticate. API Error: 403 Forbidden")
        False
    """
    words = text.lower()
    asks_for_login = words.startswith(LOGIN_TEXTS) and "api error: 403" not in words
    return status == 401 or (status in (None, 403) and asks_for_login)


def access_error(status: int | None, text: str) -> str:
    """What the user can do if this kind of access is closed for every task; empty if it is not.

    Args:
        status: The HTTP status, as `status_of` returns it.
        text: The result's text.

    Example:
        >>> access_error(403, "Your account does not have access to Claude Code.")
        'no task gets an answer with this login: use an API key or another account'
    """
    if status in (None, 401, 403) and text.lower().replace("’", "'").startswith(ACCESS_TEXTS):
        return "no task gets an answer with this login: use an API key or another account"
    return ""
