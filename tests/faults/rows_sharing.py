"""Faults of tasks that share processes of the real CLI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from testkit.command import LIMIT_S

import cpr_nb as cpr
from faults import real
from faults.rows_api import await_waiting, busy_tasks
from faults.table import Tally
from faults.world import World, await_gone, journal


def burst(world: World) -> Tally:
    """The API refuses requests for a while: 429, and 529."""
    names, tasks = busy_tasks()
    session = _launch(world, tasks, max_parallel=2)
    tally = _ended(world, session, names, "the CLI asks again, the processes serve on")
    tally.expect([task.attempts for task in session] == [1] * 6, "an attempt too many")
    return tally


def usage_limit(world: World) -> Tally:
    """A subscription is used up, and says when that ends."""
    world.subscription = True
    names = [f"u{number}" for number in range(5)]
    world.api.limit_usage(resets_in_s=15)
    session = _launch(world, [real.task(name) for name in names], max_parallel=2)
    await_waiting(session, "limit")
    n_refused = len(world.api.requests)
    tally = _ended(world, session, names, "waits until the reset, one task probes, then all")
    tally.expect(n_refused <= 4, f"{n_refused} requests were refused")
    counted = [line for line in journal(session, "attempt_ended") if line["counted"]]
    tally.expect(not counted, f"attempts that count: {counted}")
    return tally


def cancelled_task(world: World) -> Tally:
    """A task is cancelled whose command ignores SIGTERM, beside one that works on."""
    deaf = real.bash("trap '' TERM INT; echo $$ > {cwd}/deaf.pid; while :; do sleep 0.2; done")
    names = ["before", "beside", "after"]
    tasks = [real.task("before"), real.task("deaf", deaf), real.task("beside", wait="go on")]
    session = _launch(world, [*tasks, real.task("after")], max_parallel=2)
    pid_file = world.work / "deaf.pid"
    session.wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()), LIMIT_S, "it")
    beside = session.task("beside")
    session.wait_until(lambda: beside.state == "running", LIMIT_S, "the one beside it")
    session.task("deaf").cancel()
    session.wait_until(lambda: session.task("deaf").done(), LIMIT_S, "the cancelled one")
    tally = Tally("", 1)
    tally.expect(not beside.done(), "the task beside it has ended, too")
    world.api.release("go on")
    session.wait_until(lambda: not _lives(pid_file), LIMIT_S, "its command")
    ended = _ended(world, session, names, "an interrupt; its process and its command end")
    ended.wrong += tally.wrong
    ended.expect(session.task("deaf").outcome == "cancelled", "it was not cancelled")
    return ended


def left_server(world: World) -> Tally:
    """A task leaves a server running, one another with a session of its own."""
    names = ["plain", "server", "apart", "last"]
    serve = "echo $$ > {cwd}/%s.pid; exec sleep 600"
    left = real.bash(serve % "server")
    left["input"]["run_in_background"] = True
    apart = real.bash(f"setsid sh -c '{serve % 'apart'}' > /dev/null 2>&1 &")
    session = _launch(
        world,
        [
            real.task("plain"),
            real.task("server", left, real.effect("server"), linger_s=1.0),
            real.task("apart", apart, real.effect("apart")),
            real.task("last", wait="go on"),
        ],
        max_parallel=1,
    )
    tally = Tally("", 1)
    session.wait_until(lambda: session.task("apart").done(), LIMIT_S, "the third")
    for name in ("server", "apart"):
        path = world.work / f"{name}.pid"
        session.wait_until(lambda path=path: not _lives(path), LIMIT_S, f"{name} to be ended")
    tally.expect(not session.task("last").done(), "the last has not waited")
    world.api.release("go on")
    ended = _ended(world, session, names, "swept with their task; the next has a new process")
    ended.wrong += tally.wrong
    return ended


def _launch(world: World, tasks: Sequence[dict[str, object]], **options: object) -> cpr.Session:
    return real.launch(world, *tasks, share_process=True, **options)


def _ended(world: World, session: cpr.Session, names: list[str], how: str) -> Tally:
    """What became of them; each must have begun in a shared process."""
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, how)
    served = {line["task_id"] for line in journal(session, "intent") if "process" in line}
    tally.expect({*names} <= served, f"not served: {sorted({*names} - served)}")
    return tally


def _lives(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text("ascii")), 0)
    except ProcessLookupError:
        return False
    return True
