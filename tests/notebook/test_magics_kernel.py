"""``%cpr`` in a real kernel: what it shows, and what an interrupt leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit.command import script
from testkit.kernel import Kernel
from testkit.stub import Stub, plan

import cpr_nb as cpr

WAITING = """
from cpr_nb.handles import waiting
until = waiting.until
waiting.until = lambda *where: (print("waiting", flush=True), until(*where))
"""


def test_waiting_shows_the_session_once_and_names_it(kernel: Kernel, stub: Stub) -> None:
    stub.fifos("held")
    kernel.good(WAITING)
    waiting = kernel.send(f"%%cpr run --wait -o s\n{plan(here='held', gate='held')}\n")
    kernel.await_output("waiting")
    stub.await_here("held")
    stub.release("held")
    (cell,) = kernel.collect([waiting])
    # The live view, and what is saved beside it; not once more as the cell's value.
    assert cell.status == "ok" and cell.kinds() == ["view", "html"]
    cells = kernel.run_all("s.state", "s")
    assert cells[0].results()[0]["text/plain"] == "'completed'"
    assert cells[1].kinds() == ["view", "html"], "in another cell it is shown again"


def test_a_launch_shows_the_session_once(kernel: Kernel, stub: Stub) -> None:
    stub.fifos("held")
    cell = kernel.good(f"%%cpr run -o s\n{plan(here='held', gate='held')}\n")
    stub.await_here("held")
    assert cell.kinds() == ["view", "html"]
    stub.release("held")
    assert kernel.good("await s").kinds() == ["view", "html"]
    assert kernel.good("%cpr watch").kinds() == ["view", "html"]


def test_an_interrupt_ends_the_wait_says_so_and_the_session_continues(
    kernel: Kernel, stub: Stub
) -> None:
    stub.fifos("held")
    held = plan(here="held", gate="held")
    kernel.good(WAITING)
    waiting = kernel.send(f"s = get_ipython().run_cell_magic('cpr', 'run --wait', {held!r})")
    kernel.await_output("waiting")
    stub.await_here("held")
    kernel.interrupt()
    (cell,) = kernel.collect([waiting])
    assert cell.status == "ok" and cell.tracebacks() == []
    assert "cpr: the session keeps running: %cpr watch " in cell.text("stderr")
    assert kernel.good("s.state").results()[0]["text/plain"] == "'running'"
    stub.release("held")
    cells = kernel.run_all("s.wait()", "await s", "%cpr list")
    assert [cell.status for cell in cells] == ["ok"] * 3
    assert "text/html" in cells[2].results()[0] and len(cells[2].results()) == 1


def test_a_chart_is_shown_as_html_once(kernel: Kernel) -> None:
    kernel.good("s = cpr.launch(['a', 'b'])\nawait s")
    for code in ("s.timeline()", "s.cost_chart()"):
        (shown,) = kernel.good(code).results()
        assert shown["text/html"].count("<svg ") == 1 and "2 tasks" in shown["text/plain"]
        assert {*shown} == {"text/html", "text/plain"}


def test_a_mistake_has_no_traceback_and_stops_run_all(kernel: Kernel) -> None:
    kernel.good("kept = 1")
    cells = kernel.run_all("%cpr run nope.json", "kept = 2")
    assert [cell.status for cell in cells] == ["error", "aborted"]
    assert "UsageError: nope.json: can't read it" in cells[0].text("stderr")
    assert cells[0].tracebacks() == []
    assert kernel.good("kept").results()[0]["text/plain"] == "1"


@pytest.mark.slow
def test_tab_in_a_notebook(kernel: Kernel) -> None:
    assert kernel.complete("s = 1\ns = %cpr resum") == ["resume"]
    assert "--max-parallel" in kernel.complete("%%cpr run --max-p")


@pytest.fixture
def real_kernel(work: Path, offline_env: dict[str, str]) -> Iterator[Kernel]:
    with Kernel(work, offline_env) as kernel:
        yield kernel


@pytest.mark.real_cli
def test_the_real_cli_answers_in_a_notebook(
    real_kernel: Kernel,
    work: Path,
    in_env: Callable[[dict[str, str]], None],
    offline_env: dict[str, str],
) -> None:
    write = {"tool": "Write", "input": {"file_path": str(work / "new.py"), "content": "x = 1\n"}}
    prompts = [script({"text": "I read {path}."}), script(write, {"text": "Written."})]
    body = "\n---\n".join(prompts)
    cells = real_kernel.run_all(
        "import cpr_nb as cpr\n%load_ext cpr_nb\npath = 'a b.py'",
        f"%%cpr run -j 2 -o s\n{body}\n",
        "s.wait()",
        "print([task.result() for task in s])\nsession_id = s.id",
        "%cpr results {session_id} --task 2",
    )
    assert [cell.status for cell in cells] == ["ok"] * 5, [c.text("stderr") for c in cells]
    assert cells[3].text() == "['I read a b.py.', 'Written.']\n"
    assert "Written." in cells[4].results()[0]["text/plain"]
    assert (work / "new.py").read_text() == "x = 1\n"
    in_env(offline_env)
    assert cpr.sessions_df().state.tolist() == ["completed"]
