"""The table of pass@k and pass^k."""

from __future__ import annotations

import pandas as pd

from cpr_nb.frames.columns import Column, table
from cpr_nb.stats.pass_at_k import pass_all_k, pass_at_k
from cpr_nb.views.candidates import Candidates

PASS_AT_K = (
    Column("k", "Int64", "how many candidates"),
    Column("pass_at_k", "Float64", "how often one of them solves a row; missing if not known"),
    Column("at_least", "Float64", "the smallest that it can be in these rows"),
    Column("at_most", "Float64", "the largest"),
    Column("pass_at_k_low", "Float64", "the lower end of its 95 % interval for rows like these"),
    Column("pass_at_k_high", "Float64", "the upper end"),
    Column("pass_all_k", "Float64", "how often all of them solve a row; missing if not known"),
    Column("pass_all_k_low", "Float64", "the lower end of its 95 % interval"),
    Column("pass_all_k_high", "Float64", "the upper end"),
    Column("n_rows", "Int64", "how many rows it is the mean of"),
)


def pass_table(candidates: Candidates) -> pd.DataFrame:
    """Makes the table of pass@k and pass^k; see `Session.pass_at_k`.

    Args:
        candidates: The candidates of all rows.
    """
    in_order, solutions = candidates.has_left_out, candidates.solutions()
    figures = pass_at_k(solutions, in_order=in_order)
    every = {one.k: one for one in pass_all_k(solutions, in_order=in_order)}
    rows = []
    for one in figures:
        row = {
            "k": one.k,
            "pass_at_k": one.value,
            "at_least": one.at_least,
            "at_most": one.at_most,
            "pass_at_k_low": one.low,
            "pass_at_k_high": one.high,
            "n_rows": one.n_rows,
        }
        if one.k in every:
            all_k = every[one.k]
            row |= {
                "pass_all_k": all_k.value,
                "pass_all_k_low": all_k.low,
                "pass_all_k_high": all_k.high,
            }
        rows.append(row)
    return table(rows, PASS_AT_K)
