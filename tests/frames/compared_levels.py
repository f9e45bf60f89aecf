"""Results of levels as a table, compared: what tests of comparisons share."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from cpr_nb.display.decisions.comparison_output import Comparison, comparison_parts
from cpr_nb.frames.level_pairs import compare_results, comparison_table
from cpr_nb.frames.row_metrics import TaskFacts
from cpr_nb.stats.comparison import LevelComparison
from cpr_nb.stats.metric_kinds import BOUNDED, SHARE, SKEWED, Metric

OK = Metric("ok", SHARE, 0.0, 1.0)
SCORE = Metric("score", BOUNDED, 0.0, 100.0)
COST = Metric("cost_usd", SKEWED, 0.0)


def results_of(**levels: list[Any]) -> tuple[pd.DataFrame, TaskFacts]:
    """Results of levels: what each row has there; a text is the reason of a failure."""
    rows, numbers, reasons = [], [], []
    for number in range(len(next(iter(levels.values())))):
        for level, values in levels.items():
            value = values[number]
            is_ok = not isinstance(value, str)
            outcome = "succeeded" if is_ok else None if value == "" else "failed"
            score = float(value) if is_ok else math.nan
            rows.append({"model": level, "outcome": outcome, "score": score, "cost_usd": 1.0})
            numbers.append(number)
            reasons.append("completed" if is_ok else value or None)
    frame = pd.DataFrame(rows)
    frame["model"] = pd.Categorical(frame["model"], categories=list(levels))
    frame["ok"] = frame["outcome"] == "succeeded"
    return frame, TaskFacts(numbers, reasons)


def compared(metric: Metric, baseline: str | None = None, **levels: list[Any]) -> LevelComparison:
    results, facts = results_of(**levels)
    return compare_results(results, facts, "model", baseline, metric)


def text_of(found: LevelComparison, scope: str = "") -> str:
    parts = comparison_parts(found, scope)
    shown = str(Comparison(parts, "title", comparison_table(found, parts.method)))
    return " ".join(shown.split())
