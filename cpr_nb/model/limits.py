"""Limits of an account that affect every task: a usage limit, a lost login, no access.

How the CLI reports them was measured against the scripted API, on 2.0.45 to 2.1.332: a 429 whose
``retry-after`` is longer than a minute, or that a subscription's headers explain, ends a run at
once; a 401 ends it after ten retries with a key (three minutes), after two with a subscription; a
403 ends it at once. The headers that the real API sends with a subscription's limit could not be
measured without an account.
"""

from __future__ import annotations

import re
import time

from cpr_nb.model.json_values import integer, number
from cpr_nb.model.limit_texts import USAGE_TEXTS, access_error, is_lost_login, status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USAGE = "limit"
LOGIN = "login"
#: The user keeps the rest of the usage window for other work (``reserve``).
RESERVE = "reserve"
#: The moment before which nothing is to start (``not_before``).
TIME = "time"
#: No task of this session gets an answer, however long it waits.
ACCESS = "access"

_CLOCK = r"(\d{1,2})(?::(\d{2}))?\s*([ap]m)?\s*(?:\(([\w/+-]+)\))?\s*$"
# A reset further away than this is not a reset, but a misread figure.
_FARTHEST_S = 14 * 86_400


class Limit:
    """A limit that a task ran into.

    Args:
        kind: `USAGE`, `LOGIN`, `ACCESS`, `RESERVE` or `TIME`.
        until_s: When it ends, in seconds since the epoch; None if unknown.
        error: What the user can do about it, if waiting does not help.
        is_shared: Whether it concerns the other tasks, too.
    """

    __slots__ = ("error", "is_shared", "kind", "until_s")

    def __init__(
        self,
        kind: str,
        until_s: float | None = None,
        *,
        error: str = "",
        is_shared: bool = True,
    ) -> None:
        self.kind = kind
        self.until_s = until_s
        self.error = error
        self.is_shared = is_shared

    def __repr__(self) -> str:
        return f"Limit({self.kind!r}, {self.until_s!r})"


def limit_of_event(event: dict[str, Any]) -> Limit | None:
    """The limit that one event of a running task reports.

    Args:
        event: The event.

    Example:
        >>> limit_of_event({"type": "system", "subtype": "api_retry", "error_status": 401})
        Limit('login', None)
    """
    if event.get("type") == "rate_limit_event":
        info = event.get("rate_limit_info", event)
        # If the plan rejects a request, the account's extra usage may still pay for it.
        if not isinstance(info, dict) or info.get("isUsingOverage") is True:
            return None
        # A request quota is reported in the same way, but without the time at which it ends.
        if info.get("status") == "rejected" and info.get("resetsAt"):
            return Limit(USAGE, _reset(info["resetsAt"]))
    elif event.get("subtype") == "api_retry" and event.get("error_status") == 401:
        return Limit(LOGIN)
    return None


def reserved(info: dict[str, Any], reserve: float) -> Limit | None:
    """The limit that a user has set: so much of each usage window is for other work.

    Args:
        info: What the CLI says of the windows: ``rate_limit_info`` of an event. Its own
            ``utilization`` is there only near the end of a window; ``unifiedWindows`` has it always
            (measured on 2.1.332).
        reserve: The share of a window that is to be left.

    Returns:
        The limit, which holds until the last of the windows that are used so far is renewed; None
        if all have enough left.

    Example:
        >>> reserved({"unifiedWindows": {"five_hour": {"utilization": 0.5}}}, 0.3) is None
        True
        >>> reserved({"utilization": 0.75, "rateLimitType": "five_hour"}, 0.3)
        Limit('reserve', None)
    """
    windows = info.get("unifiedWindows")
    windows = [info, *(windows.values() if isinstance(windows, dict) else ())]
    used_up = [
        window
        for window in windows
        if isinstance(window, dict) and (number(window.get("utilization")) or 0.0) >= 1 - reserve
    ]
    if not used_up:
        return None
    ends = [_reset(window.get("resetsAt")) for window in used_up]
    return Limit(RESERVE, max((end for end in ends if end is not None), default=None))


def limit_of_result(
    result: dict[str, Any], *, retried: bool, written_at_s: float | None = None
) -> Limit | None:
    """The limit that the result of a failed run reports.

    Args:
        result: The result line.
        retried: Whether the CLI itself had retried the request. A 429 without a retry means that
            retrying is useless for a long time.
        written_at_s: When it was written, in seconds since the epoch, if not now: a time of day in
            it means the next such time after this.

    Example:
        >>> limit_of_result({"is_error": True, "api_error_status": 401}, retried=False)
        Limit('login', None)
    """
    if result.get("is_error") is not True:
        return None
    text = result.get("result")
    text = text[:2000] if isinstance(text, str) else ""
    status = status_of(result)
    error = access_error(status, text)
    if error:
        return Limit(ACCESS, error=error)
    if is_lost_login(status, text):
        return Limit(LOGIN)
    if status not in (None, 429) or "not your usage limit" in text:
        return None
    is_limit = result.get("api_error") == "usage_limit_reached" or (status == 429 and not retried)
    return _limit_in_text(text, written_at_s) or (Limit(USAGE) if is_limit else None)


def _limit_in_text(text: str, written_at_s: float | None) -> Limit | None:
    for pattern in USAGE_TEXTS:  # compiled at first use: most runners never need them
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            now_s = time.time() if written_at_s is None else written_at_s
            return Limit(USAGE, _reset_of(match.groupdict(), now_s))
    return None


def _reset_of(groups: dict[str, str | None], now_s: float) -> float | None:
    if groups.get("epoch"):
        return _reset(int(groups["epoch"] or 0))
    clock = groups.get("clock")
    return _next_clock(clock, now_s) if clock else None


def _reset(value: object) -> float | None:
    """A time, in seconds or milliseconds since the epoch or ISO 8601, if it can be a reset."""
    epoch_s: float | None
    if isinstance(value, str):
        from datetime import datetime

        try:
            epoch_s = number(datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError, OSError):
            return None
    else:
        epoch_s = integer(value) if isinstance(value, int) else number(value)
        if epoch_s is not None and epoch_s > 1e11:
            epoch_s = epoch_s / 1000
    if epoch_s is None or epoch_s >= time.time() + _FARTHEST_S:
        return None
    return float(epoch_s)


def _next_clock(text: str, now_s: float) -> float | None:
    """The next time of day that is written like ``7pm (Europe/Berlin)``."""
    match = re.match(_CLOCK, text.strip(" ."), re.IGNORECASE)
    if not match:
        return None  # such as "Oct 9, 5pm": the runner then tries again from time to time
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        hour = hour % 12 + (12 if match[3].lower() == "pm" else 0)
    try:
        zone = ZoneInfo(match[4]) if match[4] else None
        now = datetime.fromtimestamp(now_s).astimezone(zone)
        reset = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except (ValueError, OSError, KeyError):
        return None
    return (reset if reset > now else reset + timedelta(days=1)).timestamp()
