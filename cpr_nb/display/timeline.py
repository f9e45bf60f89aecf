"""When the tasks of a session ran: a bar a task, how many at once, what it cost."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from cpr_nb.display import svg
from cpr_nb.display.svg import Chart, num
from cpr_nb.display.timescale import TimeScale
from cpr_nb.model import states
from cpr_nb.model.outcome import one_line
from cpr_nb.store import words
from cpr_nb.store.attempts import Attempt, TaskTimes, task_times
from cpr_nb.store.read import Snapshot
from cpr_nb.store.rows import session_duration_s

#: Up to so many tasks have a row and a name each; more share rows, as they shared the machine.
_MAX_NAMED = 40
_RIGHT = svg.WIDTH - 56
_PANEL = 44
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
    title = f"Timeline of {snapshot.head.get('name') or snapshot.session_id[:8]}"
    told = _told(snapshot, times)
    parts = [
        svg.text(0, 14, title, kind="name", limit=60),
        svg.text(svg.WIDTH, 14, told, anchor="end", kind="mute", limit=120),
    ]
    if not ran:
        parts.append(svg.text(0, 44, "No task has begun yet.", kind="mute"))
        return Chart(svg.document(title, told, 56, parts), f"{title}: {told}")
    named = len(times) <= _MAX_NAMED
    left = 190.0 if named else 0.0
    scale = TimeScale([(a.began_s, a.ended_s) for t in ran for a in t.attempts], left, _RIGHT)
    rows = _named_rows(times) if named else _lanes(ran)
    bars, bottom = _bars(rows, scale, named)
    panels, end = _panels(ran, scale, left, bottom + 26, snapshot)
    parts += [_grid(scale, left, 32, bottom, end), *bars, *panels, _legend(times, end + 20)]
    return Chart(svg.document(title, told, end + 28, parts), f"{title}: {told}")


def _told(snapshot: Snapshot, times: Sequence[TaskTimes]) -> str:
    n_again = sum(len(task.attempts) > 1 for task in times)
    told = [
        f"{len(times)} tasks",
        snapshot.state,
        words.clock(session_duration_s(snapshot)),
        words.cost(snapshot.head),
        f"{n_again} tried again" if n_again else "",
    ]
    return " · ".join(word for word in told if word)


# -- the bars -------------------------------------------------------------------------------

_Rows = list[tuple[str, list[TaskTimes]]]


def _named_rows(times: Iterable[TaskTimes]) -> _Rows:
    return [(name_of(task), [task]) for task in times]


def _lanes(ran: Iterable[TaskTimes]) -> _Rows:
    """Puts tasks that did not run at the same time into one row."""
    free: list[tuple[float, int]] = []  # when a lane is free, which one
    lanes: _Rows = []
    for task in sorted(ran, key=lambda task: task.attempts[0].began_s):
        if free and free[0][0] <= task.attempts[0].began_s:
            _, lane = heapq.heappop(free)
        else:
            lane = len(lanes)
            lanes.append(("", []))
        lanes[lane][1].append(task)
        heapq.heappush(free, (task.attempts[-1].ended_s, lane))
    return lanes


def name_of(task: TaskTimes) -> str:
    """A task's number and what it is about; an id that nobody gave it says nothing."""
    task_id = str(task.fields.get("transaction_id", ""))
    made_up = len(task_id) == 36 and task_id.count("-") == 4
    what = str(task.fields.get("prompt", "")) if made_up else task_id
    return f"{task.fields.get('task_num', '')}  {one_line(words.strip_controls(what), 24)}"


def _bars(rows: _Rows, scale: TimeScale, named: bool) -> tuple[list[str], float]:
    """The bars, and where they end."""
    height = 18.0 if named else min(14.0, _MAX_LANES_HEIGHT / len(rows))
    thick = height - (6 if named else min(2.0, height / 5))
    shapes: dict[str, list[str]] = {}
    rests, labels, marks = [], [], []
    for index, (name, tasks) in enumerate(rows):
        y = 36 + index * height
        if name:
            labels.append(svg.text(0, y + height / 2 + 2, name, limit=40))
        for task in tasks:
            rests.append(_rests(task, scale, y + (thick) / 2))
            for number, attempt in enumerate(task.attempts, 1):
                x = scale(attempt.began_s)
                width = max(1.5, scale(attempt.ended_s) - x)
                is_last = number == len(task.attempts)
                tone = _tone(task, attempt, is_last)
                label = _label(task, attempt, number)
                shapes.setdefault(tone, []).append(svg.bar(x, y, width, thick, label))
            if named:
                marks.append(_mark(task, scale, y + height / 2 + 2))
    groups = [svg.group(tone, bars) for tone, bars in sorted(shapes.items())]
    return [svg.hairlines("".join(rests)) if any(rests) else "", *groups, *labels, *marks], (
        36 + len(rows) * height
    )


