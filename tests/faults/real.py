"""Tasks of the real CLI whose effect can be counted, and kill points among them."""

from __future__ import annotations

import random
import select
from collections import Counter
from os import close, pidfd_open
from pathlib import Path
from typing import Any

from testkit import processes
from testkit.command import LIMIT_S, script

import cpr_nb as cpr
from cpr_nb.model import states
from cpr_nb.offline.scripted_api import RequestRecord
from faults.points import RESUMED, is_told, make_spec
from faults.table import Tally
from faults.world import World, await_gone, count, journal, kill_runner

N_TASKS, N_PARALLEL = 6, 3


def answer(name: str) -> str:
    """What a task answers."""
    return f"the answer of {name}"


def bash(command: str) -> dict[str, Any]:
    """A step that runs a command."""
    return {"tool": "Bash", "input": {"command": command, "description": "do it"}}


def effect(name: str) -> dict[str, Any]:
    """The step that must happen once."""
    return bash(f"echo x >> {{cwd}}/ran-{name}")


def task(name: str, *steps: dict[str, Any], wait: str = "", **options: Any) -> dict[str, Any]:
    """A task that does something once, by a tool, and then answers.

    Args:
        name: Its id.
        steps: What comes before that; else its effect alone does.
        wait: The API holds its answer until this is released.
        options: Its own options.
    """
    last = {"text": answer(name), **({"wait": wait} if wait else {})}
    return {"id": name, "prompt": script(*(steps or [effect(name)]), last), **options}


def effects(world: World) -> Counter[str]:
    """How often each task has done what it does."""
    return Counter(
        {
            file.name.removeprefix("ran-"): len(file.read_text().splitlines())
            for file in world.work.glob("ran-*")
        }
    )


def launch(world: World, *tasks: dict[str, Any], **options: Any) -> cpr.Session:
    """Starts such tasks."""
    return world.launch(world.real_env(), tasks, permissions="all", **options)


def tally(world: World, session: cpr.Session, names: list[str], how: str) -> Tally:
    """What became of them, once the session has ended."""
    result = count(session, {name: answer(name) for name in names}, effects(world))
    result.how, result.injected = how, 1
    result.expect(not world.left(), f"left behind: {world.left()}")
    return result


def at_the_end(world: World, n: int) -> None:
    """Waits until so many tasks have used their tool and wait for their last answer."""
    seen = set[str]()

    def is_last(record: RequestRecord) -> bool:
        if record.step == 1:
            seen.add(record.conversation_id)
        return len(seen) == n

    world.api.wait_for(is_last, LIMIT_S)


def await_agents(world: World) -> None:
    """Waits until every process of this world has ended by itself."""
    while pids := processes.survivors(world.token):
        for pid in pids:
            try:
                await_end(pidfd_open(pid))
            except ProcessLookupError:
                continue


def await_answers(session: cpr.Session, n: int) -> None:
    """Waits until the first agents have ended, and the runner has taken notice of that."""
    for line in journal(session, "started")[:n]:
        try:
            await_end(pidfd_open(line["pid"]))
        except ProcessLookupError:
            continue
        process = Path(f"/proc/{line['pid']}")
        session.wait_until(lambda process=process: not process.exists(), LIMIT_S, "the runner")


def await_end(pidfd: int) -> None:
    """Waits until a process has ended, and closes its descriptor."""
    try:
        assert select.select([pidfd], [], [], LIMIT_S)[0], "it does not end"
    finally:
        close(pidfd)


def one_real_point(world: World, seed: int) -> Tally:
    """Kills the runner of real tasks when the API sees the n-th request, perhaps twice."""
    rng = random.Random(seed)
    names = [f"r{seed}-{number}" for number in range(N_TASKS)]
    held = set(rng.sample(names, rng.randint(0, N_PARALLEL - 1)))
    word, n_before = f"go-{seed}", len(world.api.requests)
    n = n_before + rng.randint(1, 2 * N_TASKS - 1)
    env = world.real_env()
    session = launch(
        world,
        *[task(name, wait=word if name in held else "") for name in names],
        max_parallel=N_PARALLEL,
    )
    world.api.wait_for(lambda record: record.seq >= n, LIMIT_S)
    kill_runner(session)
    problems = [] if is_told(world, env, session) else ["cpr list does not say interrupted"]
    n_killed = 1
    if rng.random() < 0.3:  # agents end while nobody looks
        world.api.release(word)
        await_agents(world)
    if rng.random() < 0.4:
        spec, _ = make_spec(rng, RESUMED, 5)
        world.resume(env, session, {**spec, "armed": True})
        world.api.release(word)
        await_gone(session)
        n_killed += session.state == states.INTERRUPTED
    if session.state == states.INTERRUPTED:
        world.resume(env, session)
    world.api.release(word)
    session.wait(LIMIT_S)
    await_gone(session)
    result = tally(world, session, names, "")
    result.injected = n_killed
    result.wrong = [f"seed {seed}: {words}" for words in [*result.wrong, *problems]]
    return result


def real_points(world: World) -> Tally:
    """As many of them as are wanted."""
    total = Tally("agents continue without a runner; adopted by the next one")
    for seed in range(world.first, world.first + world.points):
        total.add(one_real_point(world, seed))
    return total
