"""Whether the session's budget has room for one more task, and how much that task may spend. Pure.

What a task costs is known when it has ended. So few start at once as long as few have ended: one,
then two, four, and so on. An upper quantile of what the ended ones cost is reserved for each task
that runs; what it has used, if that is more. Another one starts if what is left after that has room
for the quantile. It may spend what the others leave: the CLI stops it there, after the answer with
which it is over.
"""

from __future__ import annotations

from bisect import insort

from cpr_nb.model.running_cost import WEIGHTS, Rates, Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cpr_nb.runner.task_state import TaskPlan

#: The notice mentions the budget once this share of it is spent.
WARN_SHARE = 0.8
# What is reserved for a task: of so many that ended, only one may have cost more.
_ONE_IN = 10
# A sum of costs that is exactly the budget must not miss it by a rounding error.
_ROUNDING_USD = 1e-9
_MAX_DOUBLINGS = 30
#: The least that a task may spend: the CLI refuses 0.
_LEAST_USD = 0.0001


class _Agent:
    """An agent that runs or is about to.

    Attributes:
        may_spend_usd: Where its CLI stops it; None if nothing is known of that.
        used_usd: What it has used so far, by estimate.
        lingers: Whether its turn has ended, and only commands keep it alive.
    """

    __slots__ = ("lingers", "may_spend_usd", "used_usd")

    def __init__(self) -> None:
        self.may_spend_usd: float | None = None
        self.used_usd = 0.0
        self.lingers = False


