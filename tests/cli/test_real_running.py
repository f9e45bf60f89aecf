"""What the terminal shows of running and asking tasks, with the real CLI."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli
HELD = {"tool": "Bash", "input": {"command": "cat gate.fifo", "description": "wait"}}
COMMAND = 'python3 -c \'open("new.txt", "w")\''
ASKED = {"tool": "Bash", "input": {"command": COMMAND, "description": "make a file"}}


@pytest.fixture
def session(real_cpr: Cpr) -> Iterator[cpr.Session]:
    """Three tasks: one has ended, one runs a command, one asks whether it may."""
    os.mkfifo(real_cpr.cwd / "gate.fifo")
    tasks = [
        script({"text": "done"}),
        script(HELD, {"text": "held"}),
        script(ASKED, {"text": "ok"}),
    ]
    order = prompts(*({"prompt": one, "permissions": "edits"} for one in tasks))
    session = real_cpr.launch(order, "-j2", "--ask", "--allow", "Bash(cat:*)", "--name", "three")
    session.wait_until(lambda: is_at_work(session.refresh()), LIMIT_S, "two tasks at work")
    yield session
    session.cancel()
    session.wait(LIMIT_S)


def is_at_work(session: cpr.Session) -> bool:
    held = session[1]
    is_held = held.running() and held.activity().tool_running
    return session[0].done() and is_held and session.snapshot.count("n_questions") == 1


def end(real_cpr: Cpr, session: cpr.Session, key: str) -> None:
    """Lets both tasks end."""
    assert real_cpr("answer", session.id, key, "--once").returncode == 0
    (real_cpr.cwd / "gate.fifo").write_text("")
    session.wait(LIMIT_S)


def test_status_shows_what_running_tasks_have_used_and_ask(
    real_cpr: Cpr, session: cpr.Session
) -> None:
    live = real_cpr("status", session.id).stdout
    assert re.search(r"Task 1 \(ID: [\w-]+\): completed\n", live)
    assert re.search(r"Task 2 \(ID: [\w-]+\): running \(≈ [\d.]+k? tokens, USD 0.\d+\)\n", live)
    assert f": running (asks: {COMMAND})\n" in live
    assert re.search(r"Cost: ≈ USD 0.\d+ so far, \d+ tokens\n", live)
    assert re.search(r"Left: .+, ≈ USD 0.\d+ in total", live)
    assert f"◆ Task 3 wants to run a command: {COMMAND}\n" in live
    key = re.search(r"cpr answer \w+ (\w+) --once", live)
    assert key
    end(real_cpr, session, key[1])
    ended = real_cpr("status", session.id).stdout
    assert "≈" not in ended and "◆" not in ended and "Left" not in ended
    spent = sum(task.cost_usd or 0 for task in session)
    assert f"Cost: USD {spent:.4f} estimate" in ended or f"Cost: USD {spent:.2f} estimate" in ended


def test_watch_on_a_terminal_counts_what_ended_and_shows_the_question(
    real_cpr: Cpr, session: cpr.Session
) -> None:
    with real_cpr.on_terminal("watch", "three", columns=110, rows=30) as terminal:
        terminal.read_until("denied in")
        frame = terminal.text
        end(real_cpr, session, session.questions[0].key)
        assert terminal.finish() == 0
    assert "✓ 1 succeeded   ◐ 1 running   ◆ 1 asking   ○ 0 pending" in frame
    bar = next(line for line in frame.splitlines() if "1 of 3 ended" in line)
    thirds = [bar.count(glyph) for glyph in "━═╍"]
    assert min(thirds) > 25 and max(thirds) - min(thirds) <= 1 and "─" not in bar
    assert re.search(r"≈ USD 0.\d+ so far · [\d.]+k? tokens · \d+:\d\d elapsed · .+ left", frame)
    assert re.search(
        r"2  ◐ running +Do it.+ Bash cat gate.fifo +\d+ s +\d+:\d\d +≈ [\d.]+k? +≈ 0.\d+", frame
    )
    assert re.search(r"3  ◆ asking +Do it.+ asks: python3 -c ", frame)
    assert f"▌ ◆ Task 3 wants to run a command: {COMMAND}" in frame
    last = terminal.text[terminal.text.rindex("● completed") :]
    assert "3 of 3 ended" in last and "≈" not in last and "asking" not in last


def test_watch_into_a_pipe_says_once_what_is_asked(real_cpr: Cpr, session: cpr.Session) -> None:
    watching = real_cpr.start("watch", session.id, stdout=subprocess.PIPE)
    assert watching.stdout is not None
    lines = [watching.stdout.readline().decode() for _ in range(2)]
    asked = next(line for line in lines if line.startswith("◆"))
    assert asked.startswith(f"◆ Task 3 wants to run a command: {COMMAND}; cpr answer ")
    end(real_cpr, session, session.questions[0].key)
    rest = watching.stdout.read().decode()
    assert "◆" not in rest and "3/3 succeeded" in rest
    watching.stdout.close()
    assert watching.wait(LIMIT_S) == 0
    assert (Path(real_cpr.cwd) / "new.txt").exists()
