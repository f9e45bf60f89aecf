"""Faults of the agents themselves, and of the machine under them."""

from __future__ import annotations

import os
import signal
import time

from testkit import processes
from testkit.command import LIMIT_S
from testkit.stub import plan

from faults import real
from faults.table import Tally
from faults.world import World, await_gone, count, journal, runner_pid, stub_calls

TIMEOUT_S = 6.0
_LATE = """#!/bin/sh
if [ "$1" != --version ] && mkdir 'FOLDER/late' 2> /dev/null; then read x < 'FOLDER/never'; fi
exec 'CLAUDE' "$@"
"""


def silence(world: World) -> Tally:
    """The API says nothing for too long, once."""
    session = real.launch(world, real.task("q0", wait="go"), silence_s=5, attempts=4)
    session.wait_until(lambda: bool(journal(session, "attempt_ended")), LIMIT_S, "the silence")
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, ["q0"], "ended after silence_s, conversation resumed")
    reason = journal(session, "attempt_ended")[0]["reason"]
    tally.expect(reason == "silence", f"the reason is {reason}")
    return tally


def no_first_byte(world: World) -> Tally:
    """The CLI hangs before it writes anything, once."""
    env = world.real_env()
    os.mkfifo(world.folder / "never")
    late = world.folder / "late-claude"
    text = _LATE.replace("FOLDER", str(world.folder)).replace("CLAUDE", env["CPR_CLAUDE"])
    late.write_text(text)
    late.chmod(0o755)
    env["CPR_CLAUDE"] = str(late)
    session = world.launch(env, [real.task("f0")], permissions="all", first_byte_s=5, attempts=4)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, ["f0"], "ended after first_byte_s, begun again")
    reason = journal(session, "attempt_ended")[0]["reason"]
    tally.expect(reason == "no_first_byte", f"the reason is {reason}")
    return tally


def timeout(world: World) -> Tally:
    """A command never ends."""
    os.mkfifo(world.folder / "never")
    stuck = real.bash(f"setsid nohup cat {world.folder}/never & read x < {world.folder}/never")
    tasks = [real.task("x0", stuck, timeout_s=5), real.task("x1")]
    session = real.launch(world, *tasks, max_parallel=2)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, ["x1"], "its whole tree ends after timeout_s")
    end = (session[0].outcome, session[0].reason)
    tally.tasks += 1
    tally.lost += session[0].outcome is None
    tally.expect(end == ("timed_out", "timeout"), f"it ended as {end}")
    return tally


def suspended(world: World) -> Tally:
    """Runner and agents stand still for longer than the time limit, as with a closed lid."""
    names = ["z0", "z1"]
    world.hold("go")
    door = world.door("up")
    tasks = [{"id": name, "prompt": plan(here="up", lock="go")} for name in names]
    session = world.launch(world.stub_env(), tasks, max_parallel=2, timeout_s=TIMEOUT_S)
    for _ in names:
        world.await_at(door)
    everybody = [runner_pid(session), *processes.survivors(world.token)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(TIMEOUT_S + 1)  # the fault itself: nothing comes that could be awaited
    for pid in everybody:
        os.kill(pid, signal.SIGCONT)
    session.wait_until(  # a request is taken: the runner had its turn, and time to stop them
        lambda: session.snapshot.count("max_parallel") == 3 or _ask_for_three(world, session),
        LIMIT_S,
        "the runner",
    )
    world.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = count(session, dict.fromkeys(names, "done"), stub_calls(world))
    tally.injected, tally.how = 1, "time that nobody was awake does not count"
    tally.expect(not journal(session, "stop"), "a time limit struck")
    return tally


def _ask_for_three(world, session) -> bool:  # type: ignore[no-untyped-def]
    with world.inside(world.stub_env()):
        session.max_parallel = 3
    return False


def daemons(world: World) -> Tally:
    """An agent leaves children behind that keep its output open."""
    os.mkfifo(world.folder / "never")
    block = f"sh -c 'read x < {world.folder}/never'"
    names = ["d0", "d1"]
    tasks = [
        real.task(
            name, real.bash(f"echo x >> {{cwd}}/ran-{name}; setsid {block} & nohup {block} &")
        )
        for name in names
    ]
    session = real.launch(world, *tasks, max_parallel=2)
    session.wait(LIMIT_S)
    await_gone(session)
    return real.tally(world, session, names, "the end of the CLI counts; what is left is ended")
