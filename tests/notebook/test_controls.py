"""What a notebook's text shows of a folder, in a shell at a terminal, too: no controls."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from testkit.hostile_text import ALL, forbidden, write_results

import cpr_nb as cpr
from cpr_nb.worktrees.cleaning import Cleaned, CleanReport

if TYPE_CHECKING:
    from conftest import Shell


def texts(shell: Shell, line: str) -> str:
    """Everything that a shell prints for a line, and the text of its value."""
    value, out, err = shell(line)
    assert not isinstance(value, BaseException), err
    bundle, _ = shell.ipython.display_formatter.format(value)
    return "".join([bundle.get("text/plain", ""), out, err])


def test_a_magic_shows_controls_by_their_code(shell: Shell, work: Path) -> None:
    write_results(work / "results", ALL)
    for command in ("status", "results", "logs"):
        shown = texts(shell, f"%cpr {command} 00000000")
        assert forbidden(shown) == set() and "\\u202e" in shown, command


def test_a_magic_that_refuses_shows_controls_by_their_code(shell: Shell, work: Path) -> None:
    write_results(work / "results", ALL)
    error, out, err = shell("%cpr resume 00000001")
    assert isinstance(error, BaseException)
    shown = f"{error}{out}{err}"
    assert forbidden(shown) == set() and "\\u202e" in shown


def test_a_handle_is_printed_without_controls(work: Path) -> None:
    ids = write_results(work / "results", ALL)
    session = cpr.attach(str(work / "results" / f"session-{ids[0]}"))
    for value in (session, session[0], session[0].diff()):
        assert forbidden(repr(value)) == set() and "\\u202e" in repr(value)
    assert ALL.encode("utf-8", "replace").decode() == str(session[0].diff()), "for git apply"
    assert session[0].fields["note"] == ALL and session[0].text, "data stay as they are"


def test_a_warning_shows_controls_by_their_code(work: Path) -> None:
    ids = write_results(work / "results", ALL)
    folder = work / "results" / f"session-{ids[0]}"
    for stream in folder.glob("task-*.jsonl"):
        stream.write_text("no event\n" + stream.read_text())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cpr.attach(str(folder)).events_df()
    messages = [str(one.message) for one in caught]
    assert any("\\u202e" in message for message in messages)
    assert forbidden("".join(messages)) == set()


def test_an_error_shows_controls_by_their_code() -> None:
    for error in (cpr.InputError(ALL, ALL), cpr.ResultsDirError(ALL), cpr.SessionNotFound(ALL)):
        assert forbidden(str(error)) == set() and "\\u202e" in str(error)
    assert cpr.InputError("a\nb").args == ("a\nb",) and str(cpr.InputError("a\nb")) == "a\nb"


def test_a_report_shows_controls_by_their_code(shell: Shell) -> None:
    report = CleanReport((), (Cleaned(ALL, ALL, ALL, ALL, ALL),), is_dry_run=False)
    text = shell.ipython.display_formatter.format(report)[0]["text/plain"]
    assert forbidden(text) == set() and "\\u202e" in text and len(text.splitlines()) == 1