def _rests(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """The waits between the attempts of a task."""
    pairs = zip(task.attempts, task.attempts[1:], strict=False)
    return "".join(f"M{num(scale(a.ended_s))} {num(y)}H{num(scale(b.began_s))}" for a, b in pairs)


def _tone(task: TaskTimes, attempt: Attempt, is_last: bool) -> str:
    if not is_last:
        return "warn"  # another one followed
    state = attempt.state if attempt.state in states.OUTCOMES else attempt.state
    return svg.TONE.get(task.state if task.state in states.OUTCOMES else state, "rest")


def _label(task: TaskTimes, attempt: Attempt, number: int) -> str:
    """What a bar says when somebody points at it."""
    told = [f"{task.fields.get('task_num', '')} {attempt.state}"]
    is_last = number == len(task.attempts)
    if is_last and attempt.state not in (states.SUCCEEDED, states.RUNNING):
        told.append(str(task.fields.get("reason", "")))
    if len(task.attempts) > 1:
        told.append(f"attempt {number}")
    told.append(words.clock(attempt.ended_s - attempt.began_s))
    if attempt.cost_usd is not None:
        told.append(f"USD {attempt.cost_usd:.2f}")
    return ", ".join(word for word in told if word)


def _mark(task: TaskTimes, scale: TimeScale, y: float) -> str:
    """Behind the bar: what happened, as a symbol and a word."""
    symbol, _ = words.LOOKS.get(task.state, ("", ""))
    tone = svg.TONE.get(task.state, "mute")
    if not task.attempts:
        return svg.text(scale(scale.begin_s) + 4, y, f"{symbol} {task.state}", kind="mute")
    last = task.attempts[-1]
    if task.state == states.SUCCEEDED:
        word = words.clock(last.ended_s - task.attempts[0].began_s)
        tone = "mute"
    else:
        reason = str(task.fields.get("reason") or task.state)
        word = f"{symbol} {reason if task.state in states.FAILURES else task.state}"
    x = scale(last.ended_s)
    if x > _RIGHT - 90:  # no room: in front of the last attempt, or nowhere
        return ""
    return svg.text(x + 6, y, word, kind=tone, limit=24)


# -- below the bars -------------------------------------------------------------------------


def _grid(scale: TimeScale, left: float, top: float, bottom: float, end: float) -> str:
    """Hairlines at the times, their labels, and where time was cut out."""
    lines, labels = [f"M{num(left)} {num(bottom)}H{_RIGHT}"], []
    for x, label in scale.ticks():
        lines.append(f"M{num(x)} {num(top)}V{num(end)}")
        anchor = "middle" if x > left + 12 else ""
        labels.append(svg.text(x, bottom + 15, label, anchor=anchor, kind="mute"))
    for begin, finish, took in scale.cuts():
        middle = (begin + finish) / 2
        lines.append(
            f"M{num(middle - 3)} {num(top)}V{num(end)}M{num(middle + 3)} {num(top)}V{num(end)}"
        )
        labels.append(svg.text(middle, top - 2, f"{took} idle", anchor="middle", kind="mute"))
    return svg.hairlines("".join(lines)) + "".join(labels)


def _panels(
    ran: Sequence[TaskTimes], scale: TimeScale, left: float, top: float, snapshot: Snapshot
) -> tuple[list[str], float]:
    """How many ran at once, and the cost so far; and where they end."""
    attempts = [attempt for task in ran for attempt in task.attempts]
    moves = sorted([(a.began_s, 1.0) for a in attempts] + [(a.ended_s, -1.0) for a in attempts])
    at_once = _steps(moves, scale)
    parts = _panel(
        at_once, scale, left, top, "at once", f"{max(y for _, y in at_once):.0f} at most"
    )
    spent = sorted((a.ended_s, a.cost_usd) for a in attempts if a.cost_usd is not None)
    if not spent:
        return parts, top + _PANEL
    costs = _steps(spent, scale)
    top += _PANEL + 14
    parts += _panel(costs, scale, left, top, "USD, estimate", f"{costs[-1][1]:.2f}")
    return parts, top + _PANEL


def _steps(moves: Sequence[tuple[float, float]], scale: TimeScale) -> list[tuple[float, float]]:
    """Adds up; one point where several are closer together than can be seen."""
    level, points = 0.0, [(scale(scale.begin_s), 0.0)]
    for at_s, change in moves:
        level += change
        x = round(scale(at_s), 1)
        if points[-1][0] == x:
            points[-1] = (x, level)
        else:
            points.append((x, level))
    return points


def _panel(
    points: Sequence[tuple[float, float]],
    scale: TimeScale,
    left: float,
    top: float,
    name: str,
    last: str,
) -> list[str]:
    most = max(level for _, level in points) or 1.0
    bottom = top + _PANEL
    path = "".join(f"H{num(x)}V{num(bottom - level / most * (_PANEL - 12))}" for x, level in points)
    begin = f"M{num(left)} {num(bottom)}{path}"
    area = f'<path class="soft" fill-opacity=".12" d="{begin}H{_RIGHT}V{num(bottom)}z"/>'
    line = f'<path class="step" stroke="#767676" fill="none" d="{begin}H{_RIGHT}"/>'
    base = svg.hairlines(f"M{num(left)} {num(bottom)}H{_RIGHT}")
    label = svg.text(left + 4 if left < 100 else 0, top + 10, name, kind="mute")
    y = bottom - points[-1][1] / most * (_PANEL - 12) + 4 if "most" not in last else top + 16
    return [area, line, base, label, svg.text(_RIGHT + 6, y, last, kind="mute")]


def _legend(times: Sequence[TaskTimes], y: float) -> str:
    """How many of what, each with its symbol and colour."""
    counts: dict[str, int] = {}
    for task in times:
        counts[task.state] = counts.get(task.state, 0) + 1
    x, parts = 0.0, []
    for state in words.LOOKS:
        if state in counts:
            tone, label = svg.TONE.get(state, "rest"), f"{counts[state]} {state}"
            parts += [svg.group(tone, [svg.bar(x, y - 9, 9, 9)]), svg.text(x + 14, y, label)]
            x += 32 + 6.6 * len(label)
    if any(len(task.attempts) > 1 for task in times):
        parts.append(svg.group("warn", [svg.bar(x, y - 9, 9, 9)]))
        parts.append(svg.text(x + 14, y, "an attempt that was followed by another"))
    return "".join(parts)
