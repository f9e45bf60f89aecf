"""Clicks while a cell waits, in a real kernel: they are answered during it, and no cell runs."""

from __future__ import annotations

import pytest
from testkit.kernel import Kernel
from testkit.stub import Stub, plan

#: A widget's connection to the browser; what arrives is answered, with the name of the thread.
CONNECT = """
import comm, threading
link = comm.create_comm(target_name="link")
def answer(message):
    where = "main" if threading.current_thread() is threading.main_thread() else "other"
    link.send([message["content"]["data"], where, len(ran)])
link.on_msg(answer)
ran = []
link.comm_id
"""


def connected(kernel: Kernel) -> str:
    """The id of a connection."""
    return str(kernel.good(CONNECT).results()[0]["text/plain"]).strip("'")


#: How a cell may wait; each ends when the session does.
WAITS = (
    "s.wait()",
    "await asyncio.sleep(0)\ns.wait()",
    "await s",
    "list(s.as_completed())",
    "[task async for task in s.as_completed()]",
    "s[0].result()",
)


def test_a_click_during_a_wait_is_answered_before_it_ends(kernel: Kernel, stub: Stub) -> None:
    link = connected(kernel)
    for number_of_wait, wait in enumerate(WAITS):
        name = f"held-{number_of_wait}"
        stub.fifos(name)
        kernel.good(f"s = cpr.launch([{plan(here=name, gate=name)!r}])")
        stub.await_here(name)
        look = "s.refresh = lambda look=s.refresh: (print('waiting', flush=True), look())[1]"
        cells = [kernel.send(f"{look}\n{wait}\nran.append(1)"), kernel.send("ran.append(2)")]
        kernel.await_output("waiting")
        for number in range(3):
            kernel.send_comm(link, f"click {number}")
            told, _, n_ran = kernel.await_comm(link)
            assert (told, n_ran) == (f"click {number}", 0), wait
        stub.release(name)
        assert [cell.status for cell in kernel.collect(cells)] == ["ok", "ok"], wait
        assert kernel.good("ran").results()[0]["text/plain"] == "[1, 2]", wait
        kernel.send_comm(link, "afterwards")
        assert kernel.await_comm(link)[:2] == ["afterwards", "main"], wait
        kernel.good("ran.clear()")


def test_a_click_of_a_frontend_with_subshells_is_answered_while_a_cell_computes(
    kernel: Kernel,
) -> None:
    subshell = kernel.subshell()
    if subshell is None:
        pytest.skip("this ipykernel has no subshells")
    link = connected(kernel)
    kernel.good(
        "from types import SimpleNamespace\nfrom cpr_nb.display.clicks import deliver_at_once\n"
        "deliver_at_once(SimpleNamespace(comm=link)); link.send(['from the cell'])"
    )
    cell = kernel.send("print('computing', flush=True)\nwhile not ran: pass")
    kernel.await_output("computing")
    kernel.send_comm(link, "click", subshell)
    assert kernel.await_comm(link) == ["click", "other", 0]
    kernel.interrupt()
    kernel.collect([cell])
