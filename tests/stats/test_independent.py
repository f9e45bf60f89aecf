"""The same figures as other people's code, on the same data: values that it printed.

They are from statsmodels 0.14.6 and inspect_ai 0.3.285. `independent_values.py` says how to
install these, and prints the values again. No test needs them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from stats.independent_values import SIZES, TASKS_OK, VALUES

from cpr_nb.stats.bounds import (
    Bounds,
    cluster_spread,
    row_spread,
    shrunk_wilson,
    square_and_add,
)
from cpr_nb.stats.estimates import mean_interval
from cpr_nb.stats.pairs import holm
from cpr_nb.stats.quantiles import t_quantile

NEARLY = 1e-12


def test_repeats_averaged_by_row_are_tasks_in_clusters_of_rows() -> None:
    """The standard error that both print for the 40 tasks, clustered by row."""
    spread = row_spread([good / 5 for good in TASKS_OK])
    assert math.sqrt(spread.variance) == pytest.approx(0.12535663410560174, abs=NEARLY)
    tasks = np.concatenate([[1.0] * good + [0.0] * (5 - good) for good in TASKS_OK])
    clustered = cluster_spread(tasks, np.repeat(np.arange(8), 5))
    assert clustered.variance == pytest.approx(spread.variance, abs=NEARLY)
    assert clustered.df == pytest.approx(spread.df)


def test_rows_in_clusters_of_one_size() -> None:
    spread = cluster_spread(VALUES, np.repeat(np.arange(len(SIZES)), SIZES))
    assert math.sqrt(spread.variance) == pytest.approx(0.13149778198382917, abs=NEARLY)


def test_wilson_with_one_repeat_a_row() -> None:
    found = shrunk_wilson(row_spread([1] * 9 + [0]), t_quantile(0.95, 9), [1] * 10)
    assert found[1:] == pytest.approx((0.5436896247025838, 0.9855034771692694), abs=1e-9)


def test_newcombe_without_pairs() -> None:
    normal = 1.959963984540054
    levels = [shrunk_wilson(row_spread([1] * n + [0] * (40 - n)), normal) for n in (22, 30)]
    found: Bounds = square_and_add(levels[0], levels[1], 0.0)
    assert found[1:] == pytest.approx((-0.008613203905400851, 0.38629945221878925), abs=NEARLY)


def test_student() -> None:
    assert mean_interval(VALUES)[1:3] == pytest.approx((0.3533860176649471, 0.696613982335053))


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
