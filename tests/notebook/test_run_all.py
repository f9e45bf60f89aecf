"""Waiting in cells of a real kernel: queued cells, interrupts, the user's own asyncio tasks."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from testkit.kernel import Kernel
from testkit.stub import Stub, plan

#: What a notebook may do with a session, a cell each; the first one launches it.
CELLS = (
    "s = cpr.launch([{edits!r}, 'b', 'c'], max_parallel=2)",
    "s.wait()",
    "await s",
    "sync = [task.num for task in s.as_completed()]",
    "native = [task.num async for task in s.as_completed()]",
    "answers = [task.result() for task in s]",
    "s.cancel()",
)


def repository(folder: Path) -> None:
    (folder / "code.py").write_text("old\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True)


def marked(number: int, code: str) -> str:
    """A cell that writes down when it begins and ends: no other may lie between the two."""
    note = "open('ran.txt', 'a').write"
    return f"{note}('begin {number}\\n')\n{code}\n{note}('end {number}\\n')"


def run_all(kernel: Kernel, work: Path, stub: Stub) -> None:
    """Sends all cells at once; each must run to its end, once, in order."""
    edits = plan(write={"code.py": "new\n"})
    cells = kernel.run_all(
        *(marked(n, code.replace("{edits!r}", repr(edits))) for n, code in enumerate(CELLS))
    )
    assert [cell.status for cell in cells] == ["ok"] * len(CELLS)
    wanted = [f"{word} {number}" for number in range(len(CELLS)) for word in ("begin", "end")]
    assert (work / "ran.txt").read_text().splitlines() == wanted
    (work / "ran.txt").unlink()


def test_run_all_runs_every_queued_cell_once(kernel: Kernel, work: Path, stub: Stub) -> None:
    repository(work)
    run_all(kernel, work, stub)
    assert (work / "code.py").read_text() == "new\n"
    told = kernel.good("import json; print(json.dumps([sync, native, answers, s.state]))").text()
    sync, native, answers, state = json.loads(told)
    assert sorted(sync) == sorted(native) == [1, 2, 3]
    assert (answers, state) == (["done"] * 3, "completed")
    assert len(stub.calls()) == 3
    run_all(kernel, work, stub)


def test_a_second_run_all_attaches_and_starts_nothing(
    kernel: Kernel, work: Path, stub: Stub
) -> None:
    repository(work)
    kernel.good("%load_ext cpr_nb")
    run_all(kernel, work, stub)
    first = kernel.good("s.id").results()
    run_all(kernel, work, stub)
    assert kernel.good("s.id").results() == first
    (session,) = (work / "results").glob("session-*")
    assert len(stub.calls()) == 3
    attached = kernel.good(CELLS[0].replace("{edits!r}", repr(plan(write={"code.py": "new\n"}))))
    told = f"attached to {session.name[8:16]}: 3 of 3 succeeded; fresh=True runs it again\n"
    assert attached.text() == told


def held(kernel: Kernel, stub: Stub) -> None:
    """Launches a session whose only task runs until it is released."""
    stub.fifos("held")
    kernel.good(f"s = cpr.launch([{plan(here='held', gate='held')!r}])")
    stub.await_here("held")


TICKS = """
n = 0
async def tick():
    global n
    while True:
        n += 1
        await asyncio.sleep(0.01)
ticking = asyncio.create_task(tick())
"""


def test_tasks_of_the_user_continue_while_a_cell_waits(kernel: Kernel, stub: Stub) -> None:
    held(kernel, stub)
    kernel.good(TICKS)
    release = f"""
async def release():
    while n < 30:
        await asyncio.sleep(0)
    await asyncio.to_thread(lambda: open({str(stub.folder / "gate-held")!r}, "w").close())
releasing = asyncio.create_task(release())
"""
    waits = "ticked = n\ns.wait()\nprint('ticked', n > ticked)"
    cells = kernel.run_all(release + waits, "ticking.cancel(); s[0].result()")
    assert cells[0].text() == "ticked True\n" and cells[0].status == "ok"
    assert cells[1].results()[0]["text/plain"] == "'done'"


@pytest.mark.parametrize("begin", ["", "await asyncio.sleep(0)\n"], ids=["plain", "with await"])
@pytest.mark.parametrize("wait", ["s.wait()", "list(s.as_completed())", "s[0].result()"])
def test_an_interrupt_ends_the_wait_and_not_the_work(
    wait: str, begin: str, kernel: Kernel, stub: Stub
) -> None:
    held(kernel, stub)
    # Not before the wait has its own handler: result() refreshes once before, too.
    look = (
        "from signal import *; in_wait = lambda: getsignal(SIGINT) is default_int_handler\n"
        "say = lambda: in_wait() and print('waiting', flush=True)\n"
        "s.refresh = lambda look=s.refresh: (say(), look())[1]"
    )
    waiting = kernel.send(f"{begin}{look}\n{wait}")
    kernel.await_output("waiting")
    kernel.interrupt()
    (cell,) = kernel.collect([waiting])
    assert (cell.status, cell.reply["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.good("s.state").results()[0]["text/plain"] == "'running'"
    stub.release("held")
    cells = kernel.run_all("s.wait()", "await s", "await asyncio.sleep(0)", "s.state")
    assert [cell.status for cell in cells] == ["ok"] * 4
    assert cells[-1].results()[0]["text/plain"] == "'completed'"


def test_an_interrupt_before_the_wait_leaves_the_kernel_whole(kernel: Kernel, stub: Stub) -> None:
    """ipykernel takes it down and acts at the next await; the cell must answer all the same."""
    held(kernel, stub)
    early = "await asyncio.sleep(0)\nimport signal; signal.raise_signal(signal.SIGINT)\n"
    waiting = kernel.send(f"{early}print('waiting', flush=True)\ns.wait()")
    kernel.await_output("waiting")
    stub.release("held")
    kernel.collect([waiting])
    assert kernel.good("s.state").results()[0]["text/plain"] == "'completed'"


def test_an_error_in_a_wait_leaves_the_kernel_whole(kernel: Kernel, stub: Stub) -> None:
    held(kernel, stub)
    for wait in ("s.wait(timeout=0.1)", "await asyncio.sleep(0); s.wait(timeout=0.1)"):
        assert kernel(wait).reply["ename"] == "WaitTimeout"
    stub.release("held")
    # asyncio lets itself be nested from here on. Its own run() is what loses cells elsewhere.
    nested = "asyncio.run(asyncio.sleep(0)); ran.append(1)"
    cells = kernel.run_all("s.wait(); ran = []", *[nested] * 5, "await s; ran")
    assert [cell.status for cell in cells] == ["ok"] * 7
    assert cells[-1].results()[0]["text/plain"] == "[1, 1, 1, 1, 1]"


def test_nothing_changes_asyncio_before_a_wait_needs_it(kernel: Kernel, stub: Stub) -> None:
    whole = "'nest_asyncio2' in sys.modules, hasattr(asyncio, '_nest_patched')"
    kernel.good("s = cpr.launch(['a'])\nawait s\nasync for task in s.as_completed(): pass")
    kernel.good("s.wait(); list(s.as_completed()); s[0].result()")  # nothing left to wait for
    assert kernel.good(whole).results()[0]["text/plain"] == "(False, False)"
    held(kernel, stub)
    assert kernel("s.wait(timeout=0.1)").reply["ename"] == "WaitTimeout"
    assert kernel.good(whole).results()[0]["text/plain"] == "(True, True)"
    stub.release("held")
    kernel.good("s.wait()")
