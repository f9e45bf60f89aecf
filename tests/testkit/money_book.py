"""What is spent of a session's budget, and what may start: kept beside the machine's own book."""

from __future__ import annotations

from cpr_nb.runner.task_state import TaskPlan


class MoneyBook:
    """The money of a session, as one would count it by hand.

    Attributes:
        agents: Task → where its CLI stops it, what it has used, and whether it lingers.
    """

    def __init__(self, budget_usd: float | None, plans: list[TaskPlan]) -> None:
        self.budget_usd = budget_usd
        self.spent_usd = 0.0
        self.costs_usd: list[float] = []
        self.agents: dict[int, tuple[float, float, bool]] = {}
        bounds = [plan.task_budget_usd or float("inf") for plan in plans]
        self.bound_usd = max(bounds)

    def starts(self, task: int, may_spend_usd: float | None) -> None:
        """A task starts: its limit must be what the others leave."""
        if self.budget_usd is not None:
            assert self.admits, "there is no room for it"
            assert may_spend_usd is not None and 0 < may_spend_usd <= self.budget_usd
        self.agents[task] = (may_spend_usd or float("inf"), 0.0, False)

    def restored(self, task: int) -> None:
        self.agents[task] = (float("inf"), 0.0, False)

    def uses(self, task: int, used_usd: float) -> None:
        limit_usd, before_usd, lingers = self.agents[task]
        self.agents[task] = limit_usd, max(before_usd, used_usd), lingers

    def lingers(self, task: int, *, lingers: bool) -> None:
        self.agents[task] = (*self.agents[task][:2], lingers)

    def ends(self, task: int, cost_usd: float | None) -> None:
        self.agents.pop(task)
        self.spent_usd += cost_usd or 0.0
        self.costs_usd += [cost_usd] if cost_usd else []

    @property
    def left_usd(self) -> float:
        return float("inf") if self.budget_usd is None else self.budget_usd - self.spent_usd

    @property
    def is_used_up(self) -> bool:
        typical_usd = sorted(self.costs_usd)[(len(self.costs_usd) - 1) // 2 :][:1]
        too_little = bool(typical_usd) and self.left_usd < typical_usd[0]
        return self.left_usd <= 0 or (too_little and not self.agents)

    @property
    def admits(self) -> bool:
        n_agents = len(self.agents)
        if not n_agents or (n_agents + 1) * self.bound_usd <= self.left_usd:
            return True
        if self.budget_usd is not None and n_agents >= 2 ** len(self.costs_usd):
            return False
        dearest = max(self.costs_usd, default=0.0)  # of fewer than ten
        held = [
            max(used, 0.0 if lingers else min(dearest, limit))
            for limit, used, lingers in self.agents.values()
        ]
        return sum(held) + min(dearest, self.bound_usd) <= self.left_usd
