"""What answers cost at list price: an estimate, since a transcript has no costs.

The prices are data, in `list_prices.json`, with their date and their sources. What is not in it has
no cost here: another model, a model of another provider, the fast mode.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.arrays import TIME, array

_PER = 1e6
_DATE_CHARS = 9  # "-20250929"
_CONTEXT = "[1m]"
_KINDS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
}
_PROMPT_KINDS = ("input_tokens", "cache_read_tokens", "cache_write_tokens")


@cache
def price_list() -> dict[str, Any]:
    """The prices, their date (``as_of``) and their sources."""
    file = resources.files("cpr_nb.frames.transcripts") / "list_prices.json"
    prices: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return prices


def priced_name(model: str) -> str:
    """The name of a model in the price list, if it is there.

    Example:
        >>> priced_name("claude-sonnet-4-5-20250929"), priced_name("claude-opus-5-5[1m]")
        ('claude-sonnet-4-5', 'claude-opus-5-5')
    """
    name = model.removesuffix(_CONTEXT)
    date = name[-_DATE_CHARS:]
    return name[:-_DATE_CHARS] if date[:1] == "-" and date[1:].isdigit() else name


def estimate_costs(messages: pd.DataFrame) -> Any:
    """The cost of each answer in US dollars, at list price; missing where it is unknown.

    Args:
        messages: A row per answer: ``model``, ``at``, the four kinds of tokens,
            ``cache_write_1h_tokens``, ``n_web_searches``, ``is_fast``.
    """
    n_rows = len(messages)
    costs = np.full(n_rows, np.nan)
    tokens = {name: _floats(messages[name]) for name in _KINDS.values()}
    for_an_hour = np.nan_to_num(_floats(messages["cache_write_1h_tokens"]))
    n_searches = np.nan_to_num(_floats(messages["n_web_searches"]))
    is_fast = messages["is_fast"].fillna(False).to_numpy(bool)
    prompt = sum(np.nan_to_num(tokens[name]) for name in _PROMPT_KINDS)
    prices, models = price_list(), messages["model"]
    for model in models.dropna().unique():
        periods = prices["models"].get(priced_name(model), ())
        rows = np.flatnonzero((models == model).fillna(False).to_numpy(bool) & ~is_fast)
        for period, chosen in _by_period(periods, rows, messages["at"]):
            for price, part in _by_length(period, chosen, prompt):
                cost = sum(tokens[name][part] * price[kind] for kind, name in _KINDS.items())
                cost = cost + for_an_hour[part] * (price["cache_write_1h"] - price["cache_write"])
                costs[part] = cost / _PER + n_searches[part] * prices["web_search_usd"]
    return pd.arrays.FloatingArray(np.nan_to_num(costs), np.isnan(costs))


def _floats(column: pd.Series[Any]) -> Any:
    return column.to_numpy("float64", na_value=np.nan)


def _by_period(periods: Any, rows: Any, at: pd.Series[Any]) -> Any:
    """The prices of rows, by their time; a row without a time has the newest ones."""
    for period in periods:
        chosen = rows
        if "until" in period:
            until = pd.Series(array([f"{period['until']}T00:00:00.000Z"], TIME))[0]
            chosen = rows[(at.iloc[rows] < until).to_numpy(bool)]
            rows = np.setdiff1d(rows, chosen, assume_unique=True)
        yield period, chosen


def _by_length(period: Any, rows: Any, prompt: Any) -> Any:
    """The prices of rows, by the length of their prompts."""
    if "above" not in period:
        yield period, rows
        return
    is_long = prompt[rows] > period["above_tokens"]
    yield period, rows[~is_long]
    yield period["above"], rows[is_long]
