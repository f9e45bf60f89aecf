"""Intervals and differences: what holds for any data, and errors in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.model.errors import InputError, StatsMissing
from cpr_nb.stats import estimates, pairs
from cpr_nb.stats.bounds import cluster_spread, row_spread
from cpr_nb.stats.quantiles import has_scipy, t_quantile

COUNTS = st.lists(
    st.integers(1, 8).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=40,
)
COSTS = st.lists(st.floats(0.001, 1000), min_size=2, max_size=40)
PAIRS = st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=3, max_size=30)


def rates(counts: list[tuple[int, int]]) -> tuple[list[float], list[int]]:
    return [good / n for good, n in counts], [n for _, n in counts]


@given(COUNTS, st.booleans())
def test_a_share_lies_in_its_interval_and_that_from_0_to_1(counts: Any, is_share: bool) -> None:
    found = estimates.share_interval(*rates(counts), is_share=is_share)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


@given(COUNTS)
def test_failures_mirror_successes(counts: Any) -> None:
    means, repeats = rates(counts)
    good = estimates.share_interval(means, repeats)
    bad = estimates.share_interval([1 - mean for mean in means], repeats)
    assert [bad.low, bad.high] == pytest.approx([1 - good.high, 1 - good.low])


@given(COUNTS, st.randoms(use_true_random=False))
def test_the_order_of_rows_means_nothing(counts: Any, random: Any) -> None:
    found = estimates.share_interval(*rates(counts))
    random.shuffle(counts)
    assert estimates.share_interval(*rates(counts))[:3] == pytest.approx(found[:3])


@settings(max_examples=40)
@given(COUNTS, COUNTS)
def test_a_difference_turns_round_with_its_levels(a: Any, b: Any) -> None:
    n = min(len(a), len(b))
    first, second = rates(a[:n]), rates(b[:n])
    found = pairs.share_difference(*first, *second)
    back = pairs.share_difference(*second, *first)
    assert [back.value, back.low, back.high] == pytest.approx(
        [-found.value, -found.high, -found.low]
    )
    assert back.p_value == pytest.approx(found.p_value, abs=1e-9)
    assert -1 <= found.low <= found.value <= found.high <= 1
    leaves_out_zero = found.low > 0 or found.high < 0
    assert leaves_out_zero == (found.p_value < 0.05)
    assert found.detectable >= (found.high - found.low) / 2


def test_the_p_value_is_where_the_interval_begins_to_leave_out_0() -> None:
    a, b = rates([(2, 4), (1, 3), (1, 1)] * 4), rates([(3, 4), (1, 3), (1, 1)] * 4)
    p_value = pairs.share_difference(*a, *b).p_value
    assert 0.0001 < p_value < 0.5
    touching = pairs.share_difference(*a, *b, confidence=1 - p_value)
    assert touching.low == pytest.approx(0, abs=1e-6)
    numbers = np.array([0.1, 0.5, -0.2, 0.6, 0.3, 0.2])
    one = pairs.mean_difference(0 * numbers, numbers)
    assert pairs.mean_difference(
        0 * numbers, numbers, confidence=1 - one.p_value
    ).low == pytest.approx(0, abs=1e-6)
    costs = [0.1, 0.4, 0.2, 0.3], [0.15, 0.5, 0.4, 0.31]
    bill = pairs.bill_ratio(*costs)
    assert pairs.bill_ratio(*costs, confidence=1 - bill.p_value).low == pytest.approx(1, abs=1e-6)


@given(PAIRS)
def test_a_ratio_turns_round_with_its_levels(costs: Any) -> None:
    a, b = zip(*costs, strict=True)
    for ratio in (pairs.bill_ratio, pairs.typical_ratio):
        found, back = ratio(a, b), ratio(b, a)
        assert found.low <= found.value <= found.high
        assert back.value == pytest.approx(1 / found.value)
        if found.low > 0 and found.high < math.inf:
            assert [back.low, back.high] == pytest.approx([1 / found.high, 1 / found.low])


@given(COSTS)
def test_more_confidence_is_a_wider_interval(costs: Any) -> None:
    for interval in (estimates.skewed_interval, estimates.mean_interval):
        wide, narrow = interval(costs, confidence=0.99), interval(costs, confidence=0.9)
        slack = 1e-9 * max(costs)
        assert wide.low <= narrow.low + slack
        assert narrow.high <= wide.high + slack


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (3, 3, 3), (20, 8, 4, 2, 2, 1, 1, 1, 1), (2, 1)])
def test_clusters_by_definition(sizes: tuple[int, ...]) -> None:
    """Bell and McCaffrey (2002), with the matrices of a regression on a constant."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    values = np.random.default_rng(7).random(len(clusters))
    n = len(values)
    ones = np.ones((n, 1))
    residual_maker = np.eye(n) - ones @ ones.T / n
    residuals = residual_maker @ values
    columns, variance = [], 0.0
    for cluster in range(len(sizes)):
        chosen = clusters == cluster
        eigenvalues, vectors = np.linalg.eigh(residual_maker[np.ix_(chosen, chosen)])
        adjust = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        weights = adjust @ ones[chosen, 0] / n
        variance += float(weights @ residuals[chosen]) ** 2
        columns.append(residual_maker[:, chosen] @ weights)
    together = np.column_stack(columns)
    eigenvalues = np.linalg.eigvalsh(together.T @ together)
    found = cluster_spread(values, clusters)
    assert found.variance == pytest.approx(variance)
    assert found.df == pytest.approx(np.sum(eigenvalues) ** 2 / np.sum(eigenvalues**2))


