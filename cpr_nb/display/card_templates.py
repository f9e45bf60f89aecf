"""The templates of the static cards. They escape whatever they are given."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cpr_nb.display.escaping import markup, plain

if TYPE_CHECKING:
    from jinja2 import Environment

# An untrusted notebook loses the style, not the elements: there the separators are seen, and the
# names of the columns stay hidden.
_TEMPLATES = {
    "head": """\
<div class="row head"><b class="{{ tone }}">{{ symbol }} {{ state|plain }}</b>
{%- if foreign %} <span class="mute">foreign</span>{% endif %}
{%- if name %} <b>{{ name|plain }}</b>{% endif %} <code class="mute">{{ short|plain }}</code>
 <code class="mute grow r">{{ folder|plain }}</code></div>
{%- if parts %}<div class="prog"><div class="bar" role="img" aria-label="{{ label }}">
{%- for tone, n in parts %}<i class="{{ tone }}" style="flex:{{ n }} 1 0"></i>{% endfor %}</div>
 <b>{{ ended }}</b></div>{% endif %}
""",
    "figures": """\
<div class="figs">{% for figure in figures %}{{ " · " if not loop.first -}}
<span class="nb">{{ figure }}</span>{% endfor %}</div>
{%- if nodes %}<div class="nodes">{% for piece, words in nodes %}
{%- if not loop.first %}<span class="sep"> · </span>{% endif %}
<span>{% if piece.name %}<span class="{{ piece.tone }}">{{ piece.symbol }}</span>
 {{ piece.name|plain }} {% endif %}<span class="mute">{{ words|plain }}</span></span>
{%- endfor %}</div>{% endif %}
{%- for notice, command in notices %}{% include "notice" %}{% endfor %}
""",
    "counter": """\
<span class="{{ tone }}">{{ symbol }}</span>{{ " " -}}
{% if is_strong %}<b>{{ n }} {{ word }}</b>{% else %}{{ n }} {{ word }}{% endif %}
""",
    "wait": """\
<style>{{ css }}</style><div class="cpr"><div class="one"><span>
{%- if progress.symbol %}<span class="{{ progress.tone }}">{{ progress.symbol }}</span> {% endif -%}
<b>{{ progress.name|plain }}</b></span>
<div class="bar" role="img" aria-label="{{ progress.label }}">
{%- for tone, n in progress.parts %}<i class="{{ tone }}" style="flex:{{ n }} 1 0"></i>{% endfor %}
</div> <span>{% for piece in progress.pieces %}
{%- if loop.first %}<b>{{ piece.text }}</b> <span class="mute">{% else %} ·
{%- if piece.symbol %} <span class="{{ piece.tone }}">{{ piece.symbol }}</span>{% endif %}
 {{ piece.text }}{% endif %}{% endfor %}</span></span></div></div>
""",
    "notice": """\
<div class="note">{{ notice|plain }}
{%- if command %} <code>{{ command|plain }}</code>{% endif %}</div>
""",
    "row": """\
<details><summary><span class="n mute">{{ num }}</span><span class="sep"> </span>
<span class="st {{ tone }}">{{ symbol }} {{ state }}</span><span class="sep"> · </span>
<span class="pr">{{ title|plain }}</span><span class="sep"> · </span>
<span class="res {{ tone if tone == 'bad' else 'mute' }}">
{%- if denied %}<span class="warn">⚠ {{ denied }} denied</span> {% endif %}{{ result|plain }}</span>
<span class="sep"> · </span><span class="n">{{ time }}</span>
<span class="sep"> · </span><span class="n"><span class="sep">USD </span>{{ usd }}</span></summary>
<div class="open">{{ inside }}</div></details>
""",
    "inside": """\
{%- if errors and is_failure %}<pre>{{ errors|plain }}</pre>{% endif %}
{%- if answer %}<div class="md">{{ answer }}</div>{% endif %}
{%- if cut %}<p class="mute">{{ cut|plain }}</p>{% endif %}
{%- if errors and not is_failure %}<pre>{{ errors|plain }}</pre>{% endif %}
{%- if note %}<p class="warn">{{ note|plain }}</p>{% endif %}
<p class="mute">{% for fact in facts %}{{ " · " if not loop.first -}}
<span class="nb">{{ fact|plain }}</span>{% endfor %}</p>
{%- if raw %}<details class="raw"><summary>Raw text, {{ raw_size }}</summary>
<pre>{{ raw|plain }}</pre></details>{% endif %}
""",
    "card": """\
<style>{{ css }}</style><div class="cpr cpr-card">{{ head }}{{ figures }}
{%- if rows %}<div class="list"><div class="cols" hidden="hidden"><span></span>
<span class="n">#</span><span>State</span><span>Prompt</span><span>Result</span>
<span class="n">Time</span><span class="n">USD est.</span></div>
{%- for row in rows %}{{ row }}{% endfor %}</div>{% endif %}
<div class="mute">{% for part in foot %}{{ " · " if not loop.first }}{{ part }}{% endfor %}</div>
</div>
""",
    "hint": """\
all outputs: {% if attach %}<code>{{ attach|plain }}</code> here, or {% endif -%}
<code>{{ results|plain }}</code> in a terminal
""",
    "sessions": """\
<style>{{ css }}</style><div class="cpr cpr-card"><div class="row head"><b>{{ title }}</b>
 <code class="mute grow r">{{ folder|plain }}</code></div><table class="t">
{%- for total, tone, state, title, now, time, usd in rows %}
<tr><td class="nb {{ tone }}">{{ state }}</td><td>{{ title|plain }}</td>
<td class="mute">{{ now|plain }}</td><td class="n nb mute">{{ total }}</td>
<td class="n nb">{{ time }}</td><td class="n nb">{{ usd }}</td></tr>{% endfor %}</table>
{%- if n_more %}<div class="mute">{{ n_more }} more:
 <code>cpr.sessions_df()</code></div>{% endif %}</div>
""",
    "task": """\
<style>{{ css }}</style><div class="cpr cpr-card"><div class="row head">
<b class="{{ tone }}">{{ symbol }} {{ state }}</b> <b>task {{ num }}</b>
 <code class="mute grow r">{{ id|plain }}</code></div>
<div>{{ title|plain }}</div><div class="{{ 'bad' if tone == 'bad' else 'mute' }}">
{{- now|plain }}</div><div class="open">{{ inside }}</div></div>
""",
}


@cache
def _environment() -> Environment:
    from jinja2 import DictLoader, Environment

    environment = Environment(loader=DictLoader(_TEMPLATES), autoescape=True)
    environment.filters["plain"] = plain
    return environment


def render(template: str, /, **values: Any) -> Any:
    """Returns a template with its values, marked as HTML.

    Args:
        template: Its name.
        **values: What it shows; whatever is not marked as HTML is escaped.

    Example:
        >>> render("notice", notice="<b>", command="")
        Markup('<div class="note">&lt;b&gt;</div>')
    """
    return markup(_environment().get_template(template).render(**values))


@cache
def css() -> Any:
    """Returns the style of the cards, marked as HTML."""
    style = files("cpr_nb.display").joinpath("web", "card.css").read_text("utf-8")
    return markup(style.replace("\n", ""))
