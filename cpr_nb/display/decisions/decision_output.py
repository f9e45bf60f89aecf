"""A decision in a notebook, in a terminal and as a file: sentence, picture, table, method."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from cpr_nb.display.charts.svg import Chart
from cpr_nb.display.decisions.decision_table import DecisionTable
from cpr_nb.display.escaping import plain
from cpr_nb.display.page_file import write_page
from cpr_nb.model.errors import InputError
from cpr_nb.model.text import one_line

_TEXT_WIDTH = 96
_MAX_TEXT = 2000


class Sentence(NamedTuple):
    """What was found.

    Args:
        strong: What matters most.
        rest: What a reader must know besides. What stands in backticks is code.
    """

    strong: str
    rest: str = ""


class DecisionParts(NamedTuple):
    """What a decision shows, from top to bottom. What is empty is left out.

    Args:
        sentence: What was found.
        facts: What it rests on, in few words.
        notes: What the reader must know now, each in a box.
        charts: The pictures.
        tables: The tables, each under the picture of the same place.
        method: How the figures were made.
    """

    sentence: Sentence
    facts: str = ""
    notes: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[DecisionTable] = ()
    method: str = ""

    def html(self) -> str:
        """What a notebook shows, with its style."""
        return f'<style>{_css()}</style><div class="cpr-dec">{self._body()}</div>'

    def page(self, title: str) -> str:
        """A page of its own, which loads nothing and runs nothing.

        Args:
            title: What it is about.
        """
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<title>{escape(one_line(title))}</title><style>{_css()}{_page_css()}</style></head>"
            f'<body><main class="cpr-dec"><h1>{plain(one_line(title))}</h1>{self._body()}</main>'
            "</body></html>"
        )

    def text(self) -> str:
        """What a terminal shows.

        Example:
            >>> print(DecisionParts(Sentence("opus is better.", "See `s.compare()`.")).text())
            opus is better. See `s.compare()`.
        """
        sentence = " ".join(part for part in self.sentence if part)
        paragraphs = [_wrapped(text) for text in (sentence, self.facts, *self.notes) if text]
        paragraphs += [table.text() for table in self.tables]
        paragraphs += [_wrapped(self.method)] if self.method else []
        return "\n\n".join(paragraphs)

    def _body(self) -> str:
        strong, rest = _marked(self.sentence.strong), _marked(self.sentence.rest)
        parts = [f'<p class="say"><b>{strong}</b> {rest}</p>']
        parts += [f'<p class="facts">{_marked(self.facts)}</p>'] if self.facts else []
        parts += [f'<div class="note">{_marked(note)}</div>' for note in self.notes]
        for place in range(max(len(self.charts), len(self.tables))):
            parts += [_chart_html(chart) for chart in self.charts[place : place + 1]]
            parts += [table.html() for table in self.tables[place : place + 1]]
        parts += [f'<p class="method">{_marked(self.method)}</p>'] if self.method else []
        return "".join(parts)


class DecisionOutput:
    """Something to decide by. The last expression of a cell shows it, and so does `print`.

    Args:
        parts: What it shows.
        title: What it is about, on one line.

    Example:
        >>> print(DecisionOutput(DecisionParts(Sentence("opus is better."))))
        opus is better.
    """

    def __init__(self, parts: DecisionParts, title: str = "") -> None:
        self._parts = parts
        self._title = title

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        return " ".join(part for part in self._parts.sentence if part)

    def plot(self) -> Chart:
        """The picture alone; ``save("comparison.svg")`` of it writes it into a file.

        Raises:
            InputError: If it has none, because there is nothing to draw.
        """
        if not self._parts.charts:
            raise InputError("has no picture: there is nothing to draw", self._title)
        return self._parts.charts[0]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it into a file as a page of its own; the file is replaced if it is there.

        Args:
            path: The file, such as ``comparison.html``.

        Returns:
            The file.

        Raises:
            InputError: If it can't be written, or is a link.
        """
        return write_page(path, self._parts.page(self._title))

    def __str__(self) -> str:
        return self._parts.text()

    def __repr__(self) -> str:
        return self._parts.text()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self._parts.html(), "text/plain": self._parts.text()}


def _wrapped(text: str) -> str:
    return textwrap.fill(
        one_line(text, _MAX_TEXT), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _marked(text: str) -> str:
    """A text as HTML; what stands in backticks is code."""
    pieces = one_line(text, _MAX_TEXT).split("`")
    if len(pieces) % 2 == 0:
        return str(plain("`".join(pieces)))
    shown = [str(plain(piece)) for piece in pieces]
    return "".join(f"<code>{t}</code>" if n % 2 else t for n, t in enumerate(shown))


def _chart_html(chart: Chart) -> str:
    label = escape(one_line(chart.text, 200))
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{chart.html()}</div>'


@cache
def _css() -> str:
    return files("cpr_nb.display.decisions").joinpath("decisions.css").read_text("utf-8").strip()


@cache
def _page_css() -> str:
    path = files("cpr_nb.display.decisions").joinpath("decision-page.css")
    return path.read_text("utf-8").strip()
