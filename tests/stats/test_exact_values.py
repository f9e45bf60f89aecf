"""The intervals against values that were computed elsewhere, to the last printed digit."""

from __future__ import annotations

from typing import Any

import pytest

from cpr_nb.stats import estimates, pairs

EIGHT = [1, 1, 0.8, 1, 0, 1, 0.6, 1]  # ok 5 5 4 5 0 5 3 5 of 5
COSTS = [0.12, 0.3, 0.22, 0.9, 0.41, 0.18, 0.33, 2.2, 0.15, 0.5]
A = [0.1, 0.2, 0.15, 0.4, 0.3, 0.12, 0.2, 0.9, 0.1, 0.25]
B = [0.25, 0.5, 0.2, 1.1, 0.5, 0.4, 0.3, 2.5, 0.2, 0.7]


def near(*numbers: float) -> Any:
    return pytest.approx(numbers, abs=6e-7)


@pytest.mark.parametrize(
    ("means", "repeats", "expected"),
    [
        pytest.param(EIGHT, [5] * 8, (0.8, 0.428824, 0.955180), id="repeats"),
        # statsmodels 0.15.0: proportion_confint(9, 10, 2 * norm.sf(t.ppf(0.975, 9)), "wilson")
        pytest.param([1] * 9 + [0], [1] * 10, (0.9, 0.543690, 0.985503), id="wilson"),
        pytest.param([1] * 12, [3] * 12, (1, 0.712406, 1), id="all-ok"),
        pytest.param([0] * 12, [3] * 12, (0, 0, 1 - 0.712406), id="none-ok"),
        pytest.param(
            [1, 1, 1 / 3, 1, 0, 1], [1, 2, 3, 4, 2, 3], (0.722222, 0.264107, 0.949586), id="uneven"
        ),
    ],
)
def test_shares(means: list[float], repeats: list[int], expected: tuple[float, ...]) -> None:
    found = estimates.share_interval(means, repeats)
    assert found[:3] == near(*expected)
    assert (found.n, found.df, found.uncertain) == (len(means), len(means) - 1, "")


def test_a_mean_cost() -> None:
    found = estimates.skewed_interval(COSTS)
    assert found[:3] == near(0.531, 0.221700, 2.176255)
    assert found.uncertain == "under 30 rows"


def test_a_difference_of_shares() -> None:
    other = [1, 1, 1, 1, 0.4, 1, 0.8, 1]
    found = pairs.share_difference(EIGHT, [5] * 8, other, [5] * 8)
    assert found[:3] == near(0.1, -0.187383, 0.445562)
    assert found.n_pairs == 8


def test_two_levels_that_agree_on_every_row() -> None:
    same = [1] * 14 + [0] * 6
    found = pairs.share_difference(same, [1] * 20, same, [1] * 20)
    assert found[:3] == near(0, -0.140279, 0.140279)
    assert found.p_value == 1


def test_two_ratios_with_two_names() -> None:
    assert pairs.bill_ratio(A, B)[:3] == near(2.444853, 1.996078, 2.994525)
    assert pairs.typical_ratio(A, B)[:3] == near(2.224772, 1.785695, 2.771812)
