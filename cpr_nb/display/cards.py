"""Static HTML of sessions and tasks: what a saved notebook keeps, on GitHub too."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from cpr_nb.display.card_templates import css, render
from cpr_nb.display.opened_rows import Inside, inside
from cpr_nb.display.row_deltas import Column
from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.times import parse_iso
from cpr_nb.views import formatting
from cpr_nb.views.figure_texts import ended_text, figure_pieces
from cpr_nb.views.node_line import node_pieces
from cpr_nb.views.notice import PROGRAM
from cpr_nb.views.task_figures import ESTIMATE_MARK
from cpr_nb.views.work_left import task_note

if TYPE_CHECKING:
    from cpr_nb.display.row_deltas import Row
    from cpr_nb.display.session_model import SessionModel
    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import Figures

#: The most bytes of a card, its style included: a notebook with many of them must stay small.
MAX_BYTES = 32_000
_MAX_FAILURES, _MAX_OTHERS, _MAX_WARNINGS = 10, 8, 3
#: How much of an answer a row shows, how long its texts are, and how many rows there are (as a
#: share of the numbers above): the first that fits.
_SIZES = (
    (2000, 90, 1.0),
    (1000, 90, 1.0),
    (400, 60, 1.0),
    (200, 40, 0.5),
    (100, 30, 0.2),
    (0, 0, 0.0),
)
# What the rows of ended tasks open: a live session's card is drawn every few seconds.
_kept: dict[tuple[Any, ...], Inside] = {}
_MAX_KEPT = 500
# The order of the rows: what failed, then what was denied something, then the rest.
_ORDER = (
    states.SUCCEEDED,
    states.RUNNING,
    states.RETRYING,
    states.CANCELLED,
    states.SKIPPED,
    states.PENDING,
)


def _head_html(model: SessionModel, figures: Figures) -> Any:
    """Returns the first lines of a session: its state, name and folder, and the segmented bar."""
    snapshot = model.snapshot
    symbol, tone = formatting.STATE_STYLES[snapshot.state]
    return render(
        "head",
        symbol=symbol,
        tone=tone,
        state=snapshot.state,
        foreign=read_marks().is_foreign(snapshot.head, snapshot.session_id),
        name=one_line(str(snapshot.head.get("name") or ""), 80),
        short=model.short,
        folder=one_line(formatting.short_path(snapshot.paths.root), 120),
        parts=[(_bar_tone(state), n) for state, n in figures.counts.items() if n],
        label=", ".join(f"{n} {state}" for state, n in figures.counts.items() if n),
        ended=ended_text(figures),
    )


def _bar_tone(state: str) -> str:
    """Returns the tone of a part of the bar: what has not started is no more than a line."""
    return "rest" if state == states.PENDING else formatting.STATE_STYLES[state][1]


def _notices(model: SessionModel, n_warnings: int) -> list[tuple[str, str]]:
    """Returns one notice at most and the first warnings: text and command."""
    notice, command = model.notice(), ""
    if not notice:
        notice, command = model.denial_notice()
    notices = [(one_line(notice, 500), one_line(command, 2000))] if notice else []
    if n_questions := model.figures.counts.get(states.ASKING):
        asks = f"{formatting.plural(n_questions, 'task')} waiting for an answer:"
        notices.insert(0, (asks, f"{PROGRAM} answer {model.snapshot.short_id}"))
    warnings = model.warnings()
    notices += [(warning, "") for warning in warnings[:n_warnings]]
    if n_more := len(warnings[n_warnings:]):
        notices.append((f"{formatting.plural(n_more, 'more warning')}:", "s.warnings"))
    return notices


def session_card(model: SessionModel, *, opens: bool = True) -> str:
    """Returns a session as static HTML of at most `MAX_BYTES`; each row opens in place.

    Args:
        model: The session.
        opens: Whether evaluating the session shows more than this card does: the live view.
    """
    for size in _SIZES:
        html = _render_card(model, *size, opens=opens)
        if len(html.encode()) <= MAX_BYTES:
            break
    return html


def _render_card(
    model: SessionModel, limit_bytes: int, limit: int, scale: float, *, opens: bool
) -> str:
    rows, figures, now_s = _chosen_rows(model, scale), model.figures, time.time()
    pieces = [piece.text for piece in figure_pieces(figures, model.snapshot)]
    left_out = Counter(row[Column.STATE] for row in model.rows)
    left_out.subtract(model.rows[index][Column.STATE] for index in rows)
    return str(
        render(
            "card",
            css=css(),
            head=_head_html(model, figures),
            figures=render(
                "figures",
                figures=[*_counters(model, figures), *pieces],
                nodes=[(piece, piece.words(now_s)) for piece in node_pieces(model.snapshot)],
                notices=_notices(model, int(_MAX_WARNINGS * scale)),
            ),
            rows=[_row_html(model, index, limit_bytes, limit) for index in rows],
            foot=[
                part
                for part in (
                    _more(left_out),
                    _hint(model, opens=opens),
                    _end_time(model.snapshot.head),
                )
                if part
            ],
        )
    )


def _chosen_rows(model: SessionModel, scale: float) -> list[int]:
    """Returns the indices of the rows that a card shows, in its order."""
    n_failures, n_others = int(_MAX_FAILURES * scale), int(_MAX_OTHERS * scale)
    failures: list[int] = []
    others: dict[tuple[bool, bool, int], list[int]] = {}
    for index, row in enumerate(model.rows):
        if _style(row)[1] == "bad":
            failures.append(index)
            continue
        state = row[Column.STATE]
        rank = _ORDER.index(state) if state in _ORDER else len(_ORDER)
        denied = not row[Column.DENIED]
        others.setdefault((state != states.ASKING, denied, rank), []).append(index)
    ordered = [index for rank in sorted(others) for index in others[rank][:n_others]]
    return [*failures[:n_failures], *ordered[:n_others]]


def _row_html(model: SessionModel, index: int, limit_bytes: int, limit: int) -> Any:
    row = model.rows[index]
    opened, tasks = Inside("", ""), model.snapshot.tasks or ()
    if index < len(tasks):  # no row of another session
        opened = _inside(model, index, limit_bytes)
    symbol, tone = _style(row)
    note = index < len(tasks) and task_note(tasks[index], model.short)
    is_answer = row[Column.STATE] == states.SUCCEEDED and opened.first and not note
    result = opened.first if is_answer else row[Column.NOW]
    duration_s = row[Column.DURATION]
    if row[Column.STARTED] is not None:
        duration_s = time.time() - row[Column.STARTED]
    return render(
        "row",
        num=row[Column.NUM],
        symbol=symbol,
        tone=tone,
        state=row[Column.STATE],
        title=one_line(row[Column.TITLE], limit),
        denied=row[Column.DENIED],
        result=one_line(result, limit + 20),
        time=formatting.clock(duration_s),
        usd=_usd(row),
        inside=opened.html,
    )


def _inside(model: SessionModel, index: int, limit_bytes: int) -> Inside:
    """Returns what a row opens; that of a task that has ended is kept, for it stays the same."""
    row = model.rows[index]
    if row[Column.STATE] not in states.OUTCOMES:
        return inside(model.snapshot, index, limit_bytes)
    attempts = (model.snapshot.tasks or ())[index].get("attempts")
    key = (model.snapshot.paths.root, limit_bytes, attempts, *row)
    if key not in _kept:
        if len(_kept) > _MAX_KEPT:
            _kept.clear()
        _kept[key] = inside(model.snapshot, index, limit_bytes)
    return _kept[key]


def _usd(row: Row) -> str:
    """Returns what a row has cost, marked where it is estimated; empty if unknown."""
    if row[Column.COST] is None:
        return ""
    mark = f"{ESTIMATE_MARK} " if row[Column.ESTIMATED] else ""
    return f"{mark}{formatting.amount(row[Column.COST])}"


def _more(left_out: Counter[str]) -> str:
    """Returns how many tasks are not shown, and their state if it is the same; empty if none."""
    kinds = [state for state, count in left_out.items() if count]
    kind = f" {kinds[0]}" if len(kinds) == 1 else ""
    return f"{left_out.total()} more{kind}" if kinds else ""


def _hint(model: SessionModel, *, opens: bool) -> Any:
    """Returns how to read all outputs, as HTML: never by what shows this card again."""
    if not model.rows:
        return ""
    results = f"{PROGRAM} results {model.snapshot.short_id}"
    return render("hint", attach=f'cpr.attach("{model.short}")' if opens else "", results=results)


def _counters(model: SessionModel, figures: Figures) -> list[Any]:
    """Returns symbol, number and word of each counter that is not 0, as HTML."""
    counters = []
    strong = (states.SUCCEEDED, states.FAILED)
    for state, n in figures.counts.items():
        symbol, tone = formatting.STATE_STYLES[state]
        if n:
            counters.append((tone, symbol, n, state, state in strong))
    if n_denied := model.snapshot.count("n_denials"):
        counters.append(("warn", "⚠", n_denied, "denied", False))
    names = ("tone", "symbol", "n", "word", "is_strong")
    return [render("counter", **dict(zip(names, counter, strict=True))) for counter in counters]


def _style(row: Row) -> tuple[str, str]:
    """Returns the symbol and the tone of a row's state."""
    return formatting.STATE_STYLES.get(row[Column.STATE], ("?", "warn"))


