"""What each task has used so far: its tokens and its cost, estimated while it runs.

The CLI reports a cost when a task's turn ends. Until then its stream shows the tokens of each
request, but for what the model wrote. The tasks that ended say what a shown token of their model
stands for, written ones included (`Rates`). Without such a task, the cost is unknown.
"""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import integer, number
from cpr_nb.model.record import task_state
from cpr_nb.model.running_cost import WEIGHTS, Rates, usage_of
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.formatting import amount, short_count
from cpr_nb.views.spread import Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cpr_nb.model.events import RunFacts

    # tokens, cost; duration and cost if it ran to an end
    _Parts = tuple[int | None, float | None, float | None, float | None]

#: Stands before an estimated figure.
ESTIMATE_MARK = "≈"
_RAN = (states.SUCCEEDED, *states.FAILURES)  # the outcomes of tasks that ran to an end


class TaskFigures(NamedTuple):
    """What a task has used so far; what is unknown is None.

    Attributes:
        n_tokens: All its tokens. Those that a running model writes are not in it.
        cost_usd: Its cost.
        is_estimate: Whether both are estimated, by the stream so far.

    Example:
        >>> TaskFigures(64_000, 0.18, is_estimate=True)[:2]
        (64000, 0.18)
        >>> TaskFigures(64_000, 0.18, is_estimate=True).cost_text
        '≈ 0.18'
    """

    n_tokens: int | None = None
    cost_usd: float | None = None
    is_estimate: bool = False

    @property
    def tokens_text(self) -> str:
        """The tokens as a cell of a table."""
        return self._marked("" if self.n_tokens is None else short_count(self.n_tokens))

    @property
    def cost_text(self) -> str:
        """The cost as a cell of a table."""
        return self._marked("" if self.cost_usd is None else amount(self.cost_usd))

    def _marked(self, text: str) -> str:
        return f"{ESTIMATE_MARK} {text}" if text and self.is_estimate else text


class EndedTasks:
    """What the ended tasks of a session add up to; a task is added and removed in no time.

    Attributes:
        n_tokens: All their tokens.
        cost_usd: What is known of their costs.
        durations: The durations of those that ran to an end, in seconds.
        costs: Their costs, in USD.
    """

    def __init__(self) -> None:
        self.n_tokens = 0
        self.cost_usd = 0.0
        self.durations, self.costs = Sample(), Sample()
        self._n_costs = 0
        self._rates = Rates()
        self._counted: dict[int, _Parts] = {}

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self._counted)

    @property
    def has_cost(self) -> bool:
        """Whether the cost of one of them is known."""
        return self._n_costs > 0

    def update(self, index: int, task: dict[str, Any]) -> None:
        """Counts a task that is new or has changed; one that has not ended counts nothing."""
        before = self._counted.pop(index, None)
        if before is not None:
            self._count(before, -1)
        if task_state(task)[0] == states.ENDED:
            counted = self._counted[index] = _parts_of(task)
            self._count(counted, 1)
            if before is None:
                self._learn(task)

    def _count(self, parts: _Parts, count: int) -> None:
        n_tokens, cost_usd, ran_s, ran_usd = parts
        self.n_tokens += count * (n_tokens or 0)
        if cost_usd is not None:
            self.cost_usd += count * cost_usd
            self._n_costs += count
        if ran_s:
            self.durations.add(ran_s, count)
        if ran_usd:
            self.costs.add(ran_usd, count)

    def _learn(self, task: dict[str, Any]) -> None:
        cost_usd, model = number(task.get("cost_usd")), _model_of(task)
        if cost_usd is not None and model and not task.get("n_unknown_costs"):
            self._rates.learn(model, _read_tokens(task), cost_usd)

    def estimate_usd(self, facts: RunFacts) -> float | None:
        """What a run has cost so far by its stream; None if no task of its model has ended."""
        usage = usage_of(facts)
        if usage.is_open and not self._rates.has(usage.model):
            return None
        usage.open_tokens = _read_tokens(usage.open_tokens)
        return self._rates.cost_usd(usage)


def _parts_of(task: dict[str, Any]) -> _Parts:
    cost_usd = number(task.get("cost_usd"))
    has_run = task_state(task)[1] in _RAN
    duration_s = task_duration_s(task) if has_run else None
    return token_sum(task), cost_usd, duration_s, cost_usd if has_run else None


def ended_figures(task: Mapping[str, Any]) -> TaskFigures:
    """What a task has used by its fields in status.json alone.

    Example:
        >>> ended_figures({"cost_usd": 0.5, "input_tokens": 3, "output_tokens": 4})
        TaskFigures(n_tokens=7, cost_usd=0.5, is_estimate=False)
    """
    return TaskFigures(token_sum(task), number(task.get("cost_usd")))


def running_figures(task: dict[str, Any], facts: RunFacts, ended: EndedTasks) -> TaskFigures:
    """What a running task has used so far.

    Args:
        task: Its fields in status.json: they have what its earlier attempts used.
        facts: The facts of its stream.
        ended: What the ended tasks of its session say.
    """
    earlier = ended_figures(task)
    shown = (facts.tokens, facts.later_tokens)
    counts = [sum(tokens.values()) for tokens in shown if tokens]
    n_tokens = (earlier.n_tokens or 0) + sum(counts) if counts else earlier.n_tokens
    cost_usd = ended.estimate_usd(facts)
    is_open = usage_of(facts).is_open
    if cost_usd is None:
        # What earlier attempts cost alone would be too little.
        return TaskFigures(n_tokens, None if counts else earlier.cost_usd, is_open)
    return TaskFigures(n_tokens, (earlier.cost_usd or 0.0) + cost_usd, is_open)


def token_sum(figures: Mapping[str, Any]) -> int | None:
    """All tokens of a task or session; None if no count is known.

    Example:
        >>> token_sum({"input_tokens": 3}), token_sum({})
        (3, None)
    """
    counts = [count for name in WEIGHTS if (count := integer(figures.get(name))) is not None]
    return sum(counts) if counts else None


def _read_tokens(tokens: Mapping[str, Any]) -> dict[str, float]:
    """The tokens that a model has read: a stream shows them in full, while those it writes lack."""
    counts = {name: number(tokens.get(name)) for name in WEIGHTS if name != "output_tokens"}
    return {name: count for name, count in counts.items() if count is not None}


def _model_of(task: dict[str, Any]) -> str | None:
    model = task.get("response_model") or task.get("model")
    return model if isinstance(model, str) else None
