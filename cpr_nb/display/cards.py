"""Static HTML of sessions and tasks: what a saved notebook keeps, on GitHub too."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cpr_nb.model import states
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.times import parse_iso
from cpr_nb.views import formatting

if TYPE_CHECKING:
    from jinja2 import Environment

    from cpr_nb.display.row_deltas import Row
    from cpr_nb.display.session_model import Pane

#: A notebook with many of them must stay small.
MAX_BYTES = 6000
_N_BAD, _N_GOOD = 10, 8
_TEMPLATES = {
    "head": """\
<div class="head"><b class="{{ tone }}">{{ symbol }} {{ state|plain }}</b>
{%- if name %} <b>{{ name|plain }}</b>{% endif %} <code class="mute">{{ short|plain }}</code>
 <code class="mute">{{ folder|plain }}</code></div>
{%- if parts %}<div class="bar" role="img" aria-label="{{ label }}">
{%- for tone, n in parts %}<i class="{{ tone }}" style="flex:{{ n }}"></i>{% endfor %}</div>
{%- endif %}
""",
    "figures": """\
<div class="mute">{% for figure in figures %}{{ " · " if not loop.first }}{{ figure|plain }}
{%- endfor %}</div>
{%- if note %}{% include "note" %}{% endif %}
""",
    "note": """\
<div class="note">{{ note|plain }}{% if fix %} <code>{{ fix|plain }}</code>{% endif %}</div>
""",
    "card": """\
<style>{{ css }}</style><div class="cpr cpr-card">{{ head }}
<div>{% for tone, symbol, n, word in counters -%}
<span class="{{ tone }}">{{ symbol }}</span> {{ n }} {{ word }}{{ " · " if not loop.last }}
{%- endfor %}</div>{{ figures }}
{%- if rows %}<table class="t">{% for num, tone, what, title, now in rows %}
<tr><td class="mute">{{ num }}</td><td class="{{ tone }}">{{ what }}</td><td>{{ title|plain }}</td>
<td class="mute">{{ now|plain }}</td></tr>{% endfor %}</table>{% endif %}
<div class="mute">{{ more }}<code>cpr.attach("{{ short|plain }}")</code>{{ after }}</div></div>
""",
    "sessions": """\
<style>{{ css }}</style><div class="cpr cpr-card"><div class="head"><b>{{ n }} sessions</b>
 <code class="mute">{{ folder|plain }}</code></div><table class="t">
{%- for num, tone, what, title, now in rows %}
<tr><td class="mute">{{ num }}</td><td class="{{ tone }}">{{ what }}</td><td>{{ title|plain }}</td>
<td class="mute">{{ now|plain }}</td></tr>{% endfor %}</table>
{%- if n > rows|length %}<div class="mute">{{ n - rows|length }} more:
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
    """Text for HTML that stays text: no markup, and no mathematics either.

    Example:
        >>> plain("<b> $x$")
        Markup('&lt;b&gt; <span>$</span>x<span>$</span>')
    """
    from markupsafe import Markup, escape

    # What renders a notebook typesets $…$ and \(…\), but never across an element.
    told = str(escape(strip_controls(str(text))))
    return Markup(told.replace("\\", "<span>\\</span>").replace("$", "<span>$</span>"))  # noqa: S704


@cache
def css() -> str:
    """The style of a card."""
    return files("cpr_nb.display").joinpath("web", "card.css").read_text("utf-8").replace("\n", "")


def head(pane: Pane, *, bar: bool = True) -> str:
    """The first lines of a session: its state, its name, its folder, and the segmented bar.

    Args:
        pane: The session.
        bar: Whether to draw the bar.
    """
    snapshot = pane.snapshot
    symbol, tone = formatting.LOOKS[snapshot.state]
    counts = [(word, snapshot.count(f"n_{word}")) for word in formatting.COUNTERS]
    parts = [(formatting.LOOKS[word][1], n) for word, n in counts if n]
    return _render(
        "head",
        symbol=symbol,
        tone=tone,
        state=snapshot.state,
        name=one_line(str(snapshot.head.get("name") or ""), 80),
        short=pane.short,
        folder=one_line(formatting.short_path(snapshot.paths.root), 120),
        parts=parts if bar else (),
        label=", ".join(f"{n} {word}" for word, n in counts if n),
    )


