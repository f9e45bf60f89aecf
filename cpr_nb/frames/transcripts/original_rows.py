"""Which of the copies of an answer counts: forks and resumes copy what came before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cpr_nb.frames.transcripts.file_reader import MESSAGE_FIELDS

_FIGURES = MESSAGE_FIELDS[4:11]


def mark_originals(tables: Mapping[str, pd.DataFrame]) -> None:
    """Says which answers are the originals: forks and resumes copy what came before.

    An answer counts in one file: the one whose own it is, else the one that began first, else the
    first by its path. Its figures are the largest, which are the final ones.
    """
    messages, calls, files = tables["messages"], tables["calls"], tables["files"]
    is_copied = messages["message_id"].duplicated(keep=False).to_numpy(bool)
    original = np.ones(len(messages), bool)
    if is_copied.any():
        copies = messages.loc[is_copied, ["message_id", "file", "is_foreign", "output_tokens"]]
        of_file = files.set_index("file")
        copies["began"] = copies["file"].map(of_file["first_at"])
        copies["path"] = copies["file"].map(of_file["path"])  # numbers change with each reading
        ordered = copies.sort_values(["is_foreign", "began", "path"], kind="stable")
        first = ~ordered["message_id"].duplicated()
        original[ordered.index[~first]] = False
        _take_final_figures(messages, ordered, ordered.index[first])
    messages["is_original"] = pd.arrays.BooleanArray(original, np.zeros(len(original), bool))
    _mark_calls(messages, calls)


def _take_final_figures(messages: pd.DataFrame, copies: pd.DataFrame, originals: Any) -> None:
    """Gives each original the figures of its copy with the most output tokens."""
    known = copies["output_tokens"].fillna(-1)
    largest = known.groupby(copies["message_id"]).idxmax()
    source = largest.loc[copies.loc[originals, "message_id"]].to_numpy()
    moved = source != np.asarray(originals)
    if moved.any():
        for name in _FIGURES:
            messages.loc[originals[moved], name] = messages.loc[source[moved], name].array


def _mark_calls(messages: pd.DataFrame, calls: pd.DataFrame) -> None:
    """Gives calls the marks of the answers that made them."""
    if not len(calls):
        return
    order = messages[["file", "number"]].to_numpy("int64")
    places = _place(order, calls[["file", "message_number"]].to_numpy("int64"))
    for name in ("is_original", "is_current"):
        calls[name] = messages[name].array.take(places)


def _place(rows: Any, wanted: Any) -> Any:
    """The indexes of rows by two numbers each; both are small."""
    width = int(max(rows[:, 1].max(), wanted[:, 1].max())) + 1
    keys = rows[:, 0] * width + rows[:, 1]
    order = np.argsort(keys, kind="stable")
    return order[np.searchsorted(keys[order], wanted[:, 0] * width + wanted[:, 1])]
