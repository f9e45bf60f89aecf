"""The share of one run in the totals of its conversation.

Some versions of the CLI write the totals of the whole conversation into the result line of a run
that continues it (also that of a copy), and no figures of the run alone: two, three, four times
what the run has cost.
"""

from __future__ import annotations

from cpr_nb.model.cli_versions import TOTALS_ONLY, parse_version
from cpr_nb.model.events import TOKEN_FIELDS, RunFacts, total_tokens, usage_tokens
from cpr_nb.model.json_values import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def has_totals_only(facts: RunFacts) -> bool:
    """Whether the result line of a run has the totals of its conversation, and nothing else."""
    version = parse_version(facts.claude_version)
    first, end = TOTALS_ONLY
    has_result = facts.result is not None and "model_usage_since_last_result" not in facts.result
    return has_result and version is not None and first <= version < end


def keep_own_share(facts: RunFacts, before: dict[str, Any] | None) -> None:
    """Takes from the figures of a run what its conversation had used before.

    Args:
        facts: The run, whose result line has totals only.
        before: The last result line of the run before it in the conversation; None if there is
            none to be read: the run's own figures are unknown then, except the tokens that its
            result line counts itself.
    """
    own = None if before is None else _difference(facts, before)
    if own is None:
        facts.cost_usd, facts.tokens = None, usage_tokens((facts.result or {}).get("usage"))
    else:
        facts.cost_usd, facts.tokens = own


def _difference(facts: RunFacts, before: dict[str, Any]) -> tuple[float, dict[str, int]] | None:
    """Cost and tokens since another result line; None if they don't belong together."""
    total_usd = number(before.get("total_cost_usd"))
    if facts.cost_usd is None or total_usd is None:
        return None
    earlier = total_tokens(before)
    tokens = {name: count - earlier.get(name, 0) for name, count in facts.tokens.items()}
    # A total that began anew is smaller: the run's own usage shows it.
    least = usage_tokens((facts.result or {}).get("usage"))
    if any(tokens.get(name, 0) < least.get(name, 0) for name in TOKEN_FIELDS):
        return None
    cost_usd = number(round(facts.cost_usd - total_usd, 9))
    return None if cost_usd is None else (cost_usd, tokens)
