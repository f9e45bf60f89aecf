"""Gates between a request and its script: a lost login, a usage limit, a quota."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cpr_nb.offline._script import Json

_LIMIT = "anthropic-ratelimit-unified-"


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit on requests: a bucket of tokens that fills up steadily.

    Args:
        per_s: The tokens added per second; each request that passes uses one.
        burst: The tokens that the bucket can hold; it is full at first.
        retry_after_s: The ``retry-after`` header of a refusal; None for no such header.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> Quota(per_s=2, burst=10, retry_after_s=1).burst
        10
    """

    per_s: float
    burst: int = 1
    retry_after_s: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.per_s < math.inf and self.burst >= 1 and (self.retry_after_s or 0) >= 0):
            raise ValueError(f"a quota needs per_s > 0, burst >= 1, retry_after_s >= 0: {self}")


class Gates:
    """The three gates of a scripted API; any thread may open or close them at any time.

    A request has to pass the login, then the usage limit, then the quota; only a request that gets
    so far uses a token of the quota. A refused request plays no step of a script and does not
    count as an attempt.

    Args:
        clock: The time in seconds; it never goes back.
        quota: The limit on requests; None for no limit.

    Example:
        >>> gates = Gates(time.monotonic)
        >>> gates.lose_login()
        >>> gates.restore_login()
    """

    def __init__(self, clock: Callable[[], float], quota: Quota | None = None) -> None:
        self._clock, self._gates_lock = clock, threading.Lock()
        self._lost_login = ""
        self._limit: tuple[float, int] | None = None  # (when it ends, its header)
        self.set_quota(quota)

    def set_quota(self, quota: Quota | None) -> None:
        """Limit the requests from now on; None removes the limit.

        Example:
            ``api.set_quota(Quota(per_s=1))``
        """
        with self._gates_lock:
            self._quota = quota
            self._tokens, self._filled_at = float(quota.burst if quota else 0), self._clock()

    def limit_usage(self, resets_in_s: float = 3600.0) -> None:
        """Answer as if a subscription were used up: 429 to everything, until it resets.

        Args:
            resets_in_s: The seconds until the reset; the answers name its time, as the API does,
                in whole seconds since 1970, rounded up. `lift_limit` may end it earlier.

        Example:
            ``api.limit_usage(resets_in_s=5)``
        """
        now = time.time()
        resets_at = math.ceil(now + resets_in_s)
        with self._gates_lock:
            self._limit = (self._clock() + (resets_at - now), resets_at)

    def lift_limit(self) -> None:
        """End the usage limit now.

        Example:
            ``api.lift_limit()``
        """
        with self._gates_lock:
            self._limit = None

    def lose_login(self, message: str = "invalid x-api-key") -> None:
        """Answer 401 to everything, until `restore_login`.

        Args:
            message: The API's message, which depends on the kind of login.

        Example:
            ``api.lose_login("OAuth token has expired.")``
        """
        with self._gates_lock:
            self._lost_login = message or "unauthorized"

    def restore_login(self) -> None:
        """Accept logins again.

        Example:
            ``api.restore_login()``
        """
        with self._gates_lock:
            self._lost_login = ""

    def _refusal(self) -> Json | None:
        """Return a refusal in the form of a step's ``fail``, or None if the request passes."""
        with self._gates_lock:
            if self._lost_login:
                return {"gate": "login", "status": 401, "message": self._lost_login}
            if self._limit is not None and self._clock() < self._limit[0]:
                return _used_up(*self._limit, self._clock())
            self._limit = None
            if self._quota is None or self._use_token(self._quota):
                return None
            return _too_many(self._quota)

    def _use_token(self, quota: Quota) -> bool:
        now = self._clock()
        self._tokens += (now - self._filled_at) * quota.per_s
        self._tokens, self._filled_at = min(self._tokens, float(quota.burst)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _too_many(quota: Quota) -> Json:
    after = quota.retry_after_s
    return {
        "gate": "quota",
        "status": 429,
        "message": "This request would exceed your organization's rate limit of "
        f"{quota.per_s * 60:g} requests per minute. For details, refer to: "
        "https://docs.claude.com/en/api/rate-limits.",
        "headers": {} if after is None else {"retry-after": f"{after:g}"},
    }


def _used_up(ends: float, resets_at: int, now: float) -> Json:
    limit = {"status": "rejected", "reset": resets_at, "representative-claim": "five_hour"}
    limit |= {"5h-status": "rejected", "5h-reset": resets_at, "5h-utilization": "1.0"}
    limit |= {"overage-status": "rejected", "overage-disabled-reason": "org_level_disabled"}
    headers = {f"{_LIMIT}{name}": str(value) for name, value in limit.items()}
    return {
        "gate": "usage_limit",
        "status": 429,
        "message": "This request would exceed your account's rate limit. Please try again later.",
        "headers": {**headers, "retry-after": str(math.ceil(ends - now))},
    }