class Budget:
    """The session's budget, and what is spent of it.

    Args:
        limit_usd: How much there is; None for no limit.
        bound_usd: What no attempt may cost more than; None if one may.
        spent_usd: What has been spent already.

    Attributes:
        spent_usd: What ended attempts have cost; by estimate where that is not known.

    Example:
        >>> budget = Budget(1.0)
        >>> budget.begin(0), budget.admits
        (None, False)
        >>> budget.ended(0, 0.25)
        >>> budget.begin(1), budget.admits
        (None, True)
    """

    def __init__(
        self,
        limit_usd: float | None = None,
        bound_usd: float | None = None,
        spent_usd: float = 0.0,
    ) -> None:
        self._limit_usd = limit_usd
        self.spent_usd = spent_usd
        self._bound_usd = bound_usd
        self._agents: dict[int, _Agent] = {}
        self._costs_usd: list[float] = []  # of the ended attempts, sorted
        self._n_ended = 0  # attempts that the API answered
        self._rates = Rates()

    def remember(self, past: Iterable[dict[str, Any]]) -> None:
        """Counts what the tasks of earlier runners have cost.

        Args:
            past: The figures of each task, as status.json has them.
        """
        uncertain = []
        for figures in past:
            cost_usd, is_known = figures.get("cost_usd"), not figures.get("n_unknown_costs")
            usage = _past_usage(figures)
            if is_known:
                self._count(cost_usd, cost_usd, usage)
            else:
                uncertain.append((cost_usd, usage))
        for cost_usd, usage in uncertain:
            estimate_usd = self._rates.cost_usd(usage)
            self.spent_usd += max(cost_usd or 0.0, estimate_usd or 0.0)

    # -- agents -----------------------------------------------------------------------------

    def begin(self, task: int) -> None:
        """Reserves what a task will cost: it is about to start, or runs already."""
        self._agents[task] = _Agent()

    def limit_for(self, task: int, task_budget_usd: float | None) -> float | None:
        """How much a task that starts now may spend; None if this is no limit to it.

        Args:
            task: The task, which has begun.
            task_budget_usd: Its own budget, if it has one.
        """
        if self._limit_usd is None:
            return None
        agent = self._agents[task]
        others_usd = self._reserved_usd() - self._reserved_for(agent)
        may_spend_usd = self._limit_usd - self.spent_usd - others_usd
        if len(self._agents) > 1:  # else nothing but what is left was reserved for it
            may_spend_usd = max(may_spend_usd, self._expected_usd or 0.0)
        if task_budget_usd is not None:
            may_spend_usd = min(may_spend_usd, task_budget_usd)
        agent.may_spend_usd = max(round(may_spend_usd, 4), _LEAST_USD)
        return agent.may_spend_usd

    def uses(self, task: int, usage: Usage) -> None:
        """A running task has used this much so far."""
        agent = self._agents.get(task)
        if agent is not None:
            agent.used_usd = max(agent.used_usd, self._rates.cost_usd(usage) or 0.0)

    def lingers(self, task: int, *, lingers: bool) -> None:
        """A task's turn has ended, and only commands keep it alive; or a model works again."""
        agent = self._agents.get(task)
        if agent is not None:
            agent.lingers = lingers

    def release(self, task: int) -> None:
        """No agent runs for a task (any more)."""
        self._agents.pop(task, None)

    def ended(self, task: int, cost_usd: float | None, usage: Usage | None = None) -> None:
        """An attempt has ended.

        Args:
            task: The task.
            cost_usd: What it cost, if that is known.
            usage: What its stream shows of that, if anything.
        """
        self.release(task)
        estimate_usd = cost_usd if usage is None else self._rates.cost_usd(usage)
        self._count(cost_usd, estimate_usd, usage)

    def _count(
        self, cost_usd: float | None, estimate_usd: float | None, usage: Usage | None
    ) -> None:
        self.spent_usd += estimate_usd or 0.0
        if self._limit_usd is None:
            return
        self._n_ended += bool(cost_usd or (usage is not None and usage.shown_tokens))
        if cost_usd:
            insort(self._costs_usd, estimate_usd or cost_usd)
            if usage is not None and not usage.is_open:
                self._rates.learn(usage.model, usage.shown_tokens, cost_usd)

    # -- decisions --------------------------------------------------------------------------

    @property
    def n_agents(self) -> int:
        """How many agents run or are about to."""
        return len(self._agents)

    @property
    def admits(self) -> bool:
        """Whether there is room for one more task."""
        if self._limit_usd is None or not self._agents:
            return True  # unless it is used up
        left_usd = self._limit_usd - self.spent_usd + _ROUNDING_USD
        n_agents, bound_usd = len(self._agents), self._bound_usd
        if bound_usd is not None and (n_agents + 1) * bound_usd <= left_usd:
            return True  # whatever they cost
        # Those that end first are cheap ones, so few ends say little about many that run.
        if n_agents >= 2 ** min(self._n_ended, _MAX_DOUBLINGS):
            return False
        new_usd = self._expected_usd or 0.0
        if bound_usd is not None:
            new_usd = min(new_usd, bound_usd)
        return self._reserved_usd() + new_usd <= left_usd

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more may start: it is spent, or too little is left for one more task."""
        if self._limit_usd is None:
            return False
        left_usd = self._limit_usd - self.spent_usd
        if left_usd <= _ROUNDING_USD:
            return True
        # With less than half of the others cost, a task would probably be stopped halfway.
        return not self._agents and left_usd + _ROUNDING_USD < self._typical_usd

    def _reserved_usd(self) -> float:
        return sum(map(self._reserved_for, self._agents.values()))

    def _reserved_for(self, agent: _Agent) -> float:
        reserved_usd = 0.0 if agent.lingers else self._expected_usd or 0.0
        if agent.may_spend_usd is not None:
            reserved_usd = min(reserved_usd, agent.may_spend_usd)
        return max(reserved_usd, agent.used_usd)

    @property
    def _expected_usd(self) -> float | None:
        """What a task will hardly exceed; None if that is not known."""
        n_known = len(self._costs_usd)
        return self._costs_usd[-1 - n_known // _ONE_IN] if n_known else None

    @property
    def _typical_usd(self) -> float:
        """What half of the tasks did not exceed; 0 if that is not known."""
        return self._costs_usd[(len(self._costs_usd) - 1) // 2] if self._costs_usd else 0.0

    # -- words ------------------------------------------------------------------------------

    @property
    def why_used_up(self) -> str:
        """Why nothing more starts."""
        limit_usd = self._limit_usd or 0.0
        left_usd = limit_usd - self.spent_usd
        if left_usd <= _ROUNDING_USD:
            return f"the session's budget of USD {limit_usd:g} is spent"
        return (
            f"the session's budget of USD {limit_usd:g} has USD {left_usd:.2f} left, "
            f"and a task costs about USD {self._typical_usd:.2f}"
        )

    def notice(self, *, has_place: bool) -> str:
        """One line for the user; empty if there is nothing to say.

        Args:
            has_place: Whether a task waits that nothing else would hold back.
        """
        if self._limit_usd is None:
            return ""
        if self.is_used_up:
            return f"nothing more starts: {self.why_used_up}"
        if self.spent_usd >= WARN_SHARE * self._limit_usd:
            return f"more than 80 % of the budget of USD {self._limit_usd:g} is spent"
        if has_place and not self.admits:
            return f"fewer tasks at once, so that the budget of USD {self._limit_usd:g} holds"
        return ""


def bound_of(plans: Iterable[TaskPlan]) -> float | None:
    """What no attempt of any task may cost more than; None if one may.

    Args:
        plans: The plans of the tasks.
    """
    bound_usd = 0.0
    for plan in plans:
        if plan.task_budget_usd is None:
            return None
        bound_usd = max(bound_usd, plan.task_budget_usd)
    return bound_usd or None


def _past_usage(figures: dict[str, Any]) -> Usage:
    """What is known of what a task used, from its figures in status.json."""
    cost_usd, model = figures.get("cost_usd"), figures.get("response_model") or figures.get("model")
    tokens = {name: figures[name] for name in WEIGHTS if figures.get(name)}
    is_known = cost_usd is not None and not figures.get("n_unknown_costs")
    return Usage(str(model), cost_usd if is_known else None, {} if is_known else tokens, tokens)
