"""The live view of one session in the terminal: `cpr watch` and `cpr run --wait`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cpr_nb.cli import render
from cpr_nb.handles.session import Session
from cpr_nb.handles.task import Task
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.times import parse_iso
from cpr_nb.views import formatting
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.notice import notice, warnings_of
from cpr_nb.views.rows import task_duration_s

_REFRESH_S = 0.25
_FRAME_LINES = 8  # the lines around the rows of tasks

_COLOURS = {
    "ok": "green",
    "bad": "red",
    "run": "blue",
    "warn": "yellow",
    "mute": "dim",
    "plain": "bold",
}
STYLES = {
    state: (symbol, _COLOURS[tone]) for state, (symbol, tone) in formatting.STATE_STYLES.items()
}


def watch(session: Session, console: Console) -> None:
    """Shows a session until it ends: live on a terminal, elsewhere one line per task as it ends.

    Args:
        session: The session.
        console: Where to show it.
    """
    if not console.is_terminal:
        for line in progress_lines(session):
            sys.stdout.write(f"{visible_line(line)}\n")
            sys.stdout.flush()
        return
    view = SessionView(session)
    with Live(view, console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while session.refresh().snapshot.is_live:
            live.refresh()
            time.sleep(_REFRESH_S)
        live.refresh()


def progress_lines(session: Session) -> Iterator[str]:
    """Yields one line for each task as it ends, each warning, and what holds the tasks up."""
    ended: set[int] = set()
    shown: set[str] = set()
    while True:
        live = session.refresh().snapshot.is_live
        lines = _notices(session)
        yield from (f"▌ {line}" for line in lines if line not in shown)
        shown = set(lines)
        for task in session:
            if task.num not in ended and task.state == states.ENDED:
                ended.add(task.num)
                yield _progress_line(session, task, len(ended))
        if not live:
            return
        time.sleep(_REFRESH_S)


def _notices(session: Session) -> list[str]:
    """What a person must not miss now; when a session has ended, its summary has the warnings."""
    snapshot = session.snapshot
    text = one_line(notice(snapshot, render.program()))
    return [
        *([text] if text else []),
        *(warnings_of(snapshot, render.program()) if snapshot.is_live else []),
    ]


def _progress_line(session: Session, task: Task, n_ended: int) -> str:
    fields = task.fields
    outcome = str(task.outcome)
    parts = [outcome if task.ok or outcome == task.reason else f"{outcome}: {task.reason}"]
    if fields.get("n_denials"):
        parts.append(f"{fields['n_denials']} denied")
    parts += [formatting.clock(task_duration_s(fields)), formatting.usd(fields.get("cost_usd"))]
    summary = ", ".join(part for part in parts if part)
    if task.note:
        summary += f"; {one_line(task.note)}"
    return (
        f"[{n_ended}/{len(session)}] {render.task_icon(fields)} "
        f"Task {task.num} (ID: {task.id}): {summary}"
    )


def _urgency(task: Task) -> tuple[int, float]:
    state, outcome = task_state(task.fields)
    if state in (states.RUNNING, states.RETRYING):
        rank = 0
    elif outcome in states.FAILURES:
        rank = 1
    else:
        rank = 2 if outcome else 3
    return rank, -(parse_iso(task.fields.get("ended_at")) or 0.0)


def _plain(text: str, style: str = "", **layout: Any) -> Text:
    """A text for the terminal in which nothing but rich's own style drives it."""
    return Text(visible_line(text), style, **layout)