def figures(pane: Pane) -> str:
    """The line of figures, and the one notice if there is any."""
    note, fix = pane.notice(), ""
    if not note:
        note, fix = pane.denial_notice()
    told = formatting.figures(pane.snapshot)
    return _render("figures", figures=told, note=one_line(note), fix=one_line(fix))


def note(text: str) -> str:
    """A notice alone."""
    return _render("note", note=one_line(text))


def card(pane: Pane, after: str = "") -> str:
    """A session as static HTML of at most `MAX_BYTES`.

    Args:
        pane: The session.
        after: A few words for the last line, behind how to open it again.
    """
    for limit, scale in ((90, 1.0), (60, 1.0), (40, 1.0), (40, 0.5), (30, 0.2), (0, 0.0)):
        told = _card(pane, after, limit, int(_N_BAD * scale), int(_N_GOOD * scale))
        if len(told.encode()) <= MAX_BYTES:
            break
    return told


def _card(pane: Pane, after: str, limit: int, n_bad: int, n_good: int) -> str:
    snapshot = pane.snapshot
    bad = [
        row
        for row in pane.rows
        if row[2] in formatting.LOOKS and formatting.LOOKS[row[2]][1] == "bad"
    ]
    good = [row for row in pane.rows if row[2] == states.SUCCEEDED]
    rows = [*bad[:n_bad], *good[:n_good]]
    n_more = len(pane.rows) - len(rows)
    return _render(
        "card",
        css=_safe(css()),
        head=_safe(head(pane)),
        figures=_safe(figures(pane)),
        counters=_counters(pane),
        rows=[_shown(row, limit) for row in rows],
        more=f"{n_more} more: " if n_more else "",
        short=pane.short,
        after=f" {_ended(snapshot.head)}{after}",
    )


def _counters(pane: Pane) -> list[tuple[str, str, int, str]]:
    counted = [
        (*formatting.LOOKS[w], pane.snapshot.count(f"n_{w}"), w) for w in formatting.COUNTERS
    ]
    told = [(tone, symbol, n, word) for symbol, tone, n, word in counted if n]
    n_denied = pane.snapshot.count("n_denials")
    return [*told, ("warn", "⚠", n_denied, "denied")] if n_denied else told


def _shown(row: Row, limit: int) -> tuple[int, str, str, str, str]:
    symbol, tone = formatting.LOOKS[row[2]]
    denied = f"⚠ {row[9]} denied · " if row[9] else ""
    now = one_line(denied + row[4], limit + 20)
    return row[1], tone, f"{symbol} {row[2]}", one_line(row[3], limit), now


def _ended(head: dict[str, Any]) -> str:
    at = parse_iso(head.get("ended_at"))
    if at is None:
        return ""
    from datetime import UTC, datetime

    return f"· ended {datetime.fromtimestamp(at, UTC):%d %b %Y %H:%M} UTC"


def sessions(rows: list[Row], directory: str) -> str:
    """The newest sessions of a results directory as static HTML of at most `MAX_BYTES`."""
    for limit, count in ((60, 12), (40, 10), (30, 5), (0, 0)):
        told = _render(
            "sessions",
            css=_safe(css()),
            n=len(rows),
            folder=one_line(formatting.short_path(directory), 120),
            rows=[_shown(row, limit) for row in rows[:count]],
        )
        if len(told.encode()) <= MAX_BYTES:
            break
    return told


def task_card(fields: dict[str, Any], row: Row) -> str:
    """A task as a small piece of static HTML.

    Args:
        fields: What status.json says of it.
        row: It as a row.
    """
    symbol, tone = formatting.LOOKS[row[2]]
    n_tokens = formatting.tokens(fields)
    told = [
        formatting.cost(fields),
        f"{formatting.short_count(n_tokens)} tokens" if n_tokens else "",
        formatting.clock(row[7]),
        f"{row[9]} denied" if row[9] else "",
    ]
    return _render(
        "task",
        css=_safe(css()),
        symbol=symbol,
        tone=tone,
        state=row[2],
        num=row[1],
        id=row[0],
        title=row[3],
        now=row[4],
        failed=row[2] in states.FAILURES,
        figures=[figure for figure in told if figure],
    )


def _safe(html: str) -> Any:
    from markupsafe import Markup

    return Markup(html)  # noqa: S704 - it was escaped when it was made
