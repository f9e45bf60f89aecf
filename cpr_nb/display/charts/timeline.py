"""When the tasks of a session ran: one bar per attempt, how many at once, what it cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num
from cpr_nb.display.charts.timescale import TimeScale
from cpr_nb.model import states
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.attempts import Attempt, TaskTimes, lanes, task_times
from cpr_nb.views.durations import session_duration_s

#: Up to this many tasks have a row and a name each; more share rows, as they shared the machine.
_MAX_NAMED = 40
#: Up to this many bars have a title, which shows while the pointer is over it.
_MAX_TITLED = 300
_TOP = 40
_PANEL = 48
_MAX_LANES_HEIGHT = 420.0


def timeline(snapshot: Snapshot, now_s: float | None = None) -> Chart:
    """Draws when the tasks of a session ran.

    Args:
        snapshot: The session.
        now_s: The time now, in seconds since the epoch; by default the clock's.

    Returns:
        The chart.
    """
    times = task_times(snapshot, now_s)
    ran = [task for task in times if task.attempts]
    title = svg.title("Timeline", snapshot)
    summary = _summary(snapshot, times)
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, summary, anchor="end", kind="mute", limit=120),
    ]
    if not ran:
        parts.append(svg.text(0, 44, "No task has started yet.", kind="mute"))
        return Chart(svg.document(title, summary, 56, parts), f"{title}: {summary}")
    named = len(times) <= _MAX_NAMED
    # Names are left of the bars, and right of them how the task ended.
    left, right = (190.0, svg.WIDTH - 116.0) if named else (0.0, svg.WIDTH - 2.0)
    scale = TimeScale([(a.began_s, a.ended_s) for t in ran for a in t.attempts], left, right)
    rows = [[task] for task in times] if named else lanes(ran)
    bars, bottom = _bars(rows, scale, named=named)
    panels, end = _panels(ran, scale, bottom + 24)
    parts += [_grid(scale, bottom, end), *bars, *panels, _legend(times, end + 20)]
    return Chart(svg.document(title, summary, end + 28, parts), f"{title}: {summary}")


def _summary(snapshot: Snapshot, times: Sequence[TaskTimes]) -> str:
    n_repeated = sum(len(task.attempts) > 1 for task in times)
    texts = [
        formatting.plural(len(times), "task"),
        snapshot.state,
        formatting.clock(session_duration_s(snapshot)),
        formatting.cost(snapshot.head),
        f"{n_repeated} with more than one attempt" if n_repeated else "",
    ]
    return " · ".join(text for text in texts if text)


# -- the bars -------------------------------------------------------------------------------

_Rows = list[list[TaskTimes]]


def task_label(task: TaskTimes, y: float) -> str:
    """Returns a task's number and its id; its prompt, if the id is a generated one."""
    task_id = str(task.fields.get("transaction_id", ""))
    is_generated = len(task_id) == 36 and task_id.count("-") == 4
    name = str(task.fields.get("prompt", "")) if is_generated else task_id
    number = svg.text(20, y, str(task.fields.get("task_num", "")), anchor="end", kind="mute")
    return number + svg.text(28, y, name, limit=24)


def _bars(rows: _Rows, scale: TimeScale, *, named: bool) -> tuple[list[str], float]:
    """Returns the bars, and where they end."""
    height = 18.0 if named else min(14.0, _MAX_LANES_HEIGHT / len(rows))
    thickness = height - (6 if named else min(2.0, height / 5))
    has_titles = sum(map(len, rows)) <= _MAX_TITLED
    shapes: dict[str, list[str]] = {}
    rests, labels = [], []
    for index, tasks in enumerate(rows):
        y = _TOP + index * height
        for task in tasks:
            rests.append(_rests(task, scale, y + thickness / 2))
            for number, attempt in enumerate(task.attempts, 1):
                x = scale(attempt.began_s)
                width = max(1.0, scale(attempt.ended_s) - x - 0.8)  # a gap between neighbours
                bar_title = _bar_title(task, attempt, number) if has_titles else ""
                shapes.setdefault(_tone(task, number), []).append(
                    svg.bar(x, y, width, thickness, bar_title)
                )
            if named:
                labels += [task_label(task, y + 10), _mark(task, scale, y + 10)]
    groups = [svg.group(tone, bars) for tone, bars in sorted(shapes.items())]
    return [svg.hairlines("".join(rests)), *groups, *labels], _TOP + len(rows) * height


