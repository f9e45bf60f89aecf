"""Agreement with people: known values, what is uncertain, and labels that don't fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cpr_nb.frames.label_pairs import label_pairs
from cpr_nb.model.errors import InputError
from cpr_nb.stats.agreement import agreement

NAN = float("nan")


def from_counts(counts: list[list[int]], levels: list[float]) -> tuple[list[float], list[float]]:
    """Grades and labels with this table of counts, a row per grade."""
    pairs = [
        (levels[row], levels[column])
        for row, line in enumerate(counts)
        for column, count in enumerate(line)
        for _ in range(count)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def test_the_values_of_a_textbook() -> None:
    # 20 + 15 of 50 agree: kappa 0.4 (Wikipedia, "Cohen's kappa", simple example). Its standard
    # error of 0.12697 is that of Fleiss, Cohen and Everitt (1969), by hand.
    found = agreement(*from_counts([[20, 5], [10, 15]], [0.0, 1.0]))
    assert found.kappa == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.4 - 1.959964 * 0.12697, 0.648856), abs=2e-4)
    assert (found.n, found.n_agree, found.n_without, found.uncertain) == (50, 35, 0, "")
    assert found.share.value == pytest.approx(0.7) and found.share.low < 0.7 < found.share.high


@pytest.mark.parametrize("levels", [[0.0, 0.5, 1.0], [0.0, 0.1, 1.0]], ids=["even", "uneven"])
def test_quadratic_weights_follow_the_distances(levels: list[float]) -> None:
    counts = [[11, 2, 0], [1, 9, 3], [0, 2, 12]]
    found = agreement(*from_counts(counts, levels))
    table, place = np.array(counts, float) / 40, np.array(levels)
    distance = (place[:, None] - place[None, :]) ** 2
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0))
    assert found.kappa == pytest.approx(1 - (distance * table).sum() / (distance * by_chance).sum())
    assert found.weights == "quadratic" and "quadratic" in str(found)


def test_a_grade_counts_as_the_nearest_label_or_by_the_threshold() -> None:
    assert agreement([0.49, 0.5, 0.9], [0, 1, 1]).n_agree == 3
    assert agreement([0.49, 0.5, 0.9], [0, 1, 1], threshold=0.6).n_agree == 2
    found = agreement([0.3, 0.2, 0.7, 0.8], [0.2, 0.2, 0.8, 0.4])
    assert (found.n_agree, found.levels) == (3, (0.2, 0.4, 0.8))


def test_what_is_uncertain_is_said() -> None:
    alike = agreement([1.0, 0.9, 0.8], [1, 1, 1])
    assert math.isnan(alike.kappa) and "all alike" in str(alike) and alike.share.value == 1.0
    full = agreement([1.0, 0.0, 0.9, 0.1], [1, 0, 1, 0])
    assert full.kappa == 1.0 and math.isnan(full.low) and "no spread" in full.uncertain
    few = agreement([1.0, 0.0, 0.9, 0.1], [1, 0, 1, 1])
    assert few.uncertain == "only 4 rows"


def test_repeats_of_a_row_are_one_row() -> None:
    grades, labels = [1.0, 1.0, 0.0, 0.0] * 10, [1, 1, 0, 1] * 10
    rows = [number // 10 for number in range(40)]
    found = agreement(grades, labels, rows=rows)
    alone = agreement(grades, labels)
    assert found.kappa == alone.kappa and found.share.n == 4 and alone.share.n == 40
    assert "several answers of a row" in found.uncertain


def test_rows_without_a_grade_or_a_label_are_counted() -> None:
    found = agreement([0.9, NAN, 0.1, 0.8], [1, 1, NAN, 0])
    assert (found.n, found.n_without) == (2, 2)
    assert "2 rows have no grade or no label." in str(found)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([5, 3, 1, 4], "divide stars from 0 to 5 by 5"),
        ([NAN, NAN, NAN, 1], "1 row has both a grade and a label"),
        ([0.1, 0.2], "has 2 labels for 4 rows"),
        (["good", "bad", "bad", "bad"], "has 'good', which is no number"),
        ("nothing", "has no column 'nothing'"),
        (pd.Series([1, 0], index=["a", "nowhere"]), "does not have: 'nowhere'"),
    ],
    ids=["stars", "missing", "short", "words", "column", "rows"],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, words: str) -> None:
    results = pd.DataFrame({"score": [0.5, 0.2, 0.1, 1.0], "x": 1}, index=list("abcd"))
    with pytest.raises(InputError, match=words):
        agreement(*label_pairs(results, labels))


def test_labels_are_matched_by_the_index() -> None:
    results = pd.DataFrame({"score": [0.5, 0.2]}, index=["a", "b"])
    grades, labels = label_pairs(results, pd.Series([True], index=["b"]))
    assert grades == [0.5, 0.2] and math.isnan(labels[0]) and labels[1] == 1.0
    assert label_pairs(results, np.array([0.0, 1.0]))[1] == [0.0, 1.0]
    assert label_pairs(results, pd.array([True, None], dtype="boolean"))[1][0] == 1.0
