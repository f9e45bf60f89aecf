"""Computes the values of test_independent.py with other people's code, and prints them.

Usage, in an environment of its own: pip install statsmodels==0.14.6 inspect_ai==0.3.285
    python tests/stats/independent_values.py
"""

from __future__ import annotations

import numpy as np

TASKS_OK = (5, 5, 4, 5, 0, 5, 3, 5)  # of 5 repeats in each of 8 rows
SIZES = (3, 3, 3, 3)
VALUES = (0.2, 0.4, 0.3, 0.9, 0.7, 0.8, 0.5, 0.1, 0.3, 0.6, 0.6, 0.9)


def main() -> None:
    from inspect_ai.scorer import SampleScore, Score, stderr
    from scipy.stats import norm, t
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.multitest import multipletests
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
    from statsmodels.stats.weightstats import DescrStatsW

    tasks = np.concatenate([[1.0] * good + [0.0] * (5 - good) for good in TASKS_OK])
    rows = np.repeat(np.arange(8), 5)
    for name, values, clusters in (
        ("tasks by row", tasks, rows),
        ("rows by repository", np.array(VALUES), np.repeat(np.arange(4), SIZES)),
    ):
        fit = OLS(values, np.ones(len(values))).fit()
        robust = {"groups": clusters, "use_correction": True, "df_correction": True}
        error = fit.get_robustcov_results("cluster", **robust).bse[0]
        # Its correction is C / (C - 1) times (n - 1) / (n - 1).
        print(f"statsmodels, {name}: {error!r}")
        scores = [
            SampleScore(score=Score(value=float(value)), sample_metadata={"c": str(cluster)})
            for value, cluster in zip(values, clusters, strict=True)
        ]
        print(f"inspect, {name}: {stderr(cluster='c')(scores)!r}")
    alpha = 2 * norm.sf(t.ppf(0.975, 9))
    print("wilson 9 of 10, t:", *proportion_confint(9, 10, alpha, "wilson"))
    print(
        "newcombe 30 of 40, 22 of 40:",
        *confint_proportions_2indep(30, 40, 22, 40, "newcomb", "diff"),
    )
    print("t of values:", *DescrStatsW(VALUES).tconfint_mean())
    print("holm:", *multipletests([0.01, 0.04, 0.03, 0.005], method="holm")[1])


if __name__ == "__main__":
    main()
