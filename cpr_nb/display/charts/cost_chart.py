"""What the tasks of a session cost: the most expensive by name, all of them as a profile."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num
from cpr_nb.display.charts.timeline import task_label
from cpr_nb.model import states
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.attempts import TaskTimes, task_times

_MAX_NAMED = 24
_LEFT, _RIGHT, _ROW = 190.0, svg.WIDTH - 150.0, 18.0
_PROFILE = 72.0

#: Tasks and their costs, the most expensive first.
_Costs = Sequence[tuple[TaskTimes, float]]


def cost_chart(snapshot: Snapshot) -> Chart:
    """Draws what the tasks of a session cost.

    Args:
        snapshot: The session.

    Returns:
        The chart.
    """
    times = task_times(snapshot)
    costs = [(task, cost) for task in times if (cost := _cost(task)) is not None]
    costs.sort(key=lambda pair: -pair[1])
    title = svg.title("Costs", snapshot)
    summary = _summary(snapshot, [cost for _, cost in costs], len(times) - len(costs))
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, summary, anchor="end", kind="mute", limit=120),
    ]
    if not costs or not costs[0][1]:
        parts.append(svg.text(0, 44, "No cost is known yet.", kind="mute"))
        bottom = 50.0
    else:
        drawn, bottom = _draw(costs)
        parts += drawn
    return Chart(svg.document(title, summary, bottom + 6, parts), f"{title}: {summary}")


def _cost(task: TaskTimes) -> float | None:
    """Returns what a task has cost so far; None if unknown."""
    costs = [attempt.cost_usd for attempt in task.attempts if attempt.cost_usd is not None]
    return sum(costs) if costs else None


def _summary(snapshot: Snapshot, costs: Sequence[float], n_unknown: int) -> str:
    texts = [formatting.cost(snapshot.head)]
    if costs:
        n_tasks = formatting.plural(len(costs), "task")
        texts.append(f"{n_tasks}, median {median(costs):.2f}, at most {max(costs):.2f}")
    if n_unknown:
        texts.append(f"{n_unknown} unknown")
    return " · ".join(text for text in texts if text)


def _draw(costs: _Costs) -> tuple[list[str], float]:
    """Returns the shapes of the chart, and where they end."""
    y, parts = 32.0, []
    if len(costs) > _MAX_NAMED:
        parts += _profile(costs, y)
        y += _PROFILE + 32
    parts += _rows(costs[:_MAX_NAMED], y)
    y += _ROW * min(len(costs), _MAX_NAMED)
    rest = costs[_MAX_NAMED:]
    if rest:
        spent = sum(cost for _, cost in rest)
        others = formatting.plural(len(rest), "other")
        parts.append(svg.text(0, y + 14, f"{others}: USD {spent:.2f}", kind="mute"))
        y += _ROW
    return parts, y


def _rows(costs: _Costs, top: float) -> list[str]:
    """Returns one bar per task, with its name and cost."""
    shapes: dict[str, list[str]] = {}
    labels = []
    for index, (task, cost) in enumerate(costs):
        y = top + index * _ROW
        width = max(1.5, cost / costs[0][1] * (_RIGHT - _LEFT))
        tone = svg.TONE.get(task.state, "rest")
        shapes.setdefault(tone, []).append(svg.bar(_LEFT, y, width, _ROW - 6))
        labels.append(task_label(task, y + 10))
        amount = f"{cost:.2f}" if cost >= 0.005 or not cost else f"{cost:.4f}"
        if task.state != states.SUCCEEDED:
            symbol, _ = formatting.STATE_STYLES.get(task.state, ("", ""))
            amount += f"  {symbol} {task.state}"
        labels.append(svg.text(_LEFT + width + 6, y + 10, amount, kind="mute"))
    return [svg.group(tone, bars) for tone, bars in sorted(shapes.items())] + labels


def _profile(costs: _Costs, top: float) -> list[str]:
    """Returns all tasks side by side, the most expensive first: one path per tone."""
    step = svg.WIDTH / len(costs)
    width = step * 0.8 if step > 4 else step
    bottom = top + _PROFILE
    paths: dict[str, list[str]] = {}
    for index, (task, cost) in enumerate(costs):
        height = max(0.5, cost / costs[0][1] * _PROFILE)
        tone = svg.TONE.get(task.state, "rest")
        x = index * step
        column = f"M{x:.2f} {num(bottom)}v-{num(height)}h{width:.2f}V{num(bottom)}z"
        paths.setdefault(tone, []).append(column)
    base = svg.hairlines(f"M0 {num(bottom)}H{svg.WIDTH}")
    shapes = [svg.group(tone, [f'<path d="{"".join(d)}"/>']) for tone, d in sorted(paths.items())]
    caption = f"all {len(costs)} tasks, the most expensive first"
    label = svg.text(0, top + _PROFILE + 15, caption, kind="mute")
    return [*shapes, base, label]
