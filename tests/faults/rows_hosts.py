"""A session's folder is renamed or moved, or its files are removed, while agents work."""

from __future__ import annotations

from testkit.command import LIMIT_S
from testkit.repository import Checkout

import cpr_nb as cpr
from faults import real
from faults.table import Tally
from faults.world import World, await_gone, journal, kill_runner

_AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def renamed(world: World) -> Tally:
    """The results directory is renamed, then the session's folder is moved, then resumed there."""
    names = [f"m{number}" for number in range(5)]
    session = real.launch(
        world, *[real.task(name, wait=f"go-{name}") for name in names], max_parallel=2
    )
    results = session.path.parent
    real.at_the_end(world, 2)
    renamed = cpr.Session(results.rename(world.folder / "renamed") / session.path.name)
    lives = renamed.state == "running"
    world.api.release("go-m0")
    real.at_the_end(world, 3)
    archive = world.folder / "archive"
    archive.mkdir()
    moved = cpr.Session(renamed.path.rename(archive / session.path.name))
    world.api.release("go-m1")
    real.at_the_end(world, 4)
    kill_runner(moved)
    world.resume(world.real_env(), moved)
    for name in names:
        world.api.release(f"go-{name}")
    moved.wait(LIMIT_S)
    await_gone(moved)
    tally = real.tally(world, moved, names, "written on where it is; agents adopted there")
    tally.injected = 2
    tally.expect(lives, "the renamed session did not show that it runs")
    tally.expect([task.attempts for task in moved] == [1] * 5, "a task began again")
    tally.expect(not results.exists(), "something was written where it had been")
    return tally


def removed_files(world: World) -> Tally:
    """``rm task-*`` while two agents work; one ends with this runner, one with the next one."""
    names = ["r0", "r1"]
    checkout = Checkout(world.work)
    checkout.git("init", "-q", "-b", "main")
    checkout.git(*_AUTHOR, "commit", "-q", "--allow-empty", "-m", "begin")
    commands = {name: f"echo x >> {world.work}/ran-{name}; echo {name} > new" for name in names}
    session = real.launch(
        world,
        *[real.task(name, real.bash(commands[name]), wait=f"go-{name}") for name in names],
        max_parallel=2,
        worktree=True,
    )
    real.at_the_end(world, 2)
    _remove_task_files(session)
    world.api.release("go-r0")
    session.wait_until(lambda: bool(journal(session, "ended")), LIMIT_S, "the first task")
    kill_runner(session)
    world.resume(world.real_env(), session)
    world.api.release("go-r1")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "open files are read on, and written again")
    tally.expect([task.attempts for task in session] == [1, 1], "a task began again")
    texts = [task.text for task in session]
    tally.expect(texts == [real.answer(name) for name in names], f"their streams say {texts}")
    streams = sorted(path.name for path in session.path.glob("*.jsonl"))
    tally.expect(streams == ["journal.jsonl", "task-r0.jsonl", "task-r1.jsonl"], f"{streams}")
    saved = checkout.git("show", "main-task-r0:new", ok=False)
    tally.expect(saved == "r0", f"the branch of r0 holds {saved!r}")
    return tally


def _remove_task_files(session: cpr.Session) -> None:
    for path in session.path.glob("task-*"):
        path.unlink()
