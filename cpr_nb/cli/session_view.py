"""A session as rich draws it on a terminal: title, bar, counters, figures, notices, tasks."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from cpr_nb.cli import render
from cpr_nb.cli.question_lines import question_lines
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible_line
from cpr_nb.stats.live_forecast import live_forecast
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.read import Snapshot
from cpr_nb.views import formatting
from cpr_nb.views.decision_lines import decision_lines
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.figure_texts import ended_text, figure_pieces
from cpr_nb.views.followed_session import FollowedSession
from cpr_nb.views.grade_lines import grade_lines
from cpr_nb.views.node_line import node_pieces
from cpr_nb.views.nodes import node_of, nodes_of, silent_nodes
from cpr_nb.views.notice import notice, warnings_of
from cpr_nb.views.questions import questions_of

_FRAME_LINES = 8  # the lines around the rows of tasks, without figures and notices
_WIDE = 90  # columns from which the tokens and the node of each task are shown
_NODE_CELLS = 16

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
# What has ended is solid; what runs is hollow, or dashed where it asks; a hairline has not started.
_GLYPHS = {states.RUNNING: "═", states.ASKING: "╍", states.PENDING: "─"}
_ENDED_GLYPH = "━"


def notices(snapshot: Snapshot) -> list[str]:
    """What a person must not miss now; when a session has ended, its summary has the warnings.

    Args:
        snapshot: The session.
    """
    text = one_line(notice(snapshot, render.program()))
    return [
        *([text] if text else []),
        *(decision_lines(snapshot) if snapshot.is_live else []),
        *(grade_lines(snapshot, render.program()) if snapshot.is_live else []),
        *(warnings_of(snapshot, render.program()) if snapshot.is_live else []),
    ]


def node_texts(snapshot: Snapshot) -> list[Text]:
    """The pieces of the line of nodes."""
    now_s, texts = time.time(), []
    for piece in node_pieces(snapshot):
        colour = _COLOURS[piece.tone]
        name_style = colour if piece.tone == "warn" else ""
        text = Text(piece.symbol, colour)
        for word, style in ((piece.name, name_style), (piece.words(now_s), "dim")):
            if word:
                text.append(" " if text.plain else "").append(_plain(word, style))
        texts.append(text)
    return texts


def _plain(text: str, style: str = "", **layout: Any) -> Text:
    """A text for the terminal in which nothing but rich's own style drives it."""
    return Text(visible_line(text), style, **layout)


