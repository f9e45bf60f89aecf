"""Static HTML of sessions and tasks: what a saved notebook keeps, on GitHub too."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cpr_nb.display.row_deltas import Column
from cpr_nb.model import states
from cpr_nb.model.text import one_line, visible
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.times import parse_iso
from cpr_nb.views import formatting
from cpr_nb.views.figure_texts import figure_pieces

if TYPE_CHECKING:
    from jinja2 import Environment

    from cpr_nb.display.row_deltas import Row
    from cpr_nb.display.session_model import SessionModel

#: The most bytes of a card: a notebook with many of them must stay small.
MAX_BYTES = 6000
#: For the last line of a card: how to read the outputs.
SHOW_HINT = ", s.show() opens the outputs"
_MAX_FAILURES, _MAX_SUCCESSES, _MAX_WARNINGS = 10, 8, 3
_TEMPLATES = {
    "head": """\
<div class="head"><b class="{{ tone }}">{{ symbol }} {{ state|plain }}</b>
{%- if foreign %} <span class="mute">foreign</span>{% endif %}
{%- if name %} <b>{{ name|plain }}</b>{% endif %} <code class="mute">{{ short|plain }}</code>
 <code class="mute">{{ folder|plain }}</code></div>
{%- if parts %}<div class="bar" role="img" aria-label="{{ label }}">
{%- for tone, n in parts %}<i class="{{ tone }}" style="flex:{{ n }}"></i>{% endfor %}</div>
{%- endif %}
""",
    "figures": """\
<div class="mute">{% for figure in figures %}{{ " · " if not loop.first }}{{ figure|plain }}
{%- endfor %}</div>
{%- for notice, command in notices %}{% include "notice" %}{% endfor %}
""",
    "notice": """\
<div class="note">{{ notice|plain }}
{%- if command %} <code>{{ command|plain }}</code>{% endif %}</div>
""",
    "card": """\
<style>{{ css }}</style><div class="cpr cpr-card">{{ head }}
<div>{% for tone, symbol, n, state in counters -%}
<span class="{{ tone }}">{{ symbol }}</span> {{ n }} {{ state }}{{ " · " if not loop.last }}
{%- endfor %}</div>{{ figures }}
{%- if rows %}<table class="t">
{%- for num, tone, state, title, now in rows %}
<tr><td class="mute">{{ num }}</td><td class="{{ tone }}">{{ state }}</td><td>{{ title|plain }}</td>
<td class="mute">{{ now|plain }}</td></tr>{% endfor %}</table>{% endif %}
<div class="mute">{{ more }}<code>cpr.attach("{{ short|plain }}")</code>{{ after }}</div></div>
""",
    "sessions": """\
<style>{{ css }}</style><div class="cpr cpr-card"><div class="head"><b>{{ title }}</b>
 <code class="mute">{{ folder|plain }}</code></div><table class="t">
{%- for num, tone, state, title, now in rows %}
<tr><td class="mute">{{ num }}</td><td class="{{ tone }}">{{ state }}</td><td>{{ title|plain }}</td>
<td class="mute">{{ now|plain }}</td></tr>{% endfor %}</table>
{%- if n_more %}<div class="mute">{{ n_more }} more:
<code>cpr.sessions_df()</code></div>{% endif %}</div>
""",
    "task": """\
