"""Gates of early stopping: never too often wrong however one looks, and yet it does stop.

The right methods are the package's own, up to the rule that the runner asks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from stats.gate import Cell, Gate, register
from stats.gates_pairs import draw_pairs

from cpr_nb.model.betting import Wealth, bar
from cpr_nb.model.decision import read_decision
from cpr_nb.model.sequential import SequentialTest
from cpr_nb.runner.rules.early_stop import StoppingRule
from cpr_nb.runner.rules.rule import TaskEnd
from cpr_nb.stats.quantiles import t_quantile

ALPHA, SHARE, ICC, COPULA = 0.05, 0.7, 0.5, 0.8
EFFECTS, ROWS = (0.0, 0.1, 0.2), (50, 100, 400)
#: A verdict by t needs some pairs, or every second one would do.
_FIRST_LOOK = 5

Differences = Sequence[float]


def draw_differences(
    generator: np.random.Generator, n_runs: int, n_rows: int, effect: float
) -> list[list[float]]:
    a, b = draw_ends(generator, (n_runs, n_rows), SHARE + effect)
    differences: list[list[float]] = (b - a).tolist()
    return differences


def draw_ends(generator: np.random.Generator, size: tuple[int, int], share: float) -> list[Any]:
    """1 or 0 of each row, under the baseline and under a level with this share."""
    chances = draw_pairs(generator, size, (SHARE, share), ICC, COPULA)
    return [generator.binomial(1, chance).astype(float) for chance in chances]


# -- the truth is never left out ------------------------------------------------------------


def betting_leaves_out(differences: Differences, truth: float) -> bool:
    """Whether any look leaves out the true mean."""
    wealth, limit = Wealth(truth), bar(ALPHA)
    for difference in differences:
        wealth.add(difference)
        if max(wealth.most_up, wealth.most_down) >= limit:
            return True
    return False


def t_leaves_out(differences: Differences, truth: float) -> bool:
    return bool(np.any(np.abs(_t_values(differences, truth)) > 1))


def _t_values(differences: Differences, truth: float) -> Any:
    """The t value after every pair, in units of its quantile."""
    d = np.asarray(differences) - truth
    n = np.arange(1, len(d) + 1)
    mean = np.cumsum(d) / n
    with np.errstate(all="ignore"):
        variance = (np.cumsum(d**2) - n * mean**2) / (n - 1)
        values = mean / np.sqrt(variance / n) / _T_QUANTILES[: len(d)]
    return np.where(variance > 1e-12, values, 0)[_FIRST_LOOK - 1 :]


_T_QUANTILES = np.array([np.inf, *(float(t_quantile(1 - ALPHA, df)) for df in range(1, 400))])


def play_sequence(
    generator: np.random.Generator, n_runs: int, leaves_out: Callable[[Differences, float], bool]
) -> Iterator[Cell]:
    for n_rows in ROWS:
        for effect in EFFECTS:
            runs = draw_differences(generator, n_runs, n_rows, effect)
            share = np.mean([leaves_out(run, effect) for run in runs])
            yield Cell(f"{n_rows} rows, effect {effect:g}", float(share), most=0.05)


# -- what ends first is not what is true ----------------------------------------------------

N_PEEKED, SLOTS, SLOW = 100, 64, 10.0
#: The two levels' results of each task, its end in seconds after the launch → any verdict.
Peek = Callable[[Sequence[bool], Sequence[float]], bool]


def rule_peeks(succeeded: Sequence[bool], ends_at: Sequence[float]) -> bool:
    rule = StoppingRule(
        {
            "metric": "ok",
            "factor": "model",
            "levels": ["a", "b"],
            "baseline": 0,
            "n_repeats": 1,
            "alpha": ALPHA,
            "over": "rows like these",
            "range": [0.0, 1.0],
        },
        range(len(succeeded)),
    )
    for task in np.argsort(ends_at).tolist():
        outcome = "succeeded" if succeeded[task] else "failed"
        rule.ended(task, TaskEnd(outcome, "check_failed"))
        if any(rule.events(0.0)):  # it closes what has not started
            return True
    decision = read_decision(rule.fields())
    return decision is not None and decision.is_decided


def ended_pairs(succeeded: Sequence[bool], ends_at: Sequence[float]) -> list[float]:
    """The differences of the rows in the order in which their pairs end."""
    rows = np.argsort(np.maximum(ends_at[::2], ends_at[1::2]))
    return [float(succeeded[2 * row + 1]) - float(succeeded[2 * row]) for row in rows]


def whatever_has_ended(succeeded: Sequence[bool], ends_at: Sequence[float]) -> bool:
    return betting_leaves_out(ended_pairs(succeeded, ends_at), 0.0)


def t_on_the_prefix(succeeded: Sequence[bool], ends_at: Sequence[float]) -> bool:
    rows = range(len(succeeded) // 2)
    differences = [float(succeeded[2 * row + 1]) - float(succeeded[2 * row]) for row in rows]
    return t_leaves_out(differences, 0.0)


def play_peeking(generator: np.random.Generator, n_runs: int, peek: Peek) -> Iterator[Cell]:
    """Level b fails slowly, and level a quickly; both succeed in as many rows."""
    verdicts = []
    for _ in range(n_runs):
        a, b = draw_ends(generator, (1, N_PEEKED), SHARE)
        succeeded = np.stack([a[0], b[0]], axis=-1).ravel() > 0
        duration_s = generator.lognormal(0, 0.5, succeeded.size)
        is_b = np.arange(succeeded.size) % 2 == 1
        duration_s *= np.where(~succeeded & is_b, SLOW, 1) / np.where(~succeeded & ~is_b, SLOW, 1)
        verdicts.append(peek(succeeded.tolist(), _ends_at(duration_s.tolist())))
    name = f"{N_PEEKED} rows on {SLOTS} slots, level b fails slowly"
    yield Cell(name, float(np.mean(verdicts)), most=0.05)


def _ends_at(durations_s: Sequence[float]) -> list[float]:
    """When each task ends that starts, in its turn, as soon as there is a slot."""
    free_at, ends_at = [0.0] * SLOTS, []
    for duration_s in durations_s:
        ends_at.append(heapq.heappop(free_at) + duration_s)
        heapq.heappush(free_at, ends_at[-1])
    return ends_at


# -- it does stop ---------------------------------------------------------------------------

#: The differences of all rows → after how many it is decided; None if it is not.
Stop = Callable[[Differences], int | None]


def stops_at(differences: Differences, n_levels: int = 1) -> int | None:
    test = SequentialTest(len(differences), ALPHA / n_levels)
    for n_pairs, difference in enumerate(differences, 1):
        test.add(difference)
        if test.verdict:
            return n_pairs
    return None


def never_stops(differences: Differences) -> int | None:
    return None


def half_width_by_range(differences: Differences) -> int | None:
    """Robbins' normal mixture with the range as the bound of the variance."""
    d = np.cumsum(differences)
    n = np.arange(1, len(d) + 1)
    rho = 0.05
    half = np.sqrt((n * rho + 1) / rho * np.log((n * rho + 1) / ALPHA**2))
    shown = np.flatnonzero(np.abs(d) > half)
    return int(shown[0]) + 1 if len(shown) else None


