"""A quota and a prompt cache, as the scripted API imitates them, with the real CLI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import detached
from benchmarks.lab import Lab, Run
from benchmarks.real_cli import ours, real_claude, xargs
from benchmarks.report import Comparison, compare
from cpr_nb.offline.scripted_api import Quota, ScriptedApi, cli_environment

_PARALLEL = 8
#: One request a second, none saved up: what is not used at once is lost.
_QUOTA = Quota(per_s=1.0, burst=1)
_QUICK_QUOTA = Quota(per_s=4.0, burst=1)
_LIMIT = 1.15
# Answers that take a while: of instant ones the next task would always find the cache.
_SLOW = {"default": [{"text": "Done.", "hang_s": 2}]}
_QUICK = {"default": [{"text": "Done.", "hang_s": 0.5}]}


def measure_quota(lab: Lab) -> Iterator[Comparison]:
    """Tasks of one request each, more at once than the quota allows."""
    detached.adopt_orphans()
    claude, n_tasks = real_claude(), 4 if lab.quick else 60
    quota = _QUICK_QUOTA if lab.quick else _QUOTA

    def walls(contender: Callable[[Lab, Path, str, int, int], Run]) -> list[float]:
        taken = []
        for _ in range(min(lab.rounds, 3)):
            with ScriptedApi(quota=quota) as api:
                taken.append(contender(lab, claude, api.url, n_tasks, _PARALLEL).wall_s)
        return taken

    mine, fixed = walls(ours), walls(xargs)
    what = f"{n_tasks} tasks, {quota.per_s:g} request/s: wall"
    allowed = [n_tasks / quota.per_s] * len(mine)
    yield compare(what, mine, "what the quota allows", allowed, unit="s", limit=_LIMIT)
    yield compare(what, mine, f"always {_PARALLEL} at once (xargs)", fixed, unit="s")


def measure_warm_start(lab: Lab) -> Iterator[Comparison]:
    """Equal tasks: how many write the prompt cache, how many read it, and the cost."""
    detached.adopt_orphans()
    claude, n_tasks = real_claude(), 4 if lab.quick else 40
    uses, costs = [], []
    for warm_start in (True, False):
        with ScriptedApi(_QUICK if lab.quick else _SLOW) as api:
            environment = cli_environment(api.url, lab.fresh("cli-home"))
            folder = lab.fresh("cli-warm")
            session = detached.launch(
                ["say hello"] * n_tasks,
                claude,
                folder,
                environment,
                max_parallel=_PARALLEL,
                warm_start=warm_start,
            )
            session.wait(600)
            uses.append(api.cache_use)
            costs.append(session.cost_usd or 0.0)
    what = f"{n_tasks} equal tasks, warm_start: cache"
    told = [f"{use.n_anew}w {use.n_reads}r" for use in uses]
    good = uses[0].n_anew == 1 and uses[0].n_reads == n_tasks - 1
    goal = f"1w {n_tasks - 1}r"
    yield Comparison(what, told[0], "without warm_start", told[1], None, goal, good)
    ratio = costs[0] / costs[1]
    what = f"{n_tasks} equal tasks, warm_start: cost"
    mine, theirs = (f"{cost:.3f} USD" for cost in costs)
    yield Comparison(what, mine, "without warm_start", theirs, ratio, "", None)
