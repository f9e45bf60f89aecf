"""The bars of a report: when tasks ran, and what they cost; HTML, to be read on a phone, too."""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from cpr_nb.display.charts.timescale import TimeScale
from cpr_nb.display.report.entries import Entry
from cpr_nb.model import states
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.attempts import Attempt, TaskTimes, lanes, task_times

#: Up to this many tasks have a row of their own in the timeline; more share rows.
_MAX_ROWS = 60
_MAX_COSTS = 25
# In tenths of a percent of the width; what is left is for the texts beside the bars.
_WIDTH = 720.0
# Up to here a bar has its text to its right; where it begins before the other, too.
_LEFT_OF_IT, _RIGHT_OF_IT = 620.0, 200.0
_MAX_TICKS = 5


class Bar(NamedTuple):
    """One bar.

    Args:
        left: Where it begins, in percent of the width.
        width: How wide it is, in percent.
        tone: Its tone: ok, bad, run, or rest for an attempt that was repeated.
    """

    left: str
    width: str
    tone: str


class BarRow(NamedTuple):
    """One row of bars.

    Args:
        num: The number of its task; empty where tasks share a row.
        label: What the task is called.
        bars: Its bars.
        text: What stands beside them.
        detail: What follows where there is room.
        tone: The tone of the text.
        place: Where the text stands, as CSS.
    """

    num: str
    label: str
    bars: list[Bar]
    text: str
    detail: str
    tone: str
    place: str


class Timeline(NamedTuple):
    """When tasks ran.

    Args:
        note: What the reader must know.
        rows: The rows.
        ticks: Percent and label of round times.
        label: The same for a screen reader.
        is_dense: Whether tasks share rows.
    """

    note: str
    rows: list[BarRow]
    ticks: list[tuple[str, str]]
    label: str
    is_dense: bool


class Costs(NamedTuple):
    """What tasks cost.

    Args:
        note: The sums, in sentences.
        rows: The rows, the most expensive first.
        label: The same for a screen reader.
    """

    note: str
    rows: list[BarRow]
    label: str


def timeline(snapshot: Snapshot, entries: list[Entry]) -> Timeline | None:
    """Returns when the tasks of a session ran; None if none did, or nobody knows.

    Args:
        snapshot: The session.
        entries: Its tasks.
    """
    times = task_times(snapshot)
    ran = [task for task in times if task.attempts]
    if not ran:
        return None
    attempts = [attempt for task in ran for attempt in task.attempts]
    scale = TimeScale([(one.began_s, one.ended_s) for one in attempts], 0.0, _WIDTH)
    is_dense = len(times) > _MAX_ROWS
    if is_dense:
        rows = [_shared_row(lane, scale) for lane in lanes(ran)]
    else:
        rows = [_task_row(one, e, scale) for one, e in zip(times, entries, strict=False)]
    note = f"Up to {formatting.plural(_most_at_once(attempts), 'task')} ran at once."
    note += f" {_legend(ran)}"
    if is_dense:
        note += " Tasks share a row where they did not run at the same time."
    if scale.cuts():
        note += " Long stretches in which nothing ran are left out."
    duration = formatting.clock(scale.end_s - scale.begin_s)
    label = f"Timeline of {formatting.plural(len(times), 'task')} over {duration}; "
    label += "the figures are in the table of tasks below."
    ticks = [(_percent(x), text) for x, text in scale.ticks(_MAX_TICKS)]
    return Timeline(note, rows, ticks, label, is_dense)


def _legend(ran: list[TaskTimes]) -> str:
    """What the bars mean, as far as they are there."""
    text = "Solid bars succeeded, striped bars did not."
    if any(task.state in (states.RUNNING, states.RETRYING) for task in ran):
        text = "Solid bars succeeded, hollow bars still run, striped bars did not succeed."
    if any(len(task.attempts) > 1 for task in ran):
        text += " Thin bars are attempts that were repeated."
    return text