def play_stops(generator: np.random.Generator, n_runs: int, stop: Stop) -> Iterator[Cell]:
    for n_rows, decided, saved in ((400, 0.98, 0.8), (100, 0.9, 0.43)):
        runs = draw_differences(generator, n_runs, n_rows, 0.2)
        ends = [stop(run) for run in runs]
        name = f"{n_rows} rows, .7 against .9"
        share = float(np.mean([end is not None for end in ends]))
        left = [0.0 if end is None else 1 - end / n_rows for end in ends]
        yield Cell(f"{name}: decided", share, least=decided)
        yield Cell(f"{name}: pairs saved", float(np.mean(left)), least=saved)


# -- several levels -------------------------------------------------------------------------

N_LEVELS = 3
#: The differences of all rows, of each level → any verdict.
Arms = Callable[[Sequence[Differences]], bool]


def shared_alpha(levels: Sequence[Differences]) -> bool:
    return any(stops_at(level, len(levels)) is not None for level in levels)


def t_at_every_look(levels: Sequence[Differences]) -> bool:
    return any(t_leaves_out(level, 0.0) for level in levels)


def play_arms(generator: np.random.Generator, n_runs: int, decide: Arms) -> Iterator[Cell]:
    """No level differs from the baseline, whose results all of them share."""
    n_rows = 400
    verdicts = []
    for _ in range(n_runs):
        chances, _ = draw_pairs(generator, (1, n_rows), (SHARE, SHARE), ICC, COPULA)
        base, *others = generator.binomial(1, chances, (1 + N_LEVELS, n_rows)).astype(float)
        verdicts.append(decide([(other - base).tolist() for other in others]))
    yield Cell(f"{N_LEVELS} levels, {n_rows} rows", float(np.mean(verdicts)), most=0.035)


register(
    Gate(
        "sequence",
        "share of runs in which any look left out the truth",
        play_sequence,
        2000,
        betting_leaves_out,
        {"t at every look": t_leaves_out},
        sample_runs=120,
    )
)
register(
    Gate(
        "peeking",
        "share of runs with a verdict, though there is no difference",
        play_peeking,
        500,
        rule_peeks,
        {"whatever has ended": whatever_has_ended, "t on the prefix": t_on_the_prefix},
        sample_runs=40,
    )
)
register(
    Gate(
        "stops",
        "share of runs that are decided, and the share of pairs that this saves",
        play_stops,
        1000,
        stops_at,
        {"never": never_stops, "the range as the spread": half_width_by_range},
        sample_runs=600,  # what is saved is 0.449: of 60 runs, it would often be less than 0.43
    )
)
register(
    Gate(
        "arms",
        "share of runs with any verdict, though no level differs",
        play_arms,
        1000,
        shared_alpha,
        {"t at every look": t_at_every_look},
        sample_runs=120,
    )
)
