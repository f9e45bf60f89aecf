"""When the tasks of a session ran: a bar a task, how many at once, what it cost."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence

from cpr_nb.display.charts import svg
from cpr_nb.display.charts.svg import Chart, num
from cpr_nb.display.charts.timescale import TimeScale
from cpr_nb.model import states
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.attempts import Attempt, TaskTimes, task_times
from cpr_nb.views.rows import session_duration_s

#: Up to so many tasks have a row and a name each; more share rows, as they shared the machine.
_MAX_NAMED = 40
#: Up to so many, each bar says what it is when somebody points at it.
_MAX_POINTED = 300
_TOP = 40
_PANEL = 48
_MAX_LANES_HEIGHT = 420.0


def timeline(snapshot: Snapshot, now_s: float | None = None) -> Chart:
    """Draws when the tasks of a session ran.

    Args:
        snapshot: The session.
        now_s: What is now, in seconds since the epoch.

    Returns:
        The chart.
    """
    times = task_times(snapshot, now_s)
    ran = [task for task in times if task.attempts]
    title = svg.title("Timeline", snapshot)
    told = _summary(snapshot, times)
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, told, anchor="end", kind="mute", limit=120),
    ]
    if not ran:
        parts.append(svg.text(0, 44, "No task has begun yet.", kind="mute"))
        return Chart(svg.document(title, told, 56, parts), f"{title}: {told}")
    named = len(times) <= _MAX_NAMED
    # Names stand before the bars, and behind them what became of the task.
    left, right = (190.0, svg.WIDTH - 116.0) if named else (0.0, svg.WIDTH - 2.0)
    scale = TimeScale([(a.began_s, a.ended_s) for t in ran for a in t.attempts], left, right)
    rows = [[task] for task in times] if named else _lanes(ran)
    bars, bottom = _bars(rows, scale, named=named)
    panels, end = _panels(ran, scale, bottom + 24)
    parts += [_grid(scale, bottom, end), *bars, *panels, _legend(times, end + 20)]
    return Chart(svg.document(title, told, end + 28, parts), f"{title}: {told}")


def _summary(snapshot: Snapshot, times: Sequence[TaskTimes]) -> str:
    n_again = sum(len(task.attempts) > 1 for task in times)
    told = [
        f"{len(times)} task{'s' * (len(times) != 1)}",
        snapshot.state,
        formatting.clock(session_duration_s(snapshot)),
        formatting.cost(snapshot.head),
        f"{n_again} tried again" if n_again else "",
    ]
    return " · ".join(word for word in told if word)


# -- the bars -------------------------------------------------------------------------------

_Rows = list[list[TaskTimes]]


def _lanes(ran: Iterable[TaskTimes]) -> _Rows:
    """Puts tasks that did not run at the same time into one row."""
    free: list[tuple[float, int]] = []  # when a lane is free, which one
    lanes: _Rows = []
    for task in sorted(ran, key=lambda task: task.attempts[0].began_s):
        if free and free[0][0] <= task.attempts[0].began_s:
            _, lane = heapq.heappop(free)
        else:
            lane = len(lanes)
            lanes.append([])
        lanes[lane].append(task)
        heapq.heappush(free, (task.attempts[-1].ended_s, lane))
    return lanes


def task_label(task: TaskTimes, y: float) -> str:
    """A task's number and what it is about; an id that nobody gave it says nothing."""
    task_id = str(task.fields.get("transaction_id", ""))
    made_up = len(task_id) == 36 and task_id.count("-") == 4
    what = str(task.fields.get("prompt", "")) if made_up else task_id
    number = svg.text(20, y, str(task.fields.get("task_num", "")), anchor="end", kind="mute")
    return number + svg.text(28, y, what, limit=24)


def _bars(rows: _Rows, scale: TimeScale, *, named: bool) -> tuple[list[str], float]:
    """The bars, and where they end."""
    height = 18.0 if named else min(14.0, _MAX_LANES_HEIGHT / len(rows))
    thick = height - (6 if named else min(2.0, height / 5))
    pointed = sum(map(len, rows)) <= _MAX_POINTED
    shapes: dict[str, list[str]] = {}
    rests, labels = [], []
    for index, tasks in enumerate(rows):
        y = _TOP + index * height
        for task in tasks:
            rests.append(_rests(task, scale, y + thick / 2))
            for number, attempt in enumerate(task.attempts, 1):
                x = scale(attempt.began_s)
                width = max(1.0, scale(attempt.ended_s) - x - 0.8)  # neighbours can be told apart
                label = _bar_title(task, attempt, number) if pointed else ""
                shapes.setdefault(_tone(task, number), []).append(
                    svg.bar(x, y, width, thick, label)
                )
            if named:
                labels += [task_label(task, y + 10), _mark(task, scale, y + 10)]
    groups = [svg.group(tone, bars) for tone, bars in sorted(shapes.items())]
    return [svg.hairlines("".join(rests)), *groups, *labels], _TOP + len(rows) * height