def test_clusters_of_one_row_are_rows() -> None:
    values = [0.1, 0.7, 0.4, 0.9]
    assert cluster_spread(values, "abcd")[:2] == pytest.approx(row_spread(values)[:2])
    alone = estimates.share_interval(values, [1] * 4)
    assert estimates.share_interval(values, [1] * 4, clusters="abcd")[:5] == pytest.approx(
        alone[:5]
    )
    assert estimates.mean_interval(values, clusters="abcd")[:3] == pytest.approx(
        estimates.mean_interval(values)[:3]
    )


def test_few_clusters_are_uncertain() -> None:
    values, clusters = [1.0] * 20 + [0.0] * 5, ["a"] * 20 + list("bcdef")
    found = estimates.share_interval(values, [1] * 25, clusters=clusters)
    assert found.n == 6 and found.df < 4
    assert found.uncertain == f"few clusters carry it ({found.df:.1f} degrees of freedom)"


def test_an_estimate_needs_two_rows() -> None:
    one = estimates.share_interval([0.5], [2])
    assert one.value == 0.5 and math.isnan(one.low) and one.uncertain == "one row"
    none = estimates.skewed_interval([])
    assert math.isnan(none.value) and none.uncertain == "no rows"
    cluster = estimates.mean_interval([1.0, 2.0], clusters=["a", "a"])
    assert cluster.value == 1.5 and math.isnan(cluster.high) and cluster.uncertain == "one cluster"
    assert pairs.share_difference([1], [1], [0], [1]).uncertain == "one pair"
    assert math.isnan(pairs.bill_ratio([], []).value)


def test_equal_costs_leave_no_doubt_but_their_number() -> None:
    found = estimates.skewed_interval([0.5] * 40)
    assert found == (0.5, 0.5, 0.5, 40, 39, "")
    wild = np.exp(np.linspace(-4, 4, 60))
    assert estimates.skewed_interval(wild).uncertain.startswith("under 100 rows, and they differ")


@pytest.mark.parametrize(
    ("a", "b", "value", "why"),
    [
        pytest.param([0, 0], [1, 2], math.nan, "the baseline cost nothing", id="free-baseline"),
        pytest.param([1, 2], [0, 0], 0, "one of the levels cost nothing", id="free-other"),
        pytest.param([1, 0], [1, 2], 3, "one row makes up a whole bill", id="one-row-pays"),
    ],
)
def test_a_bill_of_nothing(a: list[float], b: list[float], value: float, why: str) -> None:
    found = pairs.bill_ratio(a, b)
    assert found.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(found.low) and found.uncertain == why
    assert pairs.typical_ratio(a, b).uncertain == "a row that cost nothing has no ratio"


def test_near_the_ends_the_smallest_difference_is_at_least() -> None:
    middle, high = [0.5] * 50, [1.0] * 46 + [0.0] * 4
    assert not pairs.share_difference(middle, [2] * 50, middle, [2] * 50).detectable_at_least
    assert pairs.share_difference(high, [1] * 50, high, [1] * 50).detectable_at_least
    many = high * 4
    assert not pairs.share_difference(many, [1] * 200, many, [1] * 200).detectable_at_least


def test_a_superior_level_is_better_on_most_rows() -> None:
    found = pairs.superiority([1, 2, 3, 4], [2, 3, 4, 4])
    assert found.value == 0.875 and found.low < 0.875 < found.high


def test_several_p_values() -> None:
    # statsmodels 0.14.6: multipletests([0.01, 0.04, 0.03, 0.005], method="holm")[1]
    assert pairs.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert pairs.holm([0.5, math.nan, 0.9])[0] == 1.0
    assert math.isnan(pairs.holm([0.5, math.nan, 0.9])[1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(lambda: estimates.share_interval([2], [1]), "means: must lie", id="range"),
        pytest.param(
            lambda: estimates.share_interval([1, 0], [1]), "repeats: there are 1", id="length"
        ),
        pytest.param(
            lambda: estimates.share_interval([1, 0], [1, 0]), "repeats: must be at", id="no-repeat"
        ),
        pytest.param(
            lambda: estimates.mean_interval([1, math.nan]), "none may be missing", id="missing"
        ),
        pytest.param(
            lambda: estimates.mean_interval([1, 2], clusters=["a"]), "clusters: there", id="cluster"
        ),
        pytest.param(lambda: pairs.mean_difference([1], [1, 2]), "pairs: both levels", id="pairs"),
        pytest.param(lambda: pairs.bill_ratio([math.nan], [1]), "leave out", id="missing-pair"),
    ],
)
def test_mistakes(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_without_scipy_an_interval_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    assert not has_scipy()
    with pytest.raises(StatsMissing, match=r"pip install 'cpr_nb\[stats\]'"):
        t_quantile(0.95, 9)
