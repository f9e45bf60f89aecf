"""Plans a pilot: a random sample of the rows runs, and the others when somebody says so."""

from __future__ import annotations

import math
from random import SystemRandom

from cpr_nb.model.errors import InputError
from cpr_nb.model.prompt_rows import prompt_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan

#: Fewer rows say nothing of how different rows are.
FEWEST_ROWS = 2
#: Keywords that decide in another way which tasks run.
_OTHER_RULES = ("stop_when", "best_of")


def plan_pilot(plan: LaunchPlan, keywords: Mapping[str, Any]) -> None:
    """Draws the rows of a pilot, and adds them to a plan.

    All tasks then start in a random order, the pilot's first: what has ended at any moment can
    stand for the rest.

    Args:
        plan: The plan.
        keywords: ``pilot``, and perhaps ``pilot_by``.

    Raises:
        InputError: If a keyword can't be right.
    """
    for name in _OTHER_RULES:
        if name in keywords:
            raise InputError(f"can't be combined with {name}=: leave out one of both", "pilot")
    row_of_task = prompt_rows([task.origin for task in plan.tasks])
    rows = list(dict.fromkeys(row_of_task))
    n_rows = _checked_size(keywords["pilot"], len(rows))
    names = _names(keywords.get("pilot_by"))
    groups = _groups(plan, names, rows)
    chance = SystemRandom()
    sample = [
        row
        for members, n in zip(groups, _sizes([len(one) for one in groups], n_rows), strict=True)
        for row in chance.sample(members, n)
    ]
    chance.shuffle(sample)
    others = [row for row in rows if row not in set(sample)]
    chance.shuffle(others)
    tasks_of_row: dict[int, list[int]] = {}
    for number, row in enumerate(row_of_task):
        tasks_of_row.setdefault(row, []).append(number)
    plan.study["order"] = [task for row in (*sample, *others) for task in tasks_of_row[row]]
    plan.study["pilot"] = {
        "n_rows": n_rows,
        "by": names,
        "tasks": sorted(task for row in sample for task in tasks_of_row[row]),
    }


def _checked_size(wish: Any, n_rows: int) -> int:
    if isinstance(wish, bool) or not isinstance(wish, int) or wish < FEWEST_ROWS:
        raise InputError(
            f"must be how many rows to run first, a whole number from {FEWEST_ROWS} on, "
            f"not {wish!r}",
            "pilot",
        )
    if wish >= n_rows:
        raise InputError(
            f"must be fewer than the {n_rows} rows there are, not {wish}: leave it out to run all",
            "pilot",
        )
    return wish


def _names(wish: Any) -> list[str]:
    if wish is None:
        return []
    names = [wish] if isinstance(wish, str) else list(wish) if _is_list(wish) else None
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"must be the name of a column, or a list of them, not {wish!r}", "pilot_by"
        )
    return names


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _groups(plan: LaunchPlan, names: Sequence[str], rows: Sequence[int]) -> list[list[int]]:
    """The rows that have the same values in these columns."""
    if not names:
        return [list(rows)]
    if plan.frame is None:
        raise InputError("needs the columns of a frame: use cpr_nb.map", "pilot_by")
    columns = [str(name) for name in plan.frame.columns]
    for name in names:
        if name not in columns:
            raise InputError(f"has no column {name!r}; it has {', '.join(columns)}", "pilot_by")
    groups: dict[tuple[str, ...], list[int]] = {}
    values = [plan.frame[name] for name in names]
    for row in rows:
        groups.setdefault(tuple(repr(column.iloc[row]) for column in values), []).append(row)
    return list(groups.values())


def _sizes(sizes: Sequence[int], n_all: int) -> list[int]:
    """How many of each group run, so that each has its share of the sample.

    Example:
        >>> _sizes([70, 20, 10], 10), _sizes([98, 1, 1], 10)
        ([7, 2, 1], [8, 1, 1])

    Raises:
        InputError: If there are more groups than rows to run.
    """
    if len(sizes) > n_all:
        raise InputError(
            f"makes {len(sizes)} groups, but only {n_all} rows run first: give pilot= at least "
            f"{len(sizes)}, or leave out a column",
            "pilot_by",
        )
    shares = [size * n_all / sum(sizes) for size in sizes]
    chosen = [max(1, math.floor(share)) for share in shares]
    while sum(chosen) != n_all:
        step = 1 if sum(chosen) < n_all else -1
        lacking = [
            (step * (share - n), place)
            for place, (share, n) in enumerate(zip(shares, chosen, strict=True))
            if 1 <= n + step <= sizes[place]
        ]
        chosen[max(lacking)[1]] += step
    return chosen
