"""Causes of the machine: the session waits, and no task is burnt."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testkit.command import LIMIT_S

import cpr_nb as cpr
from cpr_nb.model import states
from faults import real
from faults.quick_stub import QuickStub, answers
from faults.table import Tally
from faults.world import World, await_gone, count, journal, kill_runner

N_TASKS = 200


def _names(n: int = N_TASKS, word: str = "c") -> list[str]:
    return [f"{word}{number:03d}" for number in range(n)]


def _env(world: World, stub: QuickStub) -> dict[str, str]:
    return {**world.stub_env(), "CPR_CLAUDE": str(stub.path)}


def _await(session: cpr.Session, kind: str) -> str:
    """Waits until the session waits for this; returns what it says."""
    session.wait_until(
        lambda: (session.state, session.head.get("waiting_for")) == (states.WAITING, kind),
        LIMIT_S,
        f"for {kind}",
    )
    return str(session.head.get("notice"))


def _count(session: cpr.Session, stub: QuickStub, names: list[str], how: str) -> Tally:
    session.wait(LIMIT_S)
    await_gone(session)
    tally = count(session, answers(names), stub.calls())
    tally.how, tally.injected = how, 1
    counted = [line for line in journal(session, "attempt_ended") if line["counted"]]
    tally.expect(not counted, f"attempts that count: {counted[:3]}")
    return tally


def _row(
    world: World,
    kind: str,
    command: Callable[[QuickStub], str],
    mend: Callable[[QuickStub], None],
    **options: Any,
) -> Tally:
    """One task does the harm, in the middle of the session; it is undone once that is shown."""
    stub, names = QuickStub(world.folder / "quick"), _names()
    stub.has(names[40], command(stub))
    session = world.launch(_env(world, stub), _prompts(names), max_parallel=4, **options)
    notice = _await(session, kind)
    n_before = sum(stub.calls().values())
    mend(stub)
    tally = _count(session, stub, names, f"waits for {kind}, says why; one task tries")
    tally.expect(n_before < N_TASKS, "it happened too late")
    tally.expect("(" in notice, f"the notice is {notice!r}")
    return tally


def _prompts(names: list[str]) -> list[dict[str, str]]:
    return [{"id": name, "prompt": "do it"} for name in names]


def program_away(world: World) -> Tally:
    """The file of the CLI is moved away, and back."""
    return _row(world, "cli", _move_away, QuickStub.mend)


def _move_away(stub: QuickStub) -> str:
    return f"mv {stub.path} {stub.folder}/away"


def program_written(world: World) -> Tally:
    """Somebody has the file of the CLI open for writing."""
    fds: list[int] = []
    stub, names = QuickStub(world.folder / "quick"), _names()
    os.mkfifo(stub.folder / "door")
    stub.has(names[40], f"echo x > {stub.folder}/door; read line < {stub.folder}/door")
    session = world.launch(_env(world, stub), _prompts(names), max_parallel=4)
    with (stub.folder / "door").open() as door:
        door.readline()
    fds.append(os.open(stub.path, os.O_WRONLY))
    (stub.folder / "door").write_text("x\n")
    notice = _await(session, "cli")
    os.close(fds.pop())
    tally = _count(session, stub, names, "waits for cli; one task tries")
    tally.expect("busy" in notice, f"the notice is {notice!r}")
    return tally


def folder_away(world: World) -> Tally:
    """The working folder is renamed, and back."""
    away = world.folder / "away"

    def back(_: QuickStub) -> None:
        away.rename(world.work)

    return _row(world, "folder", lambda _: f"mv {world.work} {away}", back)


def bad_start(world: World) -> Tally:
    """The CLI ends at its start, with the same words each time, until it is mended."""
    return _row(world, "setup", lambda stub: f": > {stub.breaks()}", QuickStub.mend)


def few_processes(world: World) -> Tally:
    """This machine has no room for more than six processes of the session, for a while."""
    stub, names = QuickStub(world.folder / "quick"), _names(60)
    gate = stub.folder / "gate"
    os.mkfifo(gate)
    door = os.open(gate, os.O_RDWR)
    for name in names[:20]:
        stub.has(name, f"[ -e {stub.folder}/hold ] && read line < {gate}")
    (stub.folder / "hold").touch()
    most = stub.folder / "most"
    most.write_text("6")
    env = _env(world, stub)
    with world.python(Path(__file__).with_name("few_processes.py"), most):
        session = world.launch(env, _prompts(names), max_parallel=20)
    notice = _await(session, "processes")
    n_running = session.snapshot.count("n_running")
    most.unlink()
    (stub.folder / "hold").unlink()
    os.close(door)
    tally = _count(session, stub, names, "waits for processes; then fewer at once, more by and by")
    tally.expect(n_running <= 6, f"{n_running} ran")
    tally.expect("processes" in notice, f"the notice is {notice!r}")
    return tally


def damaged_configuration(world: World) -> Tally:
    """The file .claude.json is damaged while the real CLI works; later somebody mends it.

    An agent that ends writes the whole file again, and may so mend it before the next one reads it.
    So it is damaged before every start, too, and of two agents at work one ends only afterwards.
    """
    names = [f"j{number}" for number in range(8)]
    waits = {"j0": "go", "j1": "go on"}
    tasks = [real.task(name, wait=waits.get(name, "")) for name in names]
    env, file = world.real_env(), world.folder / "home" / ".claude" / ".claude.json"
    damage = world.folder / "damage"
    program = Path(env["CPR_CLAUDE"])
    first, rest = program.read_text().split("\n", 1)
    program.write_text(f"{first}\n[ -e {damage} ] && cat {damage} > {file}\n{rest}")
    session = real.launch(world, *tasks, max_parallel=2)
    real.at_the_end(world, 2)
    good = file.read_text()
    damage.write_text(good[:40])
    file.write_text(good[:40])
    world.api.release("go")
    notice = _await(session, "setup")
    damage.unlink()
    file.write_text(good)
    world.api.release("go on")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "waits for setup, says which file")
    tally.expect(".claude.json" in notice, f"the notice is {notice!r}")
    return tally


# -- the runner is killed while it waits ----------------------------------------------------

_KINDS: dict[str, Callable[[World, QuickStub], str]] = {
    "cli": lambda _, stub: _move_away(stub),
    "folder": lambda world, _: f"mv {world.work} {world.folder}/away",
    "setup": lambda _, stub: f": > {stub.breaks()}",
}
# What the runner does while it waits, and how often it soon does it.
_OPS = [
    ("write:journal:state", 1),
    ("write:journal:intent", 2),
    ("write:status", 1),
    ("replace:status", 1),
    ("", 8),
]


def one_waiting_point(world: World, seed: int) -> Tally:
    """Kills the runner of a session at one point, soon after one of its tasks did the harm."""
    rng = random.Random(seed)
    kind = rng.choice(list(_KINDS))
    stub, names = QuickStub(world.folder / f"quick-{seed}"), _names(8, f"w{seed}-")
    away, killed = world.folder / "away", stub.folder / "killed"
    # The runner is armed just before the harm: it is killed at the n-th call after that.
    stub.has(names[2], f": > {killed}; {_KINDS[kind](world, stub)}")
    op, most = rng.choice(_OPS)
    when = rng.choice(["before", "inside", "after"])
    n, share = rng.randint(1, most), rng.random()
    spec = {"op": op, "n": n, "when": when, "share": share, "armed": str(killed)}
    env = _env(world, stub)
    session = world.launch(env, _prompts(names), spec, max_parallel=2)
    await_gone(session)
    real.await_agents(world)  # the harm is done
    tally = Tally("", injected=int(session.state == states.INTERRUPTED))
    # Only if the harm was done: an agent may have ended with its runner, just before it.
    is_done = stub.breaks().exists() or not stub.path.exists()
    if rng.random() < 0.5 and tally.injected and is_done:  # the next one waits, too
        world.resume(env, session)
        _await(session, kind)
        kill_runner(session)
        tally.injected += 1
    stub.mend()
    if away.exists():
        away.rename(world.work)
    world.finish(env, session)
    counted = count(session, answers(names), stub.calls())
    counted.injected, counted.wrong = tally.injected, [f"seed {seed}: {w}" for w in counted.wrong]
    return counted


def waiting_points(world: World) -> Tally:
    """As many points as are wanted."""
    total, seed = Tally("what waited goes on in the next runner"), world.first
    while total.injected < world.points:
        total.add(one_waiting_point(world, seed))
        seed += 1
    return total
