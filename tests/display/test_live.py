"""What a kernel shows without any browser: bundles, cards, and that its thread ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.kernel import Kernel
from testkit.stub import Stub, plan

WIDGET = "application/vnd.jupyter.widget-view+json"
THREADS = "print([t.name for t in threading.enumerate() if t.name == 'cpr-live'])"
GONE = "for t in threading.enumerate():\n    if t.name == 'cpr-live': t.join(60)"


@pytest.fixture
def kernel(work: Path, stub_env: dict[str, str]) -> Iterator[Kernel]:
    with Kernel(work, stub_env) as kernel:
        kernel.good("import threading\nimport cpr_nb as cpr")
        yield kernel


def launch(kernel: Kernel, stub: Stub, then: str) -> list[dict[str, object]]:
    stub.fifos("a")
    prompts = [plan(here="a", gate="a", say="I look"), "b"]
    shown = kernel.good(f"s = cpr.launch({prompts!r}, name='two')\n{then}").results()
    stub.await_here("a")
    return shown


def test_a_live_session_is_a_widget_with_html_and_text_beside(kernel: Kernel, stub: Stub) -> None:
    widget, card = launch(kernel, stub, "s")
    assert {WIDGET, "text/html", "text/plain"} == set(widget)
    assert {"text/html", "text/plain"} == set(card)
    assert str(card["text/plain"]).startswith("<Session ")
    assert kernel.good(THREADS).text() == "['cpr-live']\n"
    stub.release("a")
    bundle = kernel.await_shown("● completed")
    assert "2 succeeded" in bundle["text/html"] and WIDGET not in bundle
    kernel.good(GONE)
    assert kernel.good(THREADS).text() == "[]\n"


@pytest.mark.parametrize("then", ["s", "s.show(widgets=False)"])
def test_when_the_runner_is_gone_the_thread_ends_too(
    kernel: Kernel, stub: Stub, work: Path, then: str
) -> None:
    launch(kernel, stub, then)
    (runner,) = work.glob("results/session-*/runner.json")
    processes.end(json.loads(runner.read_text())["pid"])
    assert "cpr resume" in kernel.await_shown("✕ interrupted")["text/html"]
    kernel.good(GONE)
    assert kernel.good(THREADS).text() == "[]\n"
    kernel.good("s.cancel()")
    kernel.good("s.wait(60)")


def test_an_ended_session_and_a_task_are_cards(kernel: Kernel, stub: Stub) -> None:
    launch(kernel, stub, "None")
    stub.release("a")
    kernel.good("s.wait()")
    (session,) = kernel.good("s").results()
    (task,) = kernel.good("s[1]").results()
    assert {"text/html", "text/plain"} == set(session) == set(task)
    assert "● completed" in session["text/html"] and "task 2" in task["text/html"]
    assert task["text/plain"].startswith("<Task 2 ")
    assert kernel.good(THREADS).text() == "[]\n"


@pytest.mark.parametrize(
    "then",
    ["s.show(widgets=False)", "import sys; sys.modules['anywidget'] = None\ns.show()"],
    ids=["unwanted", "not-installed"],
)
def test_without_widgets_the_card_is_refreshed(kernel: Kernel, stub: Stub, then: str) -> None:
    (card,) = launch(kernel, stub, then)
    assert {"text/html", "text/plain"} == set(card)
    stub.release("a")
    kernel.await_shown("● completed")
    kernel.good(GONE)
    assert kernel.good(THREADS).text() == "[]\n"


def test_widgets_that_are_wanted_and_missing_are_an_error(kernel: Kernel, stub: Stub) -> None:
    kernel.good("import sys; sys.modules['anywidget'] = None")
    cell = kernel(f"cpr.launch({[plan()]!r}).show(widgets=True)")
    assert cell.reply["ename"] == "ModuleNotFoundError"
    kernel.good("cpr.attach(cpr.sessions_df().session_id[0]).wait()")


def test_outside_a_notebook_it_is_text(work: Path, stub_cpr, capsys) -> None:
    session = stub_cpr.launch('{"prompts": ["a"]}').wait(60)
    session.show()
    assert capsys.readouterr().out == f"{session!r}\n"
    with pytest.raises(NotImplementedError):
        session._ipython_display_()
