"""The grade and the label of each row, as numbers, for the agreement of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cpr_nb.frames.columns import DataFrame
from cpr_nb.model.errors import InputError
from cpr_nb.model.grader import score_column


def label_pairs(
    results: DataFrame, labels: str | Sequence[Any] | pd.Series[Any]
) -> tuple[list[float], list[float]]:
    """The grades and the labels of the rows, both as numbers; NaN where one is missing.

    Args:
        results: A table of results with grades.
        labels: The name of a column, or one label a row. A Series is matched by its index.

    Raises:
        InputError: If the labels don't fit the rows, or are not numbers.

    Example:
        >>> results = pd.DataFrame({"score": [0.5, None], "good": [True, None]})
        >>> label_pairs(results, "good")
        ([0.5, nan], [1.0, nan])
    """
    grades = results[score_column(results.columns)]
    return _numbers(grades, "score"), _numbers(_column(results, labels), "labels")


def _column(
    results: DataFrame, labels: str | Sequence[Any] | pd.Series[Any]
) -> pd.Series[Any] | pd.Index[Any]:
    if isinstance(labels, str):
        if labels in results:
            return results[labels]
        if labels in results.index.names:
            return results.index.get_level_values(labels)
        raise InputError(f"the table has no column {labels!r}", "labels")
    if isinstance(labels, pd.Series):
        if not labels.index.is_unique:
            raise InputError(
                "has an index value twice: which label is meant is not clear", "labels"
            )
        unknown = labels.index.difference(results.index)
        if len(unknown):
            raise InputError(f"has a row that the table does not have: {unknown[0]!r}", "labels")
        return labels.reindex(results.index)
    labels = list(labels)  # an array of numpy is no Sequence
    if len(labels) != len(results):
        raise InputError(
            f"has {len(labels)} labels for {len(results)} rows: give one a row, None for those "
            "without",
            "labels",
        )
    return pd.Series(labels, dtype="object")


def _numbers(values: pd.Series[Any] | pd.Index[Any], where: str) -> list[float]:
    numbers = []
    for value in values:
        try:
            numbers.append(float("nan") if pd.isna(value) else float(value))
        except (TypeError, ValueError):
            raise InputError(
                f"has {value!r}, which is no number: use True and False, or numbers from 0 to 1",
                where,
            ) from None
    return numbers
