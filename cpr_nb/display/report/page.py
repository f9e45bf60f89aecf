"""The page of a report: one file with everything in it, which loads nothing and runs nothing."""

from __future__ import annotations

import os
import time
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.display.page_file import write_page
from cpr_nb.display.report import bars, lede
from cpr_nb.display.report.denied_calls import denied_calls
from cpr_nb.display.report.entries import read_entries
from cpr_nb.display.report.failures import failures
from cpr_nb.display.report.provenance import how_it_ran, utc_words
from cpr_nb.model import states
from cpr_nb.model.text import one_line, visible, visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import parse_iso
from cpr_nb.views.figures import session_figures
from cpr_nb.views.notice import notice, warnings_of

if TYPE_CHECKING:
    from jinja2 import Template

_MAX_WARNINGS = 10


class Report:
    """A session as one static page. A cell that ends in it shows the page.

    Args:
        html: The page.
        title: What it is about, on one line.

    Example:
        >>> Report("<!doctype html>", "review: 3 of 3 tasks succeeded")
        <Report: review: 3 of 3 tasks succeeded, 0 kB; .save("report.html") writes it>
    """

    def __init__(self, html: str, title: str) -> None:
        self.html = html
        self.title = title

    def __str__(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f'<Report: {self.title}, {self._size_kb()} kB; .save("report.html") writes it>'

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it into a file, which is replaced if it is there.

        Args:
            path: The file, such as ``report.html``.

        Returns:
            The file.

        Raises:
            InputError: If it can't be written, or is a link: a repository may bring one that
                leads to a file of yours.
        """
        return write_page(path, self.html)

    def _size_kb(self) -> int:
        return len(self.html.encode()) // 1000

    def _repr_html_(self) -> str:
        """The page in a frame of its own, in which nothing can run."""
        return (
            f'<iframe sandbox srcdoc="{escape(self.html)}" title="{escape(self.title)}" '
            'style="width:100%;height:640px;border:1px solid rgba(128,128,128,.4)"></iframe>'
            f"<div>{escape(self.title)}, {self._size_kb()} kB: "
            "<code>.save(&quot;report.html&quot;)</code> writes it into a file.</div>"
        )


def session_report(
    snapshot: Snapshot, model_costs: dict[str, float] | None = None, *, redact: bool = False
) -> Report:
    """Makes the report of a session.

    Args:
        snapshot: The session.
        model_costs: Model → what it cost, if that is known.
        redact: Whether to leave out prompts, answers, and whatever else the user or an agent has
            written.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> session_report(Snapshot(SessionPaths("/none/session-1"), {}, [], "unreadable")).title
        '1: The session has no tasks'
    """
    follower = session_figures(snapshot)
    figures = follower.session(snapshot)
    entries = read_entries(snapshot, follower, redact=redact)
    ordered = sorted(entries, key=lambda entry: entry.state not in states.FAILURES)
    failed, n_more_failed = failures(snapshot, entries, redact=redact)
    name = one_line(str(snapshot.head.get("name") or ""), 80) or snapshot.session_id[:8]
    sentence = lede.sentence(snapshot, entries, figures)
    html = _template().render(
        css=_file("report.css"),
        name=name,
        sentence=sentence,
        figures=lede.key_figures(snapshot, entries, figures),
        notices=_notices(snapshot, redact=redact),
        n_questions=sum(len(entry.questions) for entry in entries),
        is_foreign=read_marks().is_foreign(snapshot.head, snapshot.session_id),
        is_live=snapshot.is_live,
        made_at=_made_at(snapshot),
        failed=failed,
        n_more_failed=n_more_failed,
        timeline=bars.timeline(snapshot, entries),
        costs=bars.costs(entries, model_costs or {}),
        entries=ordered,
        denied=denied_calls(entries, redact=redact),
        facts=how_it_ran(snapshot, redact=redact),
        short=visible_line(snapshot.short_id),
        is_legacy=snapshot.is_legacy,
        redact=redact,
    )
    return Report(html, f"{name}: {sentence.partition('. ')[0].rstrip('.')}")


def _notices(snapshot: Snapshot, *, redact: bool) -> list[str]:
    if redact:
        return []
    texts = [notice(snapshot), *warnings_of(snapshot)[:_MAX_WARNINGS]]
    return [one_line(text, 500) for text in texts if text]


def _made_at(snapshot: Snapshot) -> str:
    """When the session ended, or when this page was made of one that has not."""
    end_s = None if snapshot.is_live else parse_iso(snapshot.head.get("ended_at"))
    return utc_words(time.time() if end_s is None else end_s)


@cache
def _template() -> Template:
    from jinja2 import Environment

    environment = Environment(
        autoescape=True, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_file("report.html"))


def _shown(value: Any) -> Any:
    """What a page shows of a value: no character that hides or turns the text around."""
    return visible(value) if type(value) is str else value


@cache
def _file(name: str) -> str:
    return files("cpr_nb.display.report").joinpath(name).read_text("utf-8")