def _end_time(head: dict[str, Any]) -> str:
    end_s = parse_iso(head.get("ended_at"))
    if end_s is None:
        return ""
    from datetime import UTC, datetime

    return f"ended {datetime.fromtimestamp(end_s, UTC):%d %b %Y, %H:%M} UTC"


def session_list_card(rows: list[Row], directory: str) -> str:
    """Returns the newest sessions of a results directory as HTML of at most `MAX_BYTES`."""
    for limit, count in ((60, 12), (40, 10), (30, 5), (0, 0)):
        html = render(
            "sessions",
            css=css(),
            title=formatting.plural(len(rows), "session"),
            n_more=len(rows[count:]),
            folder=one_line(formatting.short_path(directory), 120),
            rows=[_session_cells(row, limit) for row in rows[:count]],
        )
        if len(html.encode()) <= MAX_BYTES:
            break
    return str(html)


def _session_cells(row: Row, limit: int) -> tuple[str, str, str, str, str, str, str]:
    """Returns tasks, tone, state, name, counts, duration and cost of a session."""
    symbol, tone = _style(row)
    denied = f"⚠ {row[Column.DENIED]} denied · " if row[Column.DENIED] else ""
    cost_usd = row[Column.COST]
    return (
        formatting.plural(row[Column.NUM], "task"),
        tone,
        f"{symbol} {row[Column.STATE]}",
        one_line(row[Column.TITLE], limit),
        one_line(denied + row[Column.NOW], limit + 20),
        formatting.clock(row[Column.DURATION]),
        "" if cost_usd is None else formatting.usd_amount(cost_usd),
    )


def task_card(snapshot: Snapshot, index: int, row: Row) -> str:
    """Returns a task as static HTML: its state, its prompt, and what its row opens.

    Args:
        snapshot: Its session.
        index: Its number in it, from 0.
        row: Its row.
    """
    symbol, tone = _style(row)
    opened = inside(snapshot, index, _SIZES[0][0])
    return str(
        render(
            "task",
            css=css(),
            symbol=symbol,
            tone=tone,
            state=row[Column.STATE],
            num=row[Column.NUM],
            id=row[Column.KEY],
            title=row[Column.TITLE],
            now="" if opened.first else row[Column.NOW],
            inside=opened.html,
        )
    )
