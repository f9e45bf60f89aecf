"""The line of a wait: in a notebook, in a terminal, in jupyter console, in a log."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from testkit.command import Terminal
from testkit.kernel import Cell, Kernel
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.handles.wait_line import LogLines, hidden
from cpr_nb.views.wait_progress import Piece, WaitProgress
from cpr_nb.views.wait_text import one_line_text

LIMIT_S = 60.0


def prompts(stub: Stub, gate: str = "held") -> list[str]:
    """Two tasks: one fails, the other runs until it is released."""
    stub.fifos(gate)
    return [plan(result={"is_error": True}), plan(gate=gate)]


def launched(kernel: Kernel, stub: Stub, gate: str = "held") -> None:
    kernel.good(f"s = cpr.launch({prompts(stub, gate)!r}, attempts=1, name='two')")
    kernel.good("import time\nwhile not (s[0].done() and s[1].running()): time.sleep(0.01)")


def shown(cell: Cell) -> list[str]:
    """The texts that a cell has shown and updated, in order."""
    kinds = ("display_data", "update_display_data")
    return [content["data"]["text/plain"] for kind, content in cell.messages if kind in kinds]


def test_a_cell_that_waits_shows_one_line(kernel: Kernel, stub: Stub) -> None:
    for gate, wait in {"a": "s.wait()", "b": "await s", "c": "s[1].result()"}.items():
        launched(kernel, stub, gate)
        waiting = kernel.send(f"{wait}\nNone")
        data = kernel.await_shown("1 of 2 ended")
        assert "1 failed" in data["text/html"] and "<script" not in data["text/html"]
        stub.release(gate)
        (cell,) = kernel.collect([waiting])
        assert cell.kinds() == ["html"] and cell.text() == cell.text("stderr") == "", wait
        assert shown(cell)[-1].startswith("two: 2 of 2 ended, 1 failed"), wait
        assert kernel.good("s.wait();").kinds() == [], "nothing is left to wait for"


def test_no_line_beside_a_view_and_one_that_stays_after_an_interrupt(
    kernel: Kernel, stub: Stub
) -> None:
    launched(kernel, stub)
    waiting = kernel.send("s.wait()")
    kernel.await_shown("1 of 2 ended")
    kernel.interrupt()
    (cell,) = kernel.collect([waiting])
    assert cell.reply["ename"] == "KeyboardInterrupt" and cell.kinds() == ["html"]

    kernel.good("s.show()")
    waiting = kernel.send("s.wait();", in_terminal=True)  # jupyter console
    kernel.await_output("1 of 2 ended")
    kernel.interrupt()
    (cell,) = kernel.collect([waiting])
    assert cell.kinds() == [] and cell.text().startswith("\r◐ 1 of 2") and cell.text()[-1] == "\n"

    waiting = kernel.send("print('waiting')\ns.wait();")
    kernel.await_output("waiting")
    stub.release("held")
    (cell,) = kernel.collect([waiting])
    assert "display_data" not in [kind for kind, _ in cell.messages]


SCRIPT = """
import sys
import cpr_nb as cpr
s = cpr.launch({prompts!r}, attempts=1, name="two")
s.wait()
print("after", s[1].ok)
"""


def test_a_terminal_redraws_its_line_and_keeps_the_last(
    work: Path, stub_env: dict[str, str], stub: Stub
) -> None:
    script = SCRIPT.format(prompts=prompts(stub))
    env = {**stub_env, "TERM": "xterm-256color"}
    with Terminal([sys.executable, "-c", script], work, env, 24, 80) as terminal:
        terminal.read_until("1 of 2 ended")
        stub.release("held")
        assert terminal.finish() == 0
    *frames, after, _ = terminal.text.replace("\r\n", "\n").split("\n")
    drawn = "".join(frames).split("\r")
    assert len(drawn) > 2 and all(len(text) < 80 for text in drawn)
    assert "2 of 2 ended" in drawn[-1] and after == "after True"


def test_ctrl_c_in_a_terminal_ends_the_wait_on_a_new_line(
    work: Path, stub_env: dict[str, str], stub: Stub
) -> None:
    script = SCRIPT.format(prompts=prompts(stub))
    env = {**stub_env, "TERM": "xterm-256color"}
    with Terminal([sys.executable, "-c", script], work, env, 24, 80) as terminal:
        terminal.read_until("1 of 2 ended")
        terminal.press_ctrl_c()
        assert terminal.finish() != 0
    assert "\nTraceback" in terminal.text.replace("\r\n", "\n")
    stub.release("held")
    (folder,) = (work / "results").glob("session-*")
    cpr.Session(folder).wait(LIMIT_S)


def progress(n_ended: int, *more: Piece) -> WaitProgress:
    parts = [("ok", n_ended), ("run", 12 - n_ended)]
    pieces = [Piece(f"{n_ended} of 12 ended"), *more]
    return WaitProgress("◐", "run", "docs", pieces, parts, n_ended, "")


def test_a_log_gets_a_line_when_something_has_ended_and_never_more_than_two_a_minute() -> None:
    log, now_s = io.StringIO(), [0.0]
    lines = LogLines(log, lambda: now_s[0])
    for second in range(0, 200):
        now_s[0] = float(second)
        lines.draw(progress(0 if second < 5 else 1 if second < 100 else 2))
    lines.end(progress(12))
    assert log.getvalue() == "docs: 1 of 12 ended\ndocs: 2 of 12 ended\n"
    for second in range(200, 400):
        now_s[0] = float(second)
        lines.draw(progress(min(12, second - 195)))
    assert log.getvalue().count("\n") == 4


@pytest.mark.parametrize("width", [20, 40, 60, 79, 200])
def test_a_line_is_never_wider_than_the_terminal(width: int) -> None:
    pieces = [Piece("2 failed", "✕", "bad"), Piece("≈ USD 12.34"), Piece("2 to 4 min left")]
    text = one_line_text(progress(5, *pieces), width)
    assert text.startswith("◐ 5 of 12 ended") and len(text) <= width


def test_what_is_hidden_stays_so_until_the_outermost_ends(
    stub: Stub, in_env, stub_env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    in_env({**stub_env, "TERM": "dumb"})
    session = cpr.launch(["a"])
    with hidden():
        with hidden():
            pass
        session.wait(LIMIT_S)
    assert capsys.readouterr() == ("", "")


def test_a_timeout_tells_the_numbers(stub: Stub, in_env, stub_env: dict[str, str]) -> None:
    in_env(stub_env)
    session = cpr.launch(prompts(stub), attempts=1)
    session[0].exception(LIMIT_S)
    session.wait_until(session[1].running, LIMIT_S, "its start")
    short = session.snapshot.short_id
    with pytest.raises(cpr.WaitTimeout) as caught:
        session.wait(timeout=0)
    told = str(caught.value)
    assert told.startswith("1 of 2 ended after 0 s of waiting (1 failed, 1 running)")
    assert told.endswith(f"The session keeps running: wait again, or cpr watch {short}")
    with pytest.raises(cpr.WaitTimeout, match=r"^task .* has not ended: 1 of 2 ended after 0 s"):
        session[1].result(timeout=0)
    stub.release("held")
    session.wait(LIMIT_S)
