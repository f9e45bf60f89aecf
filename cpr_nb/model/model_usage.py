"""How much each model of a task has used: what its stream says, and the share in its totals.

The totals are those of status.json: it sums over all attempts, and knows more about a killed one
than its stream does. The streams say how the models share them.
"""

from __future__ import annotations

from cpr_nb.model.events import TOKEN_FIELDS, usage_tokens
from cpr_nb.model.json_values import integer, number, text_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Figures = dict[str, float | None]

#: The figures of a model.
FIGURES = (*TOKEN_FIELDS, "cost_usd")


class ModelUsage:
    """The usage of each model in one attempt; it interprets the stream as `RunFacts` does.

    Example:
        >>> usage = ModelUsage()
        >>> usage.feed({"type": "result", "modelUsage": {"opus": {"costUSD": 0.5}}})
        >>> usage.by_model["opus"]["cost_usd"]
        0.5
    """

    def __init__(self) -> None:
        self.by_model: dict[str | None, Figures] = {}
        self._model: str | None = None
        self._has_result = False
        self._counted: dict[str | None, object] = {}  # agent → the message counted last

    def feed(self, event: dict[str, Any]) -> None:
        """Adds one event; events come in order."""
        event_type = event.get("type")
        if event_type == "result":
            self._add_result(event)
        elif event_type == "assistant" and not self._has_result:
            self._add_message(event.get("message"), text_or_none(event.get("parent_tool_use_id")))
        elif event_type == "system" and event.get("subtype") == "init":
            self._model = text_or_none(event.get("model"))

    def _add_message(self, message: object, agent: str | None) -> None:
        """Adds the usage of a message once, though each of its events has it."""
        if not isinstance(message, dict) or message.get("model") == "<synthetic>":
            return
        if message.get("id") != self._counted.get(agent):
            self._counted[agent] = message.get("id")
            model = text_or_none(message.get("model")) or self._model
            add_figures(self.by_model, model, usage_tokens(message.get("usage")))

    def _add_result(self, result: dict[str, Any]) -> None:
        since_last = result.get("model_usage_since_last_result")
        is_total = not isinstance(since_last, dict)  # modelUsage counts from the first result on
        usage = result.get("modelUsage") if is_total else since_last
        new: dict[str | None, Figures] = {}
        if isinstance(usage, dict) and usage:
            new.update({model: _parse_figures(figures) for model, figures in usage.items()})
        elif since_last == {}:
            new[self._model] = dict.fromkeys(FIGURES, 0)
        else:
            cost_usd = number(result.get("total_cost_usd"))
            new[self._model] = {**usage_tokens(result.get("usage")), "cost_usd": cost_usd}
        if is_total or not self._has_result:
            self.by_model = new
        else:
            for model, figures in new.items():
                self._add(model, figures)
        self._has_result = True

    def _add(self, model: str | None, figures: Figures) -> None:
        """Adds to a model's figures; one that is unknown here is unknown for the whole attempt."""
        before = self.by_model.get(model)
        if before is None:
            self.by_model[model] = figures
            return
        for name in FIGURES:
            old, new = before.get(name), figures.get(name)
            before[name] = None if old is None or new is None else old + new


def _parse_figures(usage: object) -> Figures:
    if not isinstance(usage, dict):
        return {}
    figures: Figures = {name: integer(usage.get(key)) for name, (key, _) in TOKEN_FIELDS.items()}
    figures["cost_usd"] = number(usage.get("costUSD"))
    return figures


def add_figures(
    sums: dict[str | None, Figures], model: str | None, figures: Mapping[str, float | None]
) -> None:
    """Adds the figures that are known to those of a model."""
    model_sums = sums.setdefault(model, {})
    for name, value in figures.items():
        if value is not None:
            model_sums[name] = (model_sums.get(name) or 0) + value


def share_out_figures(
    task: dict[str, Any], used: Mapping[str | None, Figures]
) -> dict[str | None, Figures]:
    """The figures of an ended task, shared out among its models."""
    shares: dict[str | None, Figures] = {model: {} for model in used}
    for name in FIGURES:
        value = task.get(name)
        total = number(value) if name == "cost_usd" else integer(value)
        parts = {model: figures.get(name) for model, figures in used.items()}
        for model, part in share_out(total, parts).items():
            shares.setdefault(model, {})[name] = part
    return shares


def share_out(
    total: float | None, parts: Mapping[str | None, float | None]
) -> dict[str | None, float]:
    """Shares a figure out among models so that the parts add up; None gets what no model has.

    Args:
        total: The figure.
        parts: Model → its figure in the streams.

    Returns:
        Model → its part; empty if the figure is not known.

    Example:
        >>> share_out(10, {"opus": 6, "haiku": 4})
        {'opus': 6, 'haiku': 4}
        >>> share_out(10, {"opus": 6, "haiku": 3})
        {'opus': 6, 'haiku': 3, None: 1}
        >>> share_out(10, {"opus": 6})
        {'opus': 10}
    """
    if total is None:
        return {}
    if len(parts) <= 1:
        return {next(iter(parts), None): total}
    shares = {model: part for model, part in parts.items() if part is not None}
    rest = total - sum(shares.values())
    rounding = 1e-9 * max(1.0, total) if isinstance(rest, float) else 0  # tokens are whole
    if shares and abs(rest) <= rounding:
        return shares
    if rest < 0:
        return {None: total}  # the streams have more than was counted: nobody knows whose that is
    shares[None] = shares.get(None, 0) + rest
    return shares