def _rests(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """The waits between the attempts of a task."""
    pairs = zip(task.attempts, task.attempts[1:], strict=False)
    return "".join(f"M{num(scale(a.ended_s))} {num(y)}H{num(scale(b.began_s))}" for a, b in pairs)


def _tone(task: TaskTimes, number: int) -> str:
    """The tone of an attempt: the last one has that of its task."""
    return svg.TONE.get(task.state, "rest") if number == len(task.attempts) else "warn"


def _bar_title(task: TaskTimes, attempt: Attempt, number: int) -> str:
    """What a bar says when somebody points at it."""
    told = [f"{task.fields.get('task_num', '')}: {attempt.state}"]
    is_last = number == len(task.attempts)
    if is_last and attempt.state not in (states.SUCCEEDED, states.RUNNING):
        told.append(str(task.fields.get("reason", "")))
    if len(task.attempts) > 1:
        told.append(f"attempt {number}")
    told.append(formatting.clock(attempt.ended_s - attempt.began_s))
    if attempt.cost_usd is not None:
        told.append(f"USD {attempt.cost_usd:.2f}")
    return " ".join(word for word in told if word)


def _mark(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """Behind the bar: how long it took, or what happened, as a symbol and a word."""
    symbol, _ = formatting.STATE_STYLES.get(task.state, ("", ""))
    if not task.attempts:
        return svg.text(scale(scale.begin_s), y, f"{symbol} {task.state}", kind="mute")
    begin_s, end_s = task.attempts[0].began_s, task.attempts[-1].ended_s
    tone, word = svg.TONE.get(task.state, "mute"), f"{symbol} {task.state}"
    if task.state == states.SUCCEEDED:
        tone, word = "mute", formatting.clock(end_s - begin_s)
    elif task.state in states.FAILURES:
        word = f"{symbol} {task.fields.get('reason') or task.state}"
    return svg.text(scale(end_s) + 5, y, word, kind=tone, limit=18)


# -- below the bars -------------------------------------------------------------------------


def _grid(scale: TimeScale, bottom: float, end: float) -> str:
    """Hairlines at the times, their labels, and where time was cut out."""
    left = scale.left
    lines, labels = [f"M{num(left)} {num(bottom)}H{num(scale.right)}"], []
    for x, label in scale.ticks():
        lines.append(f"M{num(x)} {_TOP - 4}V{num(end)}")
        anchor = "middle" if x > left + 12 else ""
        labels.append(svg.text(x, bottom + 15, label, anchor=anchor, kind="mute"))
    for begin, finish, took in scale.cuts():
        middle = (begin + finish) / 2
        lines.append(
            f"M{num(middle - 3)} {_TOP - 4}V{num(end)}M{num(middle + 3)} {_TOP - 4}V{num(end)}"
        )
        labels.append(svg.text(middle, _TOP - 6, f"{took} idle", anchor="middle", kind="mute"))
    return svg.hairlines("".join(lines)) + "".join(labels)


def _panels(ran: Sequence[TaskTimes], scale: TimeScale, top: float) -> tuple[list[str], float]:
    """How many ran at once, and the cost so far; and where they end."""
    attempts = [attempt for task in ran for attempt in task.attempts]
    # At the same moment, an end comes before a begin.
    moves = sorted([(a.began_s, 1.0) for a in attempts] + [(a.ended_s, -1.0) for a in attempts])
    most = max(itertools.accumulate(change for _, change in moves))
    parts = _panel(moves, scale, top, f"{most:.0f} at once at most")
    spent = sorted((a.ended_s, a.cost_usd) for a in attempts if a.cost_usd is not None)
    if spent:
        top += _PANEL
        total = sum(cost for _, cost in spent)
        parts += _panel(spent, scale, top, f"USD {total:.2f} estimate")
    return parts, top + _PANEL


def _panel(
    moves: Sequence[tuple[float, float]], scale: TimeScale, top: float, name: str
) -> list[str]:
    """What adds up as time goes on, as steps; those that can't be told apart are one."""
    left, right = round(scale.left), num(scale.right)
    level, points = 0.0, [(left, 0.0)]
    for at_s, change in moves:
        level, x = level + change, round(scale(at_s))
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
    """How many of what, each with its colour."""
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
        parts.append(svg.text(x + 14, y, "an attempt that was followed by another"))
    return "".join(parts)
