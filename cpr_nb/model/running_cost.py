"""What runs have cost whose cost no result line tells yet, by their tokens: the one estimator.

The stream of a run shows the tokens of each request, but for nearly all that the model wrote. What
a token that is shown stands for is learned from runs that ended with a known cost, model by model.
So no prices are needed here, and the hidden part is in the estimate. An estimate is good for
decisions; it is never recorded as a cost.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cpr_nb.model.events import RunFacts

#: What a token of each kind costs in tokens of input. All models that we know have these ratios.
WEIGHTS = {
    "input_tokens": 1.0,
    "output_tokens": 5.0,
    "cache_read_tokens": 0.1,
    "cache_write_tokens": 1.25,
}


class Usage:
    """What is known of what one run has used so far.

    Args:
        model: The model that answers, if it is known.
        known_usd: What its result lines say that it cost; None if none says it.
        open_tokens: The shown tokens that are not in that cost.
        shown_tokens: All tokens that its messages show.

    Example:
        >>> Usage("m", None, {"input_tokens": 10}, {"input_tokens": 10}).is_open
        True
    """

    __slots__ = ("known_usd", "model", "open_tokens", "shown_tokens")

    def __init__(
        self,
        model: str | None,
        known_usd: float | None,
        open_tokens: Mapping[str, float],
        shown_tokens: Mapping[str, float],
    ) -> None:
        self.model = model
        self.known_usd = known_usd
        self.open_tokens = open_tokens
        self.shown_tokens = shown_tokens

    @property
    def is_open(self) -> bool:
        """Whether it has used something whose cost is not known."""
        return bool(self.open_tokens)


def usage_of(facts: RunFacts) -> Usage:
    """What the stream of a run shows of it so far.

    Example:
        >>> from cpr_nb.model.events import RunFacts
        >>> usage_of(RunFacts()).known_usd is None
        True
    """
    shown = facts.shown_tokens
    open_tokens = shown if facts.cost_usd is None else facts.later_tokens
    return Usage(facts.response_model or facts.model, facts.cost_usd, open_tokens, shown)


def weight_of(tokens: Mapping[str, float]) -> float:
    """What tokens cost, in tokens of input.

    Example:
        >>> weight_of({"input_tokens": 10, "output_tokens": 2, "cache_read_tokens": 100})
        30.0
    """
    return sum(weight * tokens.get(name, 0) for name, weight in WEIGHTS.items())


class Rates:
    """What the tokens that streams show have cost in the runs that ended.

    Example:
        >>> rates = Rates()
        >>> rates.learn("m", {"input_tokens": 100}, 0.5)
        >>> rates.cost_usd(Usage("m", None, {"input_tokens": 20}, {"input_tokens": 20}))
        0.1
    """

    def __init__(self) -> None:
        self._costs_usd: dict[str | None, float] = {}
        self._weights: dict[str | None, float] = {}

    def learn(self, model: str | None, tokens: Mapping[str, float], cost_usd: float) -> None:
        """Learns from a run whose whole cost is known.

        Args:
            model: Its model.
            tokens: The tokens that it showed.
            cost_usd: What it cost.
        """
        weight = weight_of(tokens)
        if weight > 0 and cost_usd > 0:
            self._costs_usd[model] = self._costs_usd.get(model, 0.0) + cost_usd
            self._weights[model] = self._weights.get(model, 0.0) + weight

    def has(self, model: str | None) -> bool:
        """Whether a run of this model has been learned from."""
        return model in self._weights

    def cost_usd(self, usage: Usage) -> float | None:
        """What a run has cost so far; None if that can't be said.

        Where nothing is known of its model, the mean of the others counts.
        """
        if not usage.is_open:
            return usage.known_usd
        usd, weight = self._costs_usd.get(usage.model), self._weights.get(usage.model)
        if usd is None or weight is None:
            usd, weight = sum(self._costs_usd.values()), sum(self._weights.values())
        if not weight:
            return usage.known_usd
        return (usage.known_usd or 0.0) + weight_of(usage.open_tokens) * usd / weight
