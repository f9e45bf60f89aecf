"""Rows of what each model has used.

The truth is status.json, which sums over all attempts and knows more of a killed one than its
stream does. The streams say which model's it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cpr_nb.frames.streams import ObjectReader, TaskSelection
from cpr_nb.model import states
from cpr_nb.model.events import TOKEN_FIELDS, integer, number, text_or_none, usage_tokens
from cpr_nb.model.record import task_state

#: The figures of a row.
FIGURES = (*TOKEN_FIELDS, "cost_usd")

_Figures = dict[str, float | None]


class ModelUsage:
    """What each model has used in one attempt; reads the stream as `RunFacts` does.

    Example:
        >>> usage = ModelUsage()
        >>> usage.feed({"type": "result", "modelUsage": {"opus": {"costUSD": 0.5}}})
        >>> usage.by_model["opus"]["cost_usd"]
        0.5
    """

    def __init__(self) -> None:
        self.by_model: dict[str | None, _Figures] = {}
        self._model: str | None = None
        self._has_result = False
        self._counted: dict[str | None, object] = {}  # the message counted last, of each agent

    def feed(self, event: dict[str, Any]) -> None:
        """Takes one event, in order."""
        kind = event.get("type")
        if kind == "result":
            self._take_result(event)
        elif kind == "assistant" and not self._has_result:
            self._take_message(event.get("message"), text_or_none(event.get("parent_tool_use_id")))
        elif kind == "system" and event.get("subtype") == "init":
            self._model = text_or_none(event.get("model"))

    def _take_message(self, message: object, agent: str | None) -> None:
        """A message's usage stands in each of its events, and counts once."""
        if not isinstance(message, dict) or message.get("model") == "<synthetic>":
            return
        if message.get("id") != self._counted.get(agent):
            self._counted[agent] = message.get("id")
            model = text_or_none(message.get("model")) or self._model
            add_figures(self.by_model, model, usage_tokens(message.get("usage")))

    def _take_result(self, result: dict[str, Any]) -> None:
        since_last = result.get("model_usage_since_last_result")
        grows = not isinstance(since_last, dict)  # modelUsage counts from the first result on
        told = result.get("modelUsage") if grows else since_last
        new: dict[str | None, _Figures] = {}
        if isinstance(told, dict) and told:
            new.update({model: _parse_figures(figures) for model, figures in told.items()})
        elif since_last == {}:
            new[self._model] = dict.fromkeys(FIGURES, 0)
        else:
            cost_usd = number(result.get("total_cost_usd"))
            new[self._model] = {**usage_tokens(result.get("usage")), "cost_usd": cost_usd}
        if grows or not self._has_result:
            self.by_model = new
        else:
            for model, figures in new.items():
                self._add(model, figures)
        self._has_result = True

    def _add(self, model: str | None, figures: _Figures) -> None:
        """Adds to a model's figures; one that is not known here is not known of the attempt."""
        before = self.by_model.get(model)
        if before is None:
            self.by_model[model] = figures
            return
        for name in FIGURES:
            old, new = before.get(name), figures.get(name)
            before[name] = None if old is None or new is None else old + new


def _parse_figures(told: object) -> _Figures:
    if not isinstance(told, dict):
        return {}
    figures: _Figures = {name: integer(told.get(key)) for name, (key, _) in TOKEN_FIELDS.items()}
    figures["cost_usd"] = number(told.get("costUSD"))
    return figures


def add_figures(
    sums: dict[str | None, _Figures], model: str | None, figures: Mapping[str, float | None]
) -> None:
    """Adds what is known to a model's figures."""
    mine = sums.setdefault(model, {})
    for name, value in figures.items():
        if value is not None:
            mine[name] = (mine.get(name) or 0) + value


class UsageReader(ObjectReader):
    """What each model has used in the attempt of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.usage = ModelUsage()

    def feed_event(self, event: dict[str, Any]) -> None:
        """Takes one event."""
        self.usage.feed(event)


def usage_rows(view: TaskSelection) -> Iterator[dict[str, Any]]:
    """A row a task and a model."""
    for _, task in view.tasks:
        used: dict[str | None, _Figures] = {}
        for _attempt, reading in view.attempts(task, UsageReader):
            for model, figures in reading.usage.by_model.items():
                add_figures(used, model, figures)
        if task_state(task)[0] == states.ENDED:
            used = _share_out_figures(task, used)
        for model, figures in used.items():
            if any(value is not None for value in figures.values()):
                yield {**view.ids(task), "model": model, **figures}


def _share_out_figures(
    task: dict[str, Any], used: Mapping[str | None, _Figures]
) -> dict[str | None, _Figures]:
    """The figures of an ended task, shared out among its models."""
    shares: dict[str | None, _Figures] = {model: {} for model in used}
    for name in FIGURES:
        told = task.get(name)
        total = number(told) if name == "cost_usd" else integer(told)
        parts = {model: figures.get(name) for model, figures in used.items()}
        for model, part in share_out(total, parts).items():
            shares.setdefault(model, {})[name] = part
    return shares


def share_out(
    total: float | None, parts: Mapping[str | None, float | None]
) -> dict[str | None, float]:
    """Shares a figure out among models so that it adds up; what is no model's is None's.

    Args:
        total: The figure.
        parts: What the streams say of each model.

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
    known = {model: part for model, part in parts.items() if part is not None}
    rest = total - sum(known.values())
    rounding = 1e-9 * max(1.0, total) if isinstance(rest, float) else 0  # tokens are whole
    if known and abs(rest) <= rounding:
        return known
    if rest < 0:
        return {None: total}  # the streams say more than was counted: whose is it then?
    known[None] = known.get(None, 0) + rest
    return known
