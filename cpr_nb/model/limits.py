"""Limits of an account that concern every task: a usage limit, a lost login.

How the CLI 2.1.330 tells of them was measured against the scripted API: a 429 whose
``retry-after`` is longer than a minute, or that a subscription's headers explain, ends a run at
once; a 401 after ten retries with a key, after two with a subscription. What headers the real
API sends with a subscription's limit could not be measured without an account.
"""

from __future__ import annotations

import re
import time

from cpr_nb.model.events import integer, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = "limit"
LOGIN = "login"

#: What the CLI says when nobody is logged in, or the login is no good any more.
LOGIN_TEXTS = (
    "not logged in",
    "please run /login",
    "invalid api key",
    "oauth token has expired",
    "oauth token revoked",
    "failed to authenticate",
)
_RESETS = r"resets? (?:at )?(?P<clock>[^\n·∙•|]{2,40})"
#: What it says when a usage limit is reached; a group ``epoch`` or ``clock`` tells the reset.
USAGE_TEXTS = (
    r"usage limit reached\|(?P<epoch>\d{10,13})",
    rf"(?:hit|reached) your [\w '’-]{{0,30}}limit\b[^\n]{{0,40}}?{_RESETS}",
    rf"limit reached\b[^\n]{{0,20}}?{_RESETS}",
    rf"out of extra usage\b[^\n]{{0,20}}?{_RESETS}",
    r"(?:hit|reached) your [\w '’-]{0,30}limit\b",
    r"usage limit reached",
    r"out of extra usage",
)
_CLOCK = r"(\d{1,2})(?::(\d{2}))?\s*([ap]m)?\s*(?:\(([\w/+-]+)\))?\s*$"
# A reset that is further away than this is no reset, but a figure that we read wrong.
_FARTHEST_S = 14 * 86_400


class Limit:
    """A limit that a task ran into.

    Args:
        kind: `USAGE` or `LOGIN`.
        until_s: When it ends, in seconds since the epoch; None when nobody says.
    """

    __slots__ = ("kind", "until_s")

    def __init__(self, kind: str, until_s: float | None = None) -> None:
        self.kind = kind
        self.until_s = until_s

    def __repr__(self) -> str:
        return f"Limit({self.kind!r}, {self.until_s!r})"


def limit_of_event(event: dict[str, Any]) -> Limit | None:
    """The limit that one event of a running task tells of.

    Args:
        event: The event.

    Example:
        >>> limit_of_event({"type": "system", "subtype": "api_retry", "error_status": 401})
        Limit('login', None)
    """
    if event.get("type") == "rate_limit_event":
        told = event.get("rate_limit_info", event)
        # What the plan rejects, the account's extra usage may pay for.
        if not isinstance(told, dict) or told.get("isUsingOverage") is True:
            return None
        # A request quota is told in the same way, but without a moment at which it ends.
        if told.get("status") == "rejected" and told.get("resetsAt"):
            return Limit(USAGE, _reset(told["resetsAt"]))
    elif event.get("subtype") == "api_retry" and event.get("error_status") == 401:
        return Limit(LOGIN)
    return None


def limit_of_result(
    result: dict[str, Any], *, retried: bool, written_at_s: float | None = None
) -> Limit | None:
    """The limit that the result of a failed run tells of.

    Args:
        result: The result line.
        retried: Whether the CLI had asked the API again by itself. A 429 that it does not
            retry says that retrying is of no use for a long time.
        written_at_s: When it was written, in seconds since the epoch, if that is not now: a
            time of day that it names is the next one after that.

    Example:
        >>> limit_of_result({"is_error": True, "api_error_status": 401}, retried=False)
        Limit('login', None)
    """
    if result.get("is_error") is not True:
        return None
    text = result.get("result")
    text = text[:2000] if isinstance(text, str) else ""
    status = result.get("api_error_status")
    # A token that was revoked is answered with 403, as other things are.
    if status == 401 or (status in (None, 403) and text.lower().startswith(LOGIN_TEXTS)):
        return Limit(LOGIN)
    if status not in (None, 429) or "not your usage limit" in text:
        return None
    for pattern in USAGE_TEXTS:  # compiled when first needed: most runners never are
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            now_s = time.time() if written_at_s is None else written_at_s
            return Limit(USAGE, _reset_of(found.groupdict(), now_s))
    told = result.get("api_error") == "usage_limit_reached"
    return Limit(USAGE) if told or (status == 429 and not retried) else None


def _reset_of(found: dict[str, str | None], now_s: float) -> float | None:
    if found.get("epoch"):
        return _reset(int(found["epoch"] or 0))
    clock = found.get("clock")
    return _next_clock(clock, now_s) if clock else None


def _reset(value: object) -> float | None:
    """A moment, in seconds or milliseconds since the epoch or ISO 8601, if it can be the reset."""
    at_s: float | None
    if isinstance(value, str):
        from datetime import datetime

        try:
            at_s = number(datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError, OSError):
            return None
    else:
        at_s = integer(value) if isinstance(value, int) else number(value)
        if at_s is not None and at_s > 1e11:
            at_s = at_s / 1000
    return float(at_s) if at_s is not None and at_s < time.time() + _FARTHEST_S else None


def _next_clock(text: str, now_s: float) -> float | None:
    """The next time that a clock shows what is written, such as ``7pm (Europe/Berlin)``."""
    found = re.match(_CLOCK, text.strip(" ."), re.IGNORECASE)
    if not found:
        return None  # such as "Oct 9, 5pm": we look again from time to time
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3]:
        hour = hour % 12 + (12 if found[3].lower() == "pm" else 0)
    try:
        zone = ZoneInfo(found[4]) if found[4] else None
        now = datetime.fromtimestamp(now_s).astimezone(zone)
        at = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except (ValueError, OSError, KeyError):
        return None
    return (at if at > now else at + timedelta(days=1)).timestamp()