def _most_at_once(attempts: list[Attempt]) -> int:
    # At the same moment, an end comes before a begin.
    changes = sorted([(a.began_s, 1) for a in attempts] + [(a.ended_s, -1) for a in attempts])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _shared_row(tasks: list[TaskTimes], scale: TimeScale) -> BarRow:
    bars = [bar for task in tasks for bar in _attempt_bars(task, scale)]
    return BarRow("", "", bars, "", "", "", "")


def _task_row(task: TaskTimes, entry: Entry, scale: TimeScale) -> BarRow:
    bars = _attempt_bars(task, scale)
    is_bad = entry.tone == "bad"
    detail = str(task.fields.get("reason") or "") if is_bad else ""
    detail = detail if detail in states.REASONS else ""
    if not task.attempts:
        return BarRow(str(entry.num), entry.label, [], entry.state, "", "", "left:0%")
    begin, end = scale(task.attempts[0].began_s), scale(task.attempts[-1].ended_s)
    took = entry.clock or formatting.clock(task.attempts[-1].ended_s - task.attempts[0].began_s)
    has_room = end <= _LEFT_OF_IT or begin < _RIGHT_OF_IT
    place = f"left:{_percent(end)}" if has_room else f"right:{_percent(1000.0 - begin)}"
    text = f"{took} {entry.symbol}" if entry.state != states.SUCCEEDED else took
    return BarRow(str(entry.num), entry.label, bars, text, detail, "bad" if is_bad else "", place)


def _attempt_bars(task: TaskTimes, scale: TimeScale) -> list[Bar]:
    bars = []
    for number, attempt in enumerate(task.attempts, 1):
        left, right = scale(attempt.began_s), scale(attempt.ended_s)
        tone = formatting.STATE_STYLES.get(task.state, ("", "mute"))[1]
        is_last = number == len(task.attempts)
        bars.append(Bar(_percent(left), _percent(right - left), tone if is_last else "rest"))
    return bars


def _percent(thousandths: float) -> str:
    return f"{thousandths / 10:.1f}%"


def costs(entries: list[Entry], model_costs: dict[str, float]) -> Costs | None:
    """Returns what the tasks of a session cost; None if nobody knows of any.

    Args:
        entries: Its tasks.
        model_costs: Model → what it cost.
    """
    known = [(entry.cost_usd, entry) for entry in entries if entry.cost_usd is not None]
    if not known:
        return None
    known.sort(key=lambda pair: -pair[0])
    total = sum(usd for usd, _ in known)
    bad = [usd for usd, entry in known if entry.tone == "bad"]
    note = f"USD {total:.2f} in all, USD {median(usd for usd, _ in known):.2f} for the median task."
    if bad:
        failed = "the task" if len(bad) == 1 else f"the {len(bad)} tasks"
        note += f" USD {sum(bad):.2f} went into {failed} that did not succeed."
    shares = sorted(model_costs.items(), key=lambda pair: -pair[1])
    if len(shares) > 1:
        note += f" {' and '.join(f'{model} took USD {usd:.2f}' for model, usd in shares[:4])}."
    n_more = len(known) - _MAX_COSTS
    if n_more > 0:
        rest = sum(usd for usd, _ in known[_MAX_COSTS:])
        note += (
            f" The most expensive {_MAX_COSTS}; the other {n_more} cost USD {rest:.2f} together."
        )
    rows = [_cost_row(usd, entry, known[0][0]) for usd, entry in known[:_MAX_COSTS]]
    label = "Cost of each task, the most expensive first; the figures are in the table below."
    return Costs(note, rows, label)


def _cost_row(usd: float, entry: Entry, most_usd: float) -> BarRow:
    width = _percent(_WIDTH * usd / most_usd if most_usd else 0.0)
    tone = "bad" if entry.tone == "bad" else ""
    text = f"{entry.usd} {entry.symbol}" if tone else entry.usd
    bars = [Bar("0%", width, tone or "rest")]
    detail = entry.state if tone else ""
    return BarRow(str(entry.num), entry.label, bars, text, detail, tone, f"left:{width}")