class SessionView:
    """A session as rich shows it; each refresh reads only what is new.

    Args:
        session: The session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._follower = ActivityFollower(session.paths, str(session.head.get("cwd", "")))
        self._is_foreign = read_marks().is_foreign(session.head, session.id)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._session.snapshot
        yield self._title(options.max_width)
        yield self._bar(options.max_width)
        yield self._counters()
        yield self._figures()
        notices = _notices(self._session)
        for text in notices:
            yield Text("▌ ", "yellow") + _plain(text, no_wrap=True, overflow="ellipsis")
        yield Text()
        n_rows = max(3, console.height - _FRAME_LINES - len(notices))
        yield self._table(n_rows)
        n_hidden = len(snapshot.tasks or ()) - n_rows
        if n_hidden > 0:
            more = f"  {n_hidden} more: {render.program()} status {self._session.snapshot.short_id}"
            yield _plain(more, "dim")

    def _title(self, width: int) -> Text:
        snapshot = self._session.snapshot
        symbol, colour = STYLES[snapshot.state]
        left = Text.assemble((f"{symbol} {snapshot.state}", colour))
        if self._is_foreign:
            left.append("  foreign", "dim")
        if self._session.name:
            left.append(_plain(f"  {self._session.name}", "bold"))
        left.append(_plain(f"  {self._session.id[:8]}", "dim"))
        folder = _plain(
            formatting.short_path(snapshot.paths.root), "dim", no_wrap=True, overflow="ellipsis"
        )
        room = width - left.cell_len - 2
        if room > 10:
            folder.truncate(room, overflow="ellipsis")
            left.append(" " * (room + 2 - folder.cell_len))
            left.append(folder)
        return left

    def _bar(self, width: int) -> Text:
        snapshot = self._session.snapshot
        total = max(1, snapshot.count("total"))
        bar, n_cells, n_tasks = Text(), 0, 0
        for state in formatting.COUNTED_STATES:
            n_tasks += snapshot.count(f"n_{state}")
            end = round(width * min(n_tasks, total) / total)
            glyph = "─" if state == states.PENDING else "━"
            bar.append(glyph * (end - n_cells), STYLES[state][1])
            n_cells = max(n_cells, end)
        return bar

    def _counters(self) -> Text:
        snapshot, line = self._session.snapshot, Text()
        for state in formatting.COUNTED_STATES:
            count = snapshot.count(f"n_{state}")
            if count or state in formatting.ALWAYS_SHOWN:
                symbol, colour = STYLES[state]
                line.append(f"{symbol} {count} {state}   ", colour if count else "dim")
        if snapshot.count("n_denials"):
            line.append(f"⚠ {snapshot.count('n_denials')} denied", "yellow")
        return line

    def _figures(self) -> Text:
        return _plain(" · ".join(formatting.figures(self._session.snapshot)))

    def _table(self, n_rows: int) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(no_wrap=True, min_width=12)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=4)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=5)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for task in self._rows(n_rows):
            fields = task.fields
            state, outcome = task_state(fields)
            word = outcome or state
            symbol, colour = STYLES[word]
            cost = fields.get("cost_usd")
            table.add_row(
                str(task.num),
                Text(f"{symbol} {word}", colour),
                _plain(one_line(str(fields.get("prompt", "")), 80)),
                self._activity(task, word),
                formatting.clock(task_duration_s(fields)),
                f"{cost:.2f}" if isinstance(cost, int | float) else "",
            )
        return table

    def _rows(self, n_rows: int) -> list[Task]:
        """All tasks if they fit; otherwise running tasks first, then failures, then the latest."""
        tasks = self._session.tasks
        if len(tasks) <= n_rows:
            return tasks
        return sorted(sorted(tasks, key=_urgency)[:n_rows], key=lambda task: task.num)

    def _activity(self, task: Task, word: str) -> Text:
        activity, since_s = self._follower.describe(task.fields)
        if word in states.FAILURES:
            return _plain(activity, "red")
        if word != states.SUCCEEDED:
            elapsed = f", {time.time() - since_s:.0f} s" if since_s else ""
            return _plain(activity + elapsed, "" if word == states.RUNNING else STYLES[word][1])
        line = Text()
        if task.fields.get("n_denials"):
            line.append(_plain(f"⚠ {task.fields['n_denials']} denied ", "yellow"))
        return line.append(_plain(activity, "dim"))