def _rests(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """Returns the path of the waits between the attempts of a task."""
    pairs = zip(task.attempts, task.attempts[1:], strict=False)
    return "".join(f"M{num(scale(a.ended_s))} {num(y)}H{num(scale(b.began_s))}" for a, b in pairs)


def _tone(task: TaskTimes, number: int) -> str:
    """Returns the tone of an attempt: the last one has that of its task."""
    return svg.TONE.get(task.state, "rest") if number == len(task.attempts) else "warn"


def _bar_title(task: TaskTimes, attempt: Attempt, number: int) -> str:
    """Returns what a bar shows while the pointer is over it."""
    texts = [f"task {task.fields.get('task_num', '')}: {attempt.state}"]
    reason = str(task.fields.get("reason", ""))
    is_last = number == len(task.attempts)
    if is_last and attempt.state not in (states.SUCCEEDED, states.RUNNING, reason):
        texts.append(reason)
    if len(task.attempts) > 1:
        texts.append(f"attempt {number}")
    texts.append(formatting.clock(attempt.ended_s - attempt.began_s))
    if attempt.cost_usd is not None:
        texts.append(f"USD {attempt.cost_usd:.2f}")
    return ", ".join(text for text in texts if text)


def _mark(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """Returns the text right of the bar: how long the task took, or how it ended."""
    symbol, _ = formatting.STATE_STYLES.get(task.state, ("", ""))
    if not task.attempts:
        return svg.text(scale(scale.begin_s), y, f"{symbol} {task.state}", kind="mute")
    begin_s, end_s = task.attempts[0].began_s, task.attempts[-1].ended_s
    tone, text = svg.TONE.get(task.state, "mute"), f"{symbol} {task.state}"
    if task.state == states.SUCCEEDED:
        tone, text = "mute", formatting.clock(end_s - begin_s)
    elif task.state in states.FAILURES:
        text = f"{symbol} {task.fields.get('reason') or task.state}"
    return svg.text(scale(end_s) + 5, y, text, kind=tone, limit=18)


# -- below the bars -------------------------------------------------------------------------


def _grid(scale: TimeScale, bottom: float, end: float) -> str:
    """Returns hairlines at round times, their labels, and marks where time was cut out."""
    left = scale.left
    lines, labels = [f"M{num(left)} {num(bottom)}H{num(scale.right)}"], []
    for x, label in scale.ticks():
        lines.append(f"M{num(x)} {_TOP - 4}V{num(end)}")
        anchor = "middle" if x > left + 12 else ""
        labels.append(svg.text(x, bottom + 15, label, anchor=anchor, kind="mute"))
    for begin, end_x, duration in scale.cuts():
        middle = (begin + end_x) / 2
        lines.append(
            f"M{num(middle - 3)} {_TOP - 4}V{num(end)}M{num(middle + 3)} {_TOP - 4}V{num(end)}"
        )
        labels.append(svg.text(middle, _TOP - 6, f"{duration} idle", anchor="middle", kind="mute"))
    return svg.hairlines("".join(lines)) + "".join(labels)


def _panels(ran: Sequence[TaskTimes], scale: TimeScale, top: float) -> tuple[list[str], float]:
    """Returns curves of the tasks at once and of the cost so far, and where they end."""
    attempts = [attempt for task in ran for attempt in task.attempts]
    # At the same moment, an end comes before a begin.
    changes = sorted([(a.began_s, 1.0) for a in attempts] + [(a.ended_s, -1.0) for a in attempts])
    most = max(itertools.accumulate(change for _, change in changes))
    parts = _panel(changes, scale, top, f"at most {most:.0f} at once")
    spent = sorted((a.ended_s, a.cost_usd) for a in attempts if a.cost_usd is not None)
    if spent:
        top += _PANEL
        total = sum(cost for _, cost in spent)
        parts += _panel(spent, scale, top, f"USD {total:.2f} estimate")
    return parts, top + _PANEL


def _panel(
    changes: Sequence[tuple[float, float]], scale: TimeScale, top: float, name: str
) -> list[str]:
    """Returns a sum over time as a curve of steps; those at the same x are merged."""
    left, right = round(scale.left), num(scale.right)
    level, points = 0.0, [(left, 0.0)]
    for time_s, change in changes:
        level, x = level + change, round(scale(time_s))
        if points[-1][0] == x:
            points.pop()
        points.append((x, level))
    bottom = top + _PANEL
    per_level = (_PANEL - 18) / (max(level for _, level in points) or 1.0)
    path = "".join(f"H{x}V{num(bottom - level * per_level)}" for x, level in points)
    line = f"M{left} {num(bottom)}{path}H{right}"
    return [
        f'<path class="soft" fill-opacity=".12" d="{line}V{num(bottom)}z"/>',
        f'<path class="step" stroke="{svg.GREY}" fill="none" d="{line}"/>',
        svg.hairlines(f"M{num(left)} {num(bottom)}H{right}"),
        svg.text(0, bottom - 8 if left else top + 12, name, kind="mute"),
    ]


def _legend(times: Sequence[TaskTimes], y: float) -> str:
    """Returns the number of tasks per state, with its colour."""
    counts: dict[str, int] = {}
    for task in times:
        counts[task.state] = counts.get(task.state, 0) + 1
    x, parts = 0.0, []
    for state in formatting.STATE_STYLES:
        if state in counts:
            tone, label = svg.TONE.get(state, "rest"), f"{counts[state]} {state}"
            parts += [svg.group(tone, [svg.bar(x, y - 9, 9, 9)]), svg.text(x + 14, y, label)]
            x += 32 + 6.6 * len(label)
    if any(len(task.attempts) > 1 for task in times):
        parts.append(svg.group("warn", [svg.bar(x, y - 9, 9, 9)]))
        parts.append(svg.text(x + 14, y, "an attempt that was repeated"))
    return "".join(parts)
