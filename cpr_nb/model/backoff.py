"""Which failures are worth another attempt, and how long to wait before it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.outcome import Outcome

#: Reason → seconds to wait before the second attempt; the wait doubles with each further attempt.
#: The CLI itself has retried for about three minutes before most of these reach us. Any other
#: reason (a refusal, a bad request, a budget, no login, …) would only fail again.
PASSING = {
    "rate_limit": 15.0,
    "overloaded": 15.0,
    "network": 10.0,
    "silence": 1.0,
    "no_first_byte": 1.0,
    "signal": 1.0,
    "vanished": 1.0,
    "unknown": 1.0,
    "no_structure": 0.0,
}
LONGEST_S = 300.0


def may_pass(outcome: Outcome) -> bool:
    """Whether another attempt may succeed.

    Example:
        >>> from cpr_nb.model.outcome import Outcome
        >>> may_pass(Outcome("failed", "refusal")), may_pass(Outcome("failed", "network"))
        (False, True)
    """
    return outcome.reason in PASSING


def backoff_s(reason: str, attempt: int, chance: float) -> float:
    """How long to wait after an attempt, in seconds.

    Args:
        reason: Why it failed.
        attempt: The number of the attempt that failed, from 1.
        chance: A random number from 0 to 1: tasks that failed together must not restart together.

    Example:
        >>> backoff_s("network", 1, 0.5), backoff_s("network", 2, 0.5)
        (10.0, 20.0)
    """
    delay_s = PASSING[reason] * 2.0 ** (attempt - 1)
    return min(LONGEST_S, delay_s * (0.5 + chance))
