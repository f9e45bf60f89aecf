"""Charts as self-contained SVG: readable in light and dark, saved with the notebook.

The SVG is in ``text/html``: only there do the notebook's colours reach it, not as an image.
JupyterLab removes styles and the elements of an SVG from a notebook that is not trusted, and leaves
the SVG's texts as one run of words. So the SVG is hidden, a style shows it, and without that style
there is an image of it instead, in colours that can be read on white and on black.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.store.read import Snapshot

WIDTH = 880

# Tone → colours in light and dark. The middle grey can be read on both.
_TONES = {
    "ok": ("#2e7d32", "#81c784"),
    "bad": ("#c62828", "#ef9a9a"),
    "run": ("#1565c0", "#90caf9"),
    "warn": ("#a15c00", "#ffcc80"),
}
GREY = "#767676"
#: State → tone. Colour is for states only.
TONE = {
    states.SUCCEEDED: "ok",
    states.FAILED: "bad",
    states.TIMED_OUT: "bad",
    states.LOST: "bad",
    states.RUNNING: "run",
    states.RETRYING: "warn",
    states.INTERRUPTED: "warn",
}

_DARK = (
    "[data-jp-theme-light=false] .cpr-chart,.vscode-dark .cpr-chart,"
    ".vscode-high-contrast:not(.vscode-high-contrast-light) .cpr-chart"
)
_STYLE = (
    ".cpr-chart{"
    + "".join(f"--{tone}:{light};" for tone, (light, _) in _TONES.items())
    + "color:var(--jp-content-font-color1,var(--vscode-foreground,currentColor));fill:currentColor;"
    "font:12px var(--jp-ui-font-family,var(--vscode-font-family,system-ui,sans-serif));"
    "font-variant-numeric:tabular-nums;display:block;max-width:100%;height:auto}"
    f".cpr-chart:root{{color:{GREY}}}"
    + _DARK
    + "{"
    + ";".join(f"--{tone}:{dark}" for tone, (_, dark) in _TONES.items())
    + "}"
    + "".join(f".cpr-chart .{tone}{{fill:var(--{tone})}}" for tone in _TONES)
    + ".cpr-chart .line{stroke:currentColor;stroke-opacity:.16;fill:none}"
    ".cpr-chart .step{stroke:currentColor;stroke-opacity:.7;fill:none}"
    ".cpr-chart .mute{fill-opacity:.68}.cpr-chart .rest{fill-opacity:.35}"
    ".cpr-chart .soft{fill-opacity:.08}.cpr-chart .name{font-weight:600}"
    # Ranges: a line with ends, and a dot; a text above them; a band and its middle.
    ".cpr-chart .ci,.cpr-chart .open{stroke:currentColor;stroke-width:1.5;fill:none}"
    ".cpr-chart .halo{font-weight:600;paint-order:stroke;stroke-width:4px;"
    "stroke:var(--jp-layout-color0,var(--vscode-editor-background,transparent))}"
    ".cpr-chart .band{fill:var(--run);fill-opacity:.18}"
    ".cpr-chart .mid{stroke:var(--run);stroke-width:1.5;fill:none}"
    # Alone, as an image or a file, it does not know on what it lies: the grey must do for both.
    ".cpr-chart:root .mute{fill-opacity:1}.cpr-chart:root .rest{fill-opacity:.7}"
    ".cpr-chart:root .line{stroke-opacity:.3}.cpr-chart:root .step{stroke-opacity:1}"
    ".cpr-chart:root :is(.soft,.band){fill-opacity:.25}"
)


# Without this style, the image is seen.
_SHOW_SVG = ".cpr-svg[hidden]{display:block}.cpr-svg+p{display:none}"


class Chart:
    """A chart; the last expression of a cell shows it.

    Args:
        svg: The SVG.
        text: What it shows, in a few words.

    Example:
        >>> print(Chart("<svg/>", "Nothing to see"))
        <svg/>
    """

    def __init__(self, svg: str, text: str) -> None:
        self.svg = svg
        self.text = text

    def __str__(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Chart: {self.text}>"

    def save(self, path: str | Path) -> None:
        """Writes it into a file.

        Args:
            path: The file, such as ``timeline.svg``.
        """
        Path(path).write_text(self.svg, "utf-8")

    def html(self) -> str:
        """What a notebook shows: the SVG, or an image of it where the notebook is not trusted."""
        data = base64.b64encode(self.svg.encode()).decode()
        image = f'<img src="data:image/svg+xml;base64,{data}" alt="{clean(self.text)}">'
        return (
            f"<style>{_SHOW_SVG}</style>"
            f'<div class="cpr-svg" hidden="hidden">{self.svg}</div><p>{image}</p>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": repr(self)}


def document(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    """Returns a whole SVG.

    Args:
        title: What it is, for those who can't see it.
        description: What it shows, for them, too.
        height: How high it is, in its own units; it is `WIDTH` wide.
        parts: What is in it.
    """
    size = f'width="{WIDTH}" height="{num(height)}" viewBox="0 0 {WIDTH} {num(height)}"'
    head = (
        # A notebook would typeset a prompt with $…$ as mathematics.
        '<svg xmlns="http://www.w3.org/2000/svg" class="cpr-chart mathjax_ignore tex2jax_ignore" '
        f'role="img" {size} '
        f'fill="{GREY}" font-family="system-ui,sans-serif" font-size="12">'
        f"<title>{clean(title)}</title><desc>{clean(description)}</desc>"
    )
    return f"{head}<style>{_STYLE}</style>{''.join(parts)}</svg>"


def title(kind: str, snapshot: Snapshot) -> str:
    """Returns the title of a session's chart."""
    name, short = snapshot.head.get("name"), snapshot.session_id[:8]
    return f"{kind} of {one_line(str(name), 40)}, {short}" if name else f"{kind} of {short}"


def clean(text: str, limit: int = 200) -> str:
    """Returns text that anyone may have written, on one line and without markup."""
    return escape(one_line(text, limit))


def text(
    x: float, y: float, content: str, *, anchor: str = "", kind: str = "", limit: int = 80
) -> str:
    """Returns a text; ``anchor`` is ``end`` or ``middle``, ``kind`` a class such as ``mute``."""
    attributes = f' text-anchor="{anchor}"' if anchor else ""
    attributes += f' class="{kind}"' if kind else ""
    return f'<text x="{num(x)}" y="{num(y)}"{attributes}>{clean(content, limit)}</text>'


def group(tone: str, parts: Sequence[str]) -> str:
    """Returns shapes of one tone as a group; empty if there are none."""
    if not parts:
        return ""
    colour = f' fill="{_TONES[tone][0]}"' if tone in _TONES else ' fill-opacity=".35"'
    return f'<g class="{tone}"{colour}>{"".join(parts)}</g>'


def bar(x: float, y: float, width: float, height: float, label: str = "") -> str:
    """Returns a bar, with the text that shows while the pointer is over it."""
    path = f"M{num(x)} {num(y)}h{num(width)}v{num(height)}h-{num(width)}z"
    return (
        f'<path d="{path}"><title>{clean(label)}</title></path>' if label else f'<path d="{path}"/>'
    )


def hairlines(path: str) -> str:
    """Returns thin lines, given as the data of one path."""
    return f'<path class="line" stroke="{GREY}" stroke-opacity=".3" fill="none" d="{path}"/>'


def num(value: float) -> str:
    """Returns a number with at most one decimal.

    Example:
        >>> num(12.04), num(3.25)
        ('12', '3.2')
    """
    return f"{value:.1f}".removesuffix(".0")
