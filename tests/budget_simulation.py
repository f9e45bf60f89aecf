"""Plays sessions with a budget on the pure state machine, and prints how well the budget holds.

Usage: python tests/budget_simulation.py [--seeds 200] [--budget-usd 1] [--tasks 200]

A task is a row of requests. Each costs something, and the CLI stops the task after the request
with which it has reached its own limit. What the runner sees of the costs meanwhile is what the
stream of the real CLI shows: the tokens, but for nearly all that the model wrote.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cpr_nb.model import states
from cpr_nb.model.outcome import Exit
from cpr_nb.model.running_cost import Usage
from cpr_nb.runner import instructions, messages
from cpr_nb.runner.budget import Budget
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.task_state import TaskPlan

MEAN_USD = 0.25
#: What a task costs, by kind. All have the same mean; the last one has no variance.
KINDS: dict[str, Callable[[random.Random], float]] = {
    "0.25 ± 50 %": lambda chance: chance.uniform(0.5, 1.5) * MEAN_USD,
    "lognormal, σ 1.2": lambda chance: MEAN_USD * chance.lognormvariate(-0.72, 1.2),
    "Pareto, α 1.5": lambda chance: MEAN_USD / 3 * chance.paretovariate(1.5),
}
HEADS = (
    *("tasks cost", "at once", "spent / budget: median", "95 %", "most"),
    *("good", "stopped by the limit", "mean at once"),
)
_GOOD = {"is_error": False}
_STOPPED = {"is_error": True, "subtype": "error_max_budget_usd"}
_USD_PER_TOKEN = 5e-6
_SEEN = 0.4  # the share of a task's costs that its stream shows as tokens


@dataclass
class Agent:
    """A task that runs: what its requests cost, and what it may cost."""

    requests_usd: list[float]
    limit_usd: float | None
    spent_usd: float = 0.0
    n_done: int = 0

    @property
    def is_stopped(self) -> bool:
        return self.limit_usd is not None and self.spent_usd >= self.limit_usd

    def usage(self) -> Usage:
        tokens = {"input_tokens": int(self.spent_usd * _SEEN / _USD_PER_TOKEN)}
        return Usage("some model", None, tokens, tokens)


@dataclass
class Session:
    """What became of a session."""

    spent_usd: float = 0.0
    n_good: int = 0
    n_stopped: int = 0
    n_skipped: int = 0
    ended_at: float = 0.0
    agent_s: float = 0.0
    agents: dict[int, Agent] = field(default_factory=dict)

    @property
    def mean_at_once(self) -> float:
        return self.agent_s / self.ended_at if self.ended_at else 0.0


def simulate(
    seed: int,
    kind: str,
    max_parallel: int,
    budget_usd: float | None,
    n_tasks: int,
    task_budget_usd: float | None = None,
) -> Session:
    """Plays one session.

    Args:
        seed: Of everything that is left to chance.
        kind: What its tasks cost: a key of `KINDS`.
        max_parallel: How many may run at once.
        budget_usd: Its budget.
        n_tasks: How many tasks it has.
        task_budget_usd: The budget of each.
    """
    chance, numbers = random.Random(seed), count()
    plans = [TaskPlan(task_budget_usd=task_budget_usd)] * n_tasks
    schedule = Schedule(
        plans,
        max_parallel=max_parallel,
        new_id=lambda: "",
        budget=Budget(budget_usd, task_budget_usd),
    )
    session, queue = Session(), list[tuple[float, int, int]]()

    def handle(event: messages.Event) -> None:
        for one in schedule.handle(event):
            if isinstance(one, instructions.Start):
                session.agents[one.task] = Agent(_requests(chance, kind), one.may_spend_usd)
                handle(messages.Started(event.at_s, one.task))
                request_s = chance.uniform(5.0, 60.0)
                heapq.heappush(queue, (event.at_s + request_s, next(numbers), one.task))
            elif isinstance(one, instructions.Finish):
                session.n_skipped += one.outcome.outcome == states.SKIPPED

    now = 0.0
    handle(messages.Tick(now))
    while queue:
        before, (now, _, task) = now, heapq.heappop(queue)
        session.agent_s += (now - before) * len(session.agents)
        agent = session.agents[task]
        agent.spent_usd += agent.requests_usd[agent.n_done]
        agent.n_done += 1
        if agent.is_stopped or agent.n_done == len(agent.requests_usd):
            stopped = agent.n_done < len(agent.requests_usd)
            del session.agents[task]
            session.spent_usd += agent.spent_usd
            session.n_stopped += stopped
            session.n_good += not stopped
            exit_ = Exit(int(stopped), result=_STOPPED if stopped else _GOOD)
            usage = Usage("some model", agent.spent_usd, {}, agent.usage().shown_tokens)
            handle(messages.Ended(now, task, exit_, agent.spent_usd, usage=usage))
        else:
            handle(messages.Spent(now, task, agent.usage()))
            heapq.heappush(queue, (now + chance.uniform(5.0, 60.0), next(numbers), task))
    session.ended_at = now
    return session


def _requests(chance: random.Random, kind: str) -> list[float]:
    """What the requests of a task cost."""
    weights = [chance.expovariate(1.0) for _ in range(chance.randint(4, 20))]
    cost_usd = KINDS[kind](chance)
    return [cost_usd * weight / sum(weights) for weight in weights]


def shares(sessions: list[Session], budget_usd: float) -> tuple[float, float, float]:
    """Median, 95 % quantile and maximum of what sessions spent, as shares of the budget."""
    spent = sorted(session.spent_usd / budget_usd for session in sessions)
    return statistics.median(spent), spent[int(0.95 * (len(spent) - 1))], spent[-1]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--budget-usd", type=float, default=1.0)
    parser.add_argument("--tasks", type=int, default=200)
    args = parser.parse_args(argv)
    print(*HEADS, sep=" | ")
    print("---", *["---:"] * (len(HEADS) - 1), sep=" | ")
    for kind in KINDS:
        for max_parallel in (8, 64):
            sessions = [
                simulate(seed, kind, max_parallel, args.budget_usd, args.tasks)
                for seed in range(args.seeds)
            ]
            print(*_row(kind, max_parallel, sessions, args.budget_usd), sep=" | ", flush=True)
    return 0


def _row(kind: str, max_parallel: int, sessions: list[Session], budget_usd: float) -> list[Any]:
    def mean(figure: Callable[[Session], float]) -> str:
        return f"{statistics.fmean(map(figure, sessions)):.1f}"

    return [
        kind,
        max_parallel,
        *(f"{share:.2f}" for share in shares(sessions, budget_usd)),
        mean(lambda one: one.n_good),
        mean(lambda one: one.n_stopped),
        mean(lambda one: one.mean_at_once),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
