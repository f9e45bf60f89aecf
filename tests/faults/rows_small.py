"""Faults around a session: a runner that stands still, a launch that is killed, ids that return."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter

from testkit import processes
from testkit.command import LIMIT_S, prompts
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr
from faults import real
from faults.table import Tally
from faults.world import World, await_gone, count, journal, runner_pid, stub_calls

#: Runs the command, and kills it when the session's folder is about to get its name.
KILLED = """
import os, signal, sys
os.rename = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
from cpr_nb.cli.main import console
console()
"""


def stopped_runner(world: World) -> Tally:
    """SIGSTOP; an agent ends, a pause and a cancel of one task are left; SIGCONT."""
    names = [f"s{number}" for number in range(3)]
    tasks = [real.task(name, wait="go") for name in [*names, "cancelled"]]
    session = real.launch(world, *tasks, max_parallel=1)
    real.at_the_end(world, 1)
    command, pid = world.command(world.real_env()), runner_pid(session)
    where = (session.id, "--results-dir", str(world.folder / "results"))
    agent = journal(session, "started")[0]["pid"]
    processes.stop(pid)
    world.api.release("go")
    processes.await_state(agent, "Z")
    command.good("pause", *where)
    cancel = command("cancel", "--task", "cancelled", *where)
    os.kill(pid, signal.SIGCONT)
    session.wait_until(lambda: session.snapshot.state == "paused", LIMIT_S, "the pause")
    session.wait_until(lambda: session[0].ok, LIMIT_S, "the first task")
    n_begun = len(journal(session, "intent"))
    command.good("resume", *where)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "what waits is read before anything starts")
    tally.expect(n_begun == 1, f"{n_begun} attempts had begun in spite of the pause")
    tally.expect(cancel.returncode == 1 and f"kill -CONT {pid}" in cancel.stderr, cancel.stderr)
    tally.expect(session.task("cancelled").outcome == "cancelled", "a cancel was lost")
    return tally


def killed_launch(world: World) -> Tally:
    """SIGKILL to a launch, and the same launch again."""
    env, names = world.stub_env(), [f"l{number}" for number in range(4)]
    tasks = [{"id": name, "prompt": name} for name in names]
    results = world.folder / "results"
    words = ["run", "--results-dir", str(results)]
    argv = [sys.executable, "-c", KILLED, *words]
    text = prompts(*tasks).encode()
    subprocess.run(argv, input=text, env=env, cwd=world.work, timeout=LIMIT_S, check=False)
    n_left = len(list(results.glob(".new-session-*")))
    session = world.launch(env, tasks).wait(LIMIT_S)
    await_gone(session)
    tally = count(session, dict.fromkeys(names, "done"), stub_calls(world))
    tally.injected, tally.how = 1, "the next launch removes what is left, and nothing ran"
    tally.expect(n_left == 1, f"left behind: {n_left}")
    tally.expect([path.name for path in results.glob("*session-*")] == [session.path.name], "left")
    return tally


def same_ids(world: World) -> Tally:
    """The same ids three times, with worktrees; only the second run changes something."""
    env, names = world.stub_env(), [f"i{number}" for number in range(3)]
    repository = Checkout.new(world.folder / "repository")
    repository.commit("first", {"a.txt": "a\n"})
    idle = [{"id": name, "prompt": name} for name in names]
    busy = [{**task, "prompt": plan(write={"new.txt": str(task["id"])})} for task in idle]
    tally = Tally("no empty branch stays; one with work is known at the launch")
    ran = Counter[str]()
    for tasks in (idle, busy):
        session = world.launch(env, tasks, worktree=True, cwd=str(repository.path)).wait(LIMIT_S)
        await_gone(session)
        calls = stub_calls(world)
        tally.add(count(session, dict.fromkeys(names, "done"), calls - ran))
        ran = calls
    try:
        world.launch(env, idle, worktree=True, cwd=str(repository.path)).wait(LIMIT_S)
        tally.wrong.append("a third run began, whose branches are there already")
    except cpr.InputError as error:
        tally.expect("main-task-i0" in str(error), str(error))
    kept = [repository.git("show", f"main-task-{name}:new.txt", ok=False) for name in names]
    tally.lost += sum(text != name for text, name in zip(kept, names, strict=True))
    tally.twice += sum((stub_calls(world) - ran).values())
    tally.injected = 2
    return tally