<style>{{ css }}</style><div class="cpr cpr-card"><div class="head"><b class="{{ tone }}">
{{- symbol }} {{ state }}</b> <b>task {{ num }}</b> <code class="mute">{{ id|plain }}</code></div>
<div>{{ title|plain }}</div><div class="{{ 'bad' if failed else 'mute' }}">{{ now|plain }}</div>
<div class="mute">{{ figures|join(" · ")|plain }}</div></div>
""",
}


@cache
def _environment() -> Environment:
    from jinja2 import DictLoader, Environment

    environment = Environment(loader=DictLoader(_TEMPLATES), autoescape=True)
    environment.filters["plain"] = plain
    return environment


def _render(template: str, /, **values: Any) -> str:
    return _environment().get_template(template).render(**values)


def plain(text: object) -> Any:
    """Returns text as HTML that shows it unchanged: no markup, and no mathematics either.

    Example:
        >>> plain("<b> $x$")
        Markup('&lt;b&gt; <span>$</span>x<span>$</span>')
    """
    from markupsafe import Markup, escape

    # Notebooks typeset $…$ and \(…\), but never across an element.
    html = str(escape(visible(str(text))))
    return Markup(html.replace("\\", "<span>\\</span>").replace("$", "<span>$</span>"))  # noqa: S704


@cache
def css() -> str:
    """Returns the style of a card."""
    return files("cpr_nb.display").joinpath("web", "card.css").read_text("utf-8").replace("\n", "")


def head_html(model: SessionModel, *, bar: bool = True) -> str:
    """Returns the first lines of a session: its state, name and folder, and the segmented bar.

    Args:
        model: The session.
        bar: Whether to draw the bar.
    """
    snapshot = model.snapshot
    symbol, tone = formatting.STATE_STYLES[snapshot.state]
    counts = [(state, snapshot.count(f"n_{state}")) for state in formatting.COUNTED_STATES]
    parts = [(formatting.STATE_STYLES[state][1], n) for state, n in counts if n]
    return _render(
        "head",
        symbol=symbol,
        tone=tone,
        state=snapshot.state,
        foreign=read_marks().is_foreign(snapshot.head, snapshot.session_id),
        name=one_line(str(snapshot.head.get("name") or ""), 80),
        short=model.short,
        folder=one_line(formatting.short_path(snapshot.paths.root), 120),
        parts=parts if bar else (),
        label=", ".join(f"{n} {state}" for state, n in counts if n),
    )


def figures_html(model: SessionModel, n_warnings: int = _MAX_WARNINGS) -> str:
    """Returns the line of figures, one notice at most, and the first warnings."""
    notice, command = model.notice(), ""
    if not notice:
        notice, command = model.denial_notice()
    notices = [(one_line(notice, 500), one_line(command, 2000))] if notice else []
    warnings = model.warnings()
    notices += [(warning, "") for warning in warnings[:n_warnings]]
    if n_more := len(warnings[n_warnings:]):
        notices.append((f"{formatting.plural(n_more, 'more warning')}:", "s.warnings"))
    figures = [piece.text for piece in figure_pieces(model.figures, model.snapshot)]
    return _render("figures", figures=figures, notices=notices)


def notice_html(text: str) -> str:
    """Returns a notice alone."""
    return _render("notice", notice=one_line(text))


def session_card(model: SessionModel, hint: str = "") -> str:
    """Returns a session as static HTML of at most `MAX_BYTES`.

    Args:
        model: The session.
        hint: The end of the last line, such as `SHOW_HINT`.
    """
    for limit, scale in ((90, 1.0), (60, 1.0), (40, 1.0), (40, 0.5), (30, 0.2), (0, 0.0)):
        html = _render_card(model, hint, limit, scale)
        if len(html.encode()) <= MAX_BYTES:
            break
    return html


def _render_card(model: SessionModel, hint: str, limit: int, scale: float) -> str:
    failures = [row for row in model.rows if _style(row)[1] == "bad"]
    successes = [row for row in model.rows if row[Column.STATE] == states.SUCCEEDED]
    n_failures, n_successes = int(_MAX_FAILURES * scale), int(_MAX_SUCCESSES * scale)
    rows = [*failures[:n_failures], *successes[:n_successes]]
    n_more = len(model.rows) - len(rows)
    return _render(
        "card",
        css=_markup(css()),
        head=_markup(head_html(model)),
        figures=_markup(figures_html(model, int(_MAX_WARNINGS * scale))),
        counters=_counters(model),
        rows=[_row_cells(row, limit) for row in rows],
        more=f"{n_more} more: " if n_more else "",
        short=model.short,
        after=f" {_end_time(model.snapshot.head)}{hint}",
    )


def _counters(model: SessionModel) -> list[tuple[str, str, int, str]]:
    """Returns tone, symbol, number and name of each counter that is not 0."""
    counters = []
    for state in formatting.COUNTED_STATES:
        symbol, tone = formatting.STATE_STYLES[state]
        count = model.snapshot.count(f"n_{state}")
        if count:
            counters.append((tone, symbol, count, state))
    n_denied = model.snapshot.count("n_denials")
    return [*counters, ("warn", "⚠", n_denied, "denied")] if n_denied else counters


def _style(row: Row) -> tuple[str, str]:
    """Returns the symbol and the tone of a row's state."""
    return formatting.STATE_STYLES.get(row[Column.STATE], ("?", "warn"))


def _row_cells(row: Row, limit: int) -> tuple[int, str, str, str, str]:
    """Returns number, tone, state, title and activity of a row, as the templates show them."""
    symbol, tone = _style(row)
    denied = f"⚠ {row[Column.DENIED]} denied · " if row[Column.DENIED] else ""
    now = one_line(denied + row[Column.NOW], limit + 20)
    state = f"{symbol} {row[Column.STATE]}"
    return row[Column.NUM], tone, state, one_line(row[Column.TITLE], limit), now


def _end_time(head: dict[str, Any]) -> str:
    end_s = parse_iso(head.get("ended_at"))
    if end_s is None:
        return ""
    from datetime import UTC, datetime

    return f"· ended {datetime.fromtimestamp(end_s, UTC):%d %b %Y %H:%M} UTC"


def session_list_card(rows: list[Row], directory: str) -> str:
    """Returns the newest sessions of a results directory as HTML of at most `MAX_BYTES`."""
    for limit, count in ((60, 12), (40, 10), (30, 5), (0, 0)):
        html = _render(
            "sessions",
            css=_markup(css()),
            title=formatting.plural(len(rows), "session"),
            n_more=len(rows[count:]),
            folder=one_line(formatting.short_path(directory), 120),
            rows=[_row_cells(row, limit) for row in rows[:count]],
        )
        if len(html.encode()) <= MAX_BYTES:
            break
    return html


def task_card(fields: dict[str, Any], row: Row) -> str:
    """Returns a task as a small piece of static HTML.

    Args:
        fields: Its fields in status.json.
        row: Its row.
    """
    symbol, tone = _style(row)
    n_tokens = formatting.total_tokens(fields)
    figures = [
        formatting.cost(fields),
        f"{formatting.short_count(n_tokens)} tokens" if n_tokens else "",
        formatting.clock(row[Column.DURATION]),
        f"{row[Column.DENIED]} denied" if row[Column.DENIED] else "",
    ]
    return _render(
        "task",
        css=_markup(css()),
        symbol=symbol,
        tone=tone,
        state=row[Column.STATE],
        num=row[Column.NUM],
        id=row[Column.KEY],
        title=row[Column.TITLE],
        now=row[Column.NOW],
        failed=row[Column.STATE] in states.FAILURES,
        figures=[figure for figure in figures if figure],
    )


def _markup(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)  # noqa: S704 - it was escaped when it was rendered
