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
#: One request per second. An unused request is lost.
_QUOTA = Quota(per_s=1.0, burst=1)
_QUICK_QUOTA = Quota(per_s=4.0, burst=1)
_LIMIT = 1.15
# Answers that take a while: after an instant one, the next task would always find the cache.
_SLOW = {"default": [{"text": "Done.", "hang_s": 2}]}
_QUICK = {"default": [{"text": "Done.", "hang_s": 0.5}]}


def measure_quota(lab: Lab) -> Iterator[Comparison]:
    """Tasks with one request each, more of them in parallel than the quota allows."""
    detached.adopt_orphans()
    claude, n_tasks = real_claude(), 4 if lab.quick else 60
    quota = _QUICK_QUOTA if lab.quick else _QUOTA

    def measure_walls(contender: Callable[[Lab, Path, str, int, int], Run]) -> list[float]:
        walls_s = []
        for _ in range(min(lab.rounds, 3)):
            with ScriptedApi(quota=quota) as api:
                walls_s.append(contender(lab, claude, api.url, n_tasks, _PARALLEL).wall_s)
        return walls_s

    mine, fixed = measure_walls(ours), measure_walls(xargs)
    label = f"{n_tasks} tasks, {quota.per_s:g} request/s: wall"
    allowed = [n_tasks / quota.per_s] * len(mine)
    yield compare(label, mine, "what the quota allows", allowed, unit="s", limit=_LIMIT)
    yield compare(label, mine, f"always {_PARALLEL} at once (xargs)", fixed, unit="s")


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
    label = f"{n_tasks} equal tasks, warm_start: cache"
    cache_uses = [f"{use.n_anew}w {use.n_reads}r" for use in uses]
    is_met = uses[0].n_anew == 1 and uses[0].n_reads == n_tasks - 1
    goal = f"1w {n_tasks - 1}r"
    yield Comparison(label, cache_uses[0], "without warm_start", cache_uses[1], None, goal, is_met)
    ratio = costs[0] / costs[1]
    label = f"{n_tasks} equal tasks, warm_start: cost"
    mine, theirs = (f"{cost:.3f} USD" for cost in costs)
    yield Comparison(label, mine, "without warm_start", theirs, ratio, "", None)
