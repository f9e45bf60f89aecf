"""Nothing that comes out of a folder drives the terminal that shows it."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from rich.console import Console
from testkit.examples import SHARED_FIXTURES
from testkit.hostile_text import ALL, TEXTS, Screen, as_name, forbidden, write_results

from cpr_nb.cli import main
from cpr_nb.cli.options import complete_session
from cpr_nb.cli.session_summary import branch_lines
from cpr_nb.cli.session_view import SessionView
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot

#: Every command that says something about a session. ID is its id; each text is also an argument.
COMMANDS = (
    "list", "overview", "status ID", "results ID", "results ID --task TEXT", "report ID -o -",
    "logs ID", "diff ID", "diff ID --task TEXT", "diff ID --task 1", "follow-up ID TEXT",
    "logs ID --task 1", "merge ID", "merge ID --dry-run", "clean ID --dry-run", "clean --dry-run",
    "answer ID", "answer ID TEXT --once", "cancel ID", "pause ID", "set ID max-parallel=3",
    "set ID TEXT", "resume ID", "resume --all",
    "retry ID --dry-run --claude-path sh", "status TEXT", "watch TEXT", "run TEXT",
    "run prompts.json --dry-run --verbose --claude-path sh", "run bad.json --dry-run", "TEXT",
    "run prompts.json --dry-run --claude-path TEXT", "status ID --TEXT",
    "run prompts.json --allow TEXT --permissions TEXT", "clean ID --task TEXT --dry-run",
    "doctor --claude-path TEXT",
    "list --json", "status ID --json", "results ID --json", "run prompts.json --dry-run --json "
    "--claude-path sh",
)  # fmt: skip
#: Those of them that have nothing to quote.
SILENT = ("overview", "clean ID --dry-run", "clean --dry-run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("controls")


def place(folder: Path, text: str) -> tuple[Path, list[str]]:
    """A new folder that has a results directory and two files of prompts, full of the text."""
    here = folder / f"{len(list(folder.iterdir()))}-{as_name(text)}"
    here.mkdir()
    (here / "prompts.json").write_text(
        json.dumps({"prompts": ["do " + text.replace("\0", "").replace("\ud800", "")]})
    )
    (here / "bad.json").write_text(json.dumps({"prompts": [{"id": text, "prompt": "do it"}]}))
    return here, write_results(here / "results", text)


def written(argv: list[str], *, to_terminal: bool) -> tuple[str, str]:
    """What a command writes to stdout and stderr."""
    out, err = Screen(is_terminal=to_terminal), Screen(is_terminal=to_terminal)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main.main(argv)
    return out.getvalue(), err.getvalue()


def words(command: str, session_id: str, text: str) -> list[str]:
    return [
        {"ID": session_id, "TEXT": text, "--TEXT": f"--{text}"}.get(word, word)
        for word in command.split()
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_writes_nothing_that_drives_a_terminal(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ids = place(folder, ALL)
    monkeypatch.chdir(here)
    monkeypatch.setenv("CPR_RESULTS_DIR", "results")
    monkeypatch.setenv("NO_COLOR", "1")  # our own colours drive a terminal, too
    shown = ""
    for session_id in ids[:3] if "ID" in command else ids[:1]:
        out, err = written(words(command, session_id, ALL), to_terminal=True)
        assert forbidden(out) == set() == forbidden(err)
        shown += out + err
    assert command in SILENT or "\\u202e" in shown, "the text must have come this far"


@settings(SHARED_FIXTURES, max_examples=8)
@given(TEXTS)
def test_any_text_in_any_field_is_shown_without_effect(folder: Path, text: str) -> None:
    here, ids = place(folder, text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("CPR_RESULTS_DIR", "results")
        for command in ("list", "status ID", "results ID", "logs ID", "clean ID --dry-run"):
            out, err = written(words(command, ids[0], text), to_terminal=True)
            assert forbidden(out) == set() == forbidden(err), command


def test_only_answers_go_into_a_pipe_as_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ids = place(folder, ALL)
    monkeypatch.chdir(here)
    answer = ALL.encode("utf-8", "replace").decode()
    results = "results ID --task 1"
    for command in ("list", "status ID", results, "logs ID", "overview"):
        out, err = written(words(command, ids[0], ALL), to_terminal=False)
        assert (answer in out) == (command == results)
        assert forbidden(out.replace(answer, "")) == set() == forbidden(err)


def test_a_watched_session_is_drawn_without_effect(folder: Path) -> None:
    here, ids = place(folder, ALL)
    for session_id in ids[:2]:
        screen = io.StringIO()
        view = SessionView(str(here / "results" / f"session-{session_id}"))
        Console(file=screen, width=150, highlight=False).print(view)
        assert forbidden(screen.getvalue()) == set()
        assert "\\u202e" in screen.getvalue()


def test_a_watched_session_is_told_without_effect(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, ids = place(folder, ALL)
    monkeypatch.chdir(here)
    out, err = written(["watch", ids[0]], to_terminal=False)
    assert forbidden(out) == set() == forbidden(err) and "\\u202e" in out


def test_a_line_stays_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = "x\n✅ 0badc0de [completed] forged"
    here, _ = place(folder, forged)
    monkeypatch.chdir(here)
    out, _ = written(["list"], to_terminal=True)
    assert not any(line.startswith("✅ 0badc0de") for line in out.splitlines())
    assert "\\n✅ 0badc0de" in out


def test_a_bug_is_reported_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> int:
        raise ValueError(ALL)

    screen = Screen(is_terminal=True)
    monkeypatch.setattr(main, "main", fail)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    try:
        main.console()
    except ValueError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    assert "ValueError: Z\\x1b]0;title" in screen.getvalue()
    assert forbidden(screen.getvalue()) == set()


def test_a_shell_is_offered_only_names_that_can_be_typed(folder: Path) -> None:
    here, _ = place(folder, "\x1b[2J")
    plain, _ = place(folder, "review")

    class Parsed:
        results_dir = str(here / "results")

    assert complete_session("", Parsed) == []
    Parsed.results_dir = str(plain / "results")
    assert {*complete_session("re", Parsed)} == {"review"}
    assert len(complete_session("0000", Parsed)) == 4


def test_a_branch_is_quoted_where_it_is_to_be_pasted() -> None:
    task = {"state": "ended", "outcome": "succeeded", "n_commits": 1, "branch": "a;b"}
    snapshot = Snapshot(SessionPaths("/r/session-1"), {"schema_version": 1}, [task], "completed")
    assert "  git merge 'a;b'" in branch_lines(snapshot)
