"""What the tasks of a session cost: the dearest by name, all of them as a profile."""

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


def cost_chart(snapshot: Snapshot) -> Chart:
    """Draws what the tasks of a session cost.

    Args:
        snapshot: The session.

    Returns:
        The chart.
    """
    times = task_times(snapshot)
    costs = {id(task): _cost(task) for task in times}
    known = [task for task in times if costs[id(task)] is not None]
    known.sort(key=lambda task: -(costs[id(task)] or 0.0))
    title = svg.title("Costs", snapshot)
    told = _summary(snapshot, [costs[id(task)] or 0.0 for task in known], len(times) - len(known))
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, told, anchor="end", kind="mute", limit=120),
    ]
    most = max((costs[id(task)] or 0.0 for task in known), default=0.0)
    if not most:
        parts.append(svg.text(0, 44, "No cost is known yet.", kind="mute"))
        return Chart(svg.document(title, told, 56, parts), f"{title}: {told}")
    y = 32.0
    if len(known) > _MAX_NAMED:
        parts += _profile(known, y)
        y += _PROFILE + 32
    parts += _rows(known[:_MAX_NAMED], y, most)
    y += _ROW * min(len(known), _MAX_NAMED)
    rest = known[_MAX_NAMED:]
    if rest:
        spent = sum(costs[id(task)] or 0.0 for task in rest)
        parts.append(svg.text(0, y + 14, f"{len(rest)} others: USD {spent:.2f}", kind="mute"))
        y += _ROW
    return Chart(svg.document(title, told, y + 6, parts), f"{title}: {told}")


def _cost(task: TaskTimes) -> float | None:
    """What a task has cost so far; None if nobody knows."""
    known = [attempt.cost_usd for attempt in task.attempts if attempt.cost_usd is not None]
    return sum(known) if known else None


def _summary(snapshot: Snapshot, costs: Sequence[float], n_unknown: int) -> str:
    told = [formatting.cost(snapshot.head)]
    if costs:
        told.append(f"{len(costs)} tasks, median {median(costs):.2f}, at most {max(costs):.2f}")
    if n_unknown:
        told.append(f"{n_unknown} not known")
    return " · ".join(word for word in told if word)


def _rows(tasks: Sequence[TaskTimes], top: float, most: float) -> list[str]:
    """A bar a task, with its name and what it cost."""
    shapes: dict[str, list[str]] = {}
    labels = []
    for index, task in enumerate(tasks):
        y, cost = top + index * _ROW, _cost(task) or 0.0
        width = max(1.5, cost / most * (_RIGHT - _LEFT))
        tone = svg.TONE.get(task.state, "rest")
        shapes.setdefault(tone, []).append(svg.bar(_LEFT, y, width, _ROW - 6))
        labels.append(task_label(task, y + 10))
        said = f"{cost:.2f}" if cost >= 0.005 or not cost else f"{cost:.4f}"
        if task.state != states.SUCCEEDED:
            symbol, _ = formatting.STATE_STYLES.get(task.state, ("", ""))
            said += f"  {symbol} {task.state}"
        labels.append(svg.text(_LEFT + width + 6, y + 10, said, kind="mute"))
    return [svg.group(tone, bars) for tone, bars in sorted(shapes.items())] + labels


def _profile(tasks: Sequence[TaskTimes], top: float) -> list[str]:
    """All tasks side by side, the dearest first: a column a task, a path a tone."""
    costs = [_cost(task) or 0.0 for task in tasks]
    most, step = max(costs), svg.WIDTH / len(costs)
    width = step * 0.8 if step > 4 else step
    bottom = top + _PROFILE
    paths: dict[str, list[str]] = {}
    for index, (task, cost) in enumerate(zip(tasks, costs, strict=True)):
        height = max(0.5, cost / most * _PROFILE)
        tone = svg.TONE.get(task.state, "rest")
        x = index * step
        column = f"M{x:.2f} {num(bottom)}v-{num(height)}h{width:.2f}V{num(bottom)}z"
        paths.setdefault(tone, []).append(column)
    base = svg.hairlines(f"M0 {num(bottom)}H{svg.WIDTH}")
    shapes = [svg.group(tone, [f'<path d="{"".join(d)}"/>']) for tone, d in sorted(paths.items())]
    label = svg.text(
        0, top + _PROFILE + 15, f"all {len(tasks)} tasks, the dearest first", kind="mute"
    )
    return [*shapes, base, label]
