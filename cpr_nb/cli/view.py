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
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.followed_tasks import FollowedTasks
from cpr_nb.views.notice import notice, warnings_of

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
        for line in progress_lines(session.paths.root):
            sys.stdout.write(f"{visible_line(line)}\n")
            sys.stdout.flush()
        session.refresh()
        return
    view = SessionView(session.paths.root)
    with Live(view, console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while view.poll().is_live:
            live.refresh()
            time.sleep(_REFRESH_S)
        live.refresh()
    session.refresh()


def progress_lines(root: str) -> Iterator[str]:
    """Yields one line for each task as it ends, each warning, and what holds the tasks up.

    Args:
        root: The session's folder.
    """
    tasks = FollowedTasks(root)
    ended: set[int] = set()
    shown: set[str] = set()
    while True:
        changed, snapshot = tasks.poll(), tasks.snapshot
        lines = _notices(snapshot)
        yield from (f"▌ {line}" for line in lines if line not in shown)
        shown = set(lines)
        for index in changed:
            fields = (snapshot.tasks or [])[index]
            if index not in ended and task_state(fields)[0] == states.ENDED:
                ended.add(index)
                of_all = f"[{len(ended)}/{len(snapshot.tasks or ())}]"
                yield f"{of_all} {_progress_line(index, fields)}"
        if not snapshot.is_live:
            return
        time.sleep(_REFRESH_S)


def _notices(snapshot: Snapshot) -> list[str]:
    """What a person must not miss now; when a session has ended, its summary has the warnings."""
    text = one_line(notice(snapshot, render.program()))
    return [
        *([text] if text else []),
        *(warnings_of(snapshot, render.program()) if snapshot.is_live else []),
    ]


def _progress_line(index: int, fields: dict[str, Any]) -> str:
    _, outcome = task_state(fields)
    is_good = outcome == states.SUCCEEDED
    reason = fields.get("reason", "completed" if is_good else "unknown")
    parts = [str(outcome) if is_good or outcome == reason else f"{outcome}: {reason}"]
    if fields.get("n_denials"):
        parts.append(f"{fields['n_denials']} denied")
    parts += [formatting.clock(task_duration_s(fields)), formatting.usd(fields.get("cost_usd"))]
    summary = ", ".join(part for part in parts if part)
    if fields.get("note"):
        summary += f"; {one_line(str(fields['note']))}"
    return (
        f"{render.task_icon(fields)} "
        f"Task {index + 1} (ID: {fields.get('transaction_id', '')}): {summary}"
    )


def _plain(text: str, style: str = "", **layout: Any) -> Text:
    """A text for the terminal in which nothing but rich's own style drives it."""
    return Text(visible_line(text), style, **layout)


class SessionView:
    """A session as rich shows it; each poll reads only what is new.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        self._tasks = FollowedTasks(root)
        snapshot = self.poll()
        self._follower = ActivityFollower(snapshot.paths, str(snapshot.head.get("cwd", "")))
        self._is_foreign = read_marks().is_foreign(snapshot.head, snapshot.session_id)

    def poll(self) -> Snapshot:
        """Reads what is new, and returns the session as it is now."""
        self._tasks.poll()
        return self._tasks.snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._tasks.snapshot
        yield self._title(options.max_width)
        yield self._bar(options.max_width)
        yield self._counters()
        yield self._figures()
        notices = _notices(snapshot)
        for text in notices:
            yield Text("▌ ", "yellow") + _plain(text, no_wrap=True, overflow="ellipsis")
        yield Text()
        n_rows = max(3, console.height - _FRAME_LINES - len(notices))
        yield self._table(n_rows)
        n_hidden = len(snapshot.tasks or ()) - n_rows
        if n_hidden > 0:
            more = f"  {n_hidden} more: {render.program()} status {snapshot.short_id}"
            yield _plain(more, "dim")

    def _title(self, width: int) -> Text:
        snapshot = self._tasks.snapshot
        symbol, colour = STYLES[snapshot.state]
        left = Text.assemble((f"{symbol} {snapshot.state}", colour))
        if self._is_foreign:
            left.append("  foreign", "dim")
        if snapshot.head.get("name"):
            left.append(_plain(f"  {snapshot.head['name']}", "bold"))
        left.append(_plain(f"  {snapshot.session_id[:8]}", "dim"))
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
        snapshot = self._tasks.snapshot
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
        snapshot, line = self._tasks.snapshot, Text()
        for state in formatting.COUNTED_STATES:
            count = snapshot.count(f"n_{state}")
            if count or state in formatting.ALWAYS_SHOWN:
                symbol, colour = STYLES[state]
                line.append(f"{symbol} {count} {state}   ", colour if count else "dim")
        if snapshot.count("n_denials"):
            line.append(f"⚠ {snapshot.count('n_denials')} denied", "yellow")
        return line

    def _figures(self) -> Text:
        tasks = self._tasks
        return _plain(" · ".join(formatting.figures(tasks.snapshot, tasks.mean_duration_s)))

    def _table(self, n_rows: int) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(no_wrap=True, min_width=12)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=4)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=5)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        for index in self._tasks.most_urgent(n_rows):
            fields = (self._tasks.snapshot.tasks or [])[index]
            state, outcome = task_state(fields)
            word = outcome or state
            symbol, colour = STYLES[word]
            cost = fields.get("cost_usd")
            table.add_row(
                str(index + 1),
                Text(f"{symbol} {word}", colour),
                _plain(one_line(str(fields.get("prompt", "")), 80)),
                self._activity(fields, word),
                formatting.clock(task_duration_s(fields)),
                f"{cost:.2f}" if isinstance(cost, int | float) else "",
            )
        return table

    def _activity(self, fields: dict[str, Any], word: str) -> Text:
        activity, since_s = self._follower.describe(fields)
        if word in states.FAILURES:
            return _plain(activity, "red")
        if word != states.SUCCEEDED:
            elapsed = f", {time.time() - since_s:.0f} s" if since_s else ""
            return _plain(activity + elapsed, "" if word == states.RUNNING else STYLES[word][1])
        line = Text()
        if fields.get("n_denials"):
            line.append(_plain(f"⚠ {fields['n_denials']} denied ", "yellow"))
        return line.append(_plain(activity, "dim"))
