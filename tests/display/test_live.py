"""What a kernel shows without any browser: bundles, cards, and that its thread ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.kernel import Cell, Kernel
from testkit.stub import Stub, plan

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


def test_a_live_session_is_an_empty_mount_and_a_static_card(kernel: Kernel, stub: Stub) -> None:
    mount, card = launch(kernel, stub, "s")
    (view_id,) = re.fullmatch('<div class="cpr-view-(.+)"></div>', str(mount["text/html"])).groups()
    assert {"text/html"} == set(mount)  # neither a widget, nor a text that a console would print
    assert {"text/html", "text/plain"} == set(card)
    assert f"cpr-card-of-{view_id}" in str(card["text/html"])
    assert str(card["text/plain"]).startswith("<Session ")
    assert kernel.good(THREADS).text() == "['cpr-live']\n"
    stub.release("a")
    bundle = kernel.await_shown("● completed")
    assert "2 succeeded" in bundle["text/html"] and f"cpr-card-of-{view_id}" in bundle["text/html"]
    kernel.good(GONE)
    assert kernel.good(THREADS).text() == "[]\n"


def test_a_program_that_hears_nothing_between_two_cells_gets_the_last_card_with_the_next(
    kernel: Kernel, stub: Stub
) -> None:
    launch(kernel, stub, "s")
    stub.release("a")
    kernel.await_shown("● completed")  # between two cells

    def updates(cell: Cell) -> list[str]:
        kind = "update_display_data"
        return [c["data"]["text/html"] for name, c in cell.messages if name == kind]

    (card,) = updates(kernel.good("1"))
    assert "● completed" in card and "2 succeeded" in card
    assert updates(kernel.good("2")) == []


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


def test_an_ended_session_is_live_too_and_a_task_is_a_card(kernel: Kernel, stub: Stub) -> None:
    launch(kernel, stub, "None")
    stub.release("a")
    kernel.good("s.wait()")
    mount, session = kernel.good("s").results()
    assert "cpr-view-" in mount["text/html"]
    (task,) = kernel.good("s[1]").results()
    assert {"text/html", "text/plain"} == set(session) == set(task)
    assert "● completed" in session["text/html"] and "task 2" in task["text/html"]
    assert task["text/plain"].startswith("<Task 2 ")
    kernel.good(GONE)
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


def test_a_cell_that_runs_again_closes_the_view_of_its_earlier_run(
    kernel: Kernel, stub: Stub
) -> None:
    launch(kernel, stub, "None")
    kernel.good("import ipywidgets\nfrom cpr_nb.display.ticker import ticker")
    for cell_id in ("same", "same", "same", "other"):
        assert kernel.run_in(cell_id, "s").status == "ok"
    kernel.good("ticker.flush()")
    open_widgets = "print(len(ipywidgets.Widget.get_manager_state()['state']))"
    assert kernel.good(open_widgets).text() == "4\n"  # each has a layout
    stub.release("a")
    kernel.good("s.wait()")


def test_outside_a_notebook_it_is_text(work: Path, stub_cpr, capsys) -> None:
    session = stub_cpr.launch('{"prompts": ["a"]}').wait(60)
    session.show()
    assert capsys.readouterr().out == f"{session!r}\n"
    with pytest.raises(NotImplementedError):
        session._ipython_display_()


def test_in_vs_code_the_widget_is_an_output_that_leaves_nothing(kernel: Kernel, stub: Stub) -> None:
    """VS Code shows the HTML of a widget's output where the widget's kernel is gone."""
    kernel.good("import os\nos.environ['VSCODE_PID'] = '1'")
    widget, card = launch(kernel, stub, "s")
    assert "application/vnd.jupyter.widget-view+json" in widget
    assert widget["text/html"] == widget["text/plain"] == ""
    assert "cpr-card" in str(card["text/html"])
    stub.release("a")
    kernel.good("s.wait(60)")