class SessionView:
    """A session as rich shows it; each poll reads only what is new.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        self._followed = FollowedSession(root, live_forecast)
        snapshot = self.poll()
        self._is_foreign = read_marks().is_foreign(snapshot.head, snapshot.session_id)

    def poll(self) -> Snapshot:
        """Reads what is new, and returns the session as it is now."""
        self._followed.poll()
        return self._followed.snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._followed.snapshot
        yield self._title(options.max_width)
        yield self._bar(options.max_width)
        yield self._counters()
        figures = self._figures(options.max_width) + self._nodes(options.max_width)
        yield from figures
        lines = [Text("▌ ", "yellow") + _plain(text) for text in notices(snapshot)]
        for text in question_lines(self._followed.questions, snapshot.short_id):
            lines.append(Text("▌ ", "yellow", no_wrap=True, overflow="ellipsis") + _plain(text))
        yield from lines
        yield Text()
        n_rows = max(3, console.height - _FRAME_LINES - len(figures) - len(lines))
        yield self._table(n_rows, options.max_width)
        n_hidden = len(snapshot.tasks or ()) - n_rows
        if n_hidden > 0:
            more = f"  {n_hidden} more: {render.program()} status {snapshot.short_id}"
            yield _plain(more, "dim")

    def _title(self, width: int) -> Text:
        snapshot = self._followed.snapshot
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
        figures = self._followed.figures
        beside = f"  {ended_text(figures)}"
        width, total = max(0, width - len(beside)), max(1, figures.n_total)
        bar, n_cells, n_tasks = Text(), 0, 0
        for state, count in figures.counts.items():
            n_tasks += count
            end = round(width * min(n_tasks, total) / total)
            glyph = _GLYPHS.get(state, _ENDED_GLYPH)
            bar.append(glyph * (end - n_cells), STYLES[state][1])
            n_cells = max(n_cells, end)
        return bar.append(beside, "bold")

    def _counters(self) -> Text:
        snapshot, line = self._followed.snapshot, Text()
        for state, count in self._followed.figures.counts.items():
            if count or state in formatting.ALWAYS_SHOWN:
                symbol, colour = STYLES[state]
                line.append(f"{symbol} {count} {state}   ", colour if count else "dim")
        if snapshot.count("n_denials"):
            line.append(f"⚠ {snapshot.count('n_denials')} denied", "yellow")
        return line

    def _figures(self, width: int) -> list[Text]:
        """The figures in as many lines as they need; none of them is broken."""
        lines: list[str] = []
        for piece in figure_pieces(self._followed.figures, self._followed.snapshot):
            longer = f"{lines[-1]} · {piece.text}" if lines else piece.text
            if lines and len(longer) <= width:
                lines[-1] = longer
            else:
                lines.append(piece.text)
        return [_plain(line) for line in lines]

    def _nodes(self, width: int) -> list[Text]:
        """The line of nodes in as many lines as it needs; no piece is broken."""
        lines: list[Text] = []
        for piece in node_texts(self._followed.snapshot):
            if lines and lines[-1].cell_len + 3 + piece.cell_len <= width:
                lines[-1].append("   ").append(piece)
            else:
                lines.append(piece)
        return lines

    def _table(self, n_rows: int, width: int) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(no_wrap=True, min_width=12)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=4)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=5)
        snapshot = self._followed.snapshot
        is_wide, silent = width >= _WIDE, silent_nodes(snapshot)
        has_nodes = is_wide and bool(nodes_of(snapshot))
        node_head, tokens_head = ["Node"] * has_nodes, ["Tokens"] * is_wide
        table.add_column(justify="right", no_wrap=True)
        if has_nodes:
            table.add_column(style="dim", no_wrap=True, overflow="ellipsis", max_width=_NODE_CELLS)
        for _ in range(3 if is_wide else 2):
            table.add_column(justify="right", no_wrap=True)
        heads = ["#", "State", "Prompt", "Now", "", *node_head, "Time", *tokens_head, "USD est."]
        table.add_row(*(Text(head, "dim") for head in heads))
        for index in self._followed.tasks.most_urgent(n_rows):
            fields = (snapshot.tasks or [])[index]
            state, outcome = task_state(fields)
            word = states.ASKING if questions_of(fields) else outcome or state
            symbol, colour = STYLES[word]
            activity, step_s = self._activity(fields, word)
            if state == states.RUNNING and (node := node_of(fields)) in silent:
                last = f" last: {activity.plain}" if activity.plain else ""
                activity, step_s = _plain(f"⚠ {node} is silent", "yellow").append(last), ""
            tokens, cost = self._task_figures(index)
            table.add_row(
                str(index + 1),
                Text(f"{symbol} {word}", colour),
                _plain(one_line(str(fields.get("prompt", "")), 80)),
                activity,
                Text(step_s, "dim"),
                *([_plain(node_of(fields))] if has_nodes else []),
                formatting.clock(task_duration_s(fields)),
                *([tokens] if is_wide else []),
                cost,
            )
        return table

    def _task_figures(self, index: int) -> tuple[Text, Text]:
        """The tokens and the cost of a task; those of a running one are dim."""
        figures = self._followed.task_figures(index)
        style = "dim" if figures.is_estimate else ""
        return Text(figures.tokens_text, style), Text(figures.cost_text, style)

    def _activity(self, fields: dict[str, Any], word: str) -> tuple[Text, str]:
        """What a task does or how it ended, and how long its tool has run: never cut off."""
        activity, since_s = self._followed.activity(fields)
        if word in states.FAILURES:
            return _plain(activity, "red"), ""
        if word == states.ASKING:
            return _plain(f"asks: {one_line(questions_of(fields)[0].target, 160)}"), ""
        if word != states.SUCCEEDED:
            step_s = f"{time.time() - since_s:.0f} s" if since_s else ""
            return _plain(activity, "" if word == states.RUNNING else STYLES[word][1]), step_s
        line = Text()
        if fields.get("n_denials"):
            line.append(_plain(f"⚠ {fields['n_denials']} denied ", "yellow"))
        return line.append(_plain(activity, "dim")), ""
