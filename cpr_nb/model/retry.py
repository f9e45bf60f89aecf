"""Which failures pass by themselves, and how long to wait for that."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.outcome import Outcome

#: Reason → how many seconds to wait before the second attempt; each further one waits twice
#: as long. The CLI has retried on its own for about three minutes before most of these reach
#: us. What is not here (a refusal, a bad request, a budget, no login, …) would only fail again.
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
    """Whether another attempt may end better.

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
        attempt: Which one it was, from 1.
        chance: A number from 0 to 1: tasks that failed together must not come back together.

    Example:
        >>> backoff_s("network", 1, 0.5), backoff_s("network", 2, 0.5)
        (10.0, 20.0)
    """
    delay_s = PASSING[reason] * 2.0 ** (attempt - 1)
    return min(LONGEST_S, delay_s * (0.5 + chance))
