"""Kill points with shared processes: one session, whose runner is killed again and again."""

from __future__ import annotations

import json
import os
import random
import signal
from typing import Any

from testkit.command import LIMIT_S

from cpr_nb.model import states
from faults import real
from faults.points import is_told
from faults.table import Tally
from faults.world import World, await_gone, journal, kill_runner

#: So many tasks for each kill: a point comes in one of the first that a runner serves.
TASKS_PER_POINT = 3
N_PARALLEL = 2
_TOLD_EVERY = 10  # the command costs more than a kill

# (share of the points, calls that count, when, largest n)
_POINTS: list[tuple[int, str, str, int]] = [
    (6, "write:journal:process_intent", "after", 1),
    (4, "spawn:agent", "after", 1),
    (4, "write:journal:process_started", "inside", 1),
    (4, "write:stdin:clear", "after", 3),
    (8, "write:journal:intent", "after", 2),  # no prompt was sent
    (4, "write:journal:intent", "inside", 2),
    (6, "open:stream", "after", 2),
    (12, "write:stdin:prompt", "inside", 2),  # half of a prompt
    (12, "write:stdin:prompt", "after", 2),  # perhaps nobody has read it yet
    (8, "write:journal:started", "after", 2),
    (8, "copy", "before", 6),
    (8, "copy", "after", 6),
    (8, "write:answer", "inside", 2),  # between the border and the end
    (8, "write:journal:ended", "before", 2),
    (6, "write:journal:ended", "inside", 2),
    (8, "write:journal:ended", "after", 2),  # the next conversation begins
    (4, "write:journal:process_ended", "before", 1),
    (4, "write:journal:adopted", "after", 1),
    (10, "", "before", 60),
]


def _draw(rng: random.Random) -> dict[str, Any]:
    _, op, when, most = rng.choices(_POINTS, [point[0] for point in _POINTS])[0]
    share = rng.choice([0.0, rng.random(), 1.0])
    return {"op": op, "n": rng.randint(1, most), "when": when, "share": share, "armed": True}


def kill_points(world: World) -> Tally:
    """As many kills as are wanted; a session whose runner is quicker than its point ends."""
    rng = random.Random(world.first)
    total, n_sessions = Tally(""), 0
    while total.injected < world.points:
        n_left = world.points - total.injected
        tally = _one_session(world, rng, n_left, f"p{world.first}-{n_sessions}")
        tally.wrong = [f"seed {world.first}, session {n_sessions}: {w}" for w in tally.wrong]
        total.add(tally)
        n_sessions += 1
    total.how = f"streams of processes, adoption ({total.injected} kills in {n_sessions} sessions)"
    return total


def _one_session(world: World, rng: random.Random, n_points: int, prefix: str) -> Tally:
    names = [f"{prefix}-{number:03d}" for number in range(TASKS_PER_POINT * n_points)]
    env, told = world.real_env(), True
    points: list[str] = []
    spec = {**_draw(rng), "armed": False}
    tasks = [real.task(name) for name in names]
    options = {"permissions": "all", "share_process": True, "max_parallel": N_PARALLEL}
    session = world.launch(env, tasks, spec, **options)
    while True:
        await_gone(session)
        session.refresh()
        if session.state != states.INTERRUPTED:
            break
        points.append(f"{spec['when']} {spec['op']} {spec['n']}")
        if len(points) % _TOLD_EVERY == 1:
            told &= is_told(world, env, session)
        spec = _draw(rng) if len(points) < n_points else {}
        world.resume(env, session, spec or None)
    tally = real.tally(world, session, names, "")
    tally.injected = len(points)
    tally.expect(told, "cpr list does not say interrupted")
    tally.expect(session.state == states.COMPLETED, f"the session is {session.state}")
    left = [path.name for path in session.path.glob("process-*")]
    tally.expect(not left, f"files of processes: {left}")
    for name in names:
        lines = (session.path / f"task-{name}.jsonl").read_bytes().splitlines()
        conversations = {json.loads(data).get("session_id") for data in lines} - {None}
        tally.expect(len(conversations) <= 1, f"{name}: lines of {conversations}")
    tally.wrong = [f"{words} (killed: {points})" for words in tally.wrong]
    return tally


def lost_journal(world: World) -> Tally:
    """The journal is removed, and one of two tasks ends before the next runner comes."""
    names = [f"j{number}" for number in range(4)]
    tasks = [real.task(name, wait=f"go {name}") for name in names]
    session = real.launch(world, *tasks, share_process=True, max_parallel=2)
    real.at_the_end(world, 2)
    session.wait_until(lambda: session.snapshot.count("n_running") == 2, LIMIT_S, "both")
    pids = [line["pid"] for line in journal(session, "started")]
    (session.path / "journal.jsonl").unlink()
    kill_runner(session)
    world.api.release(f"go {names[0]}")
    real.await_end(os.pidfd_open(pids[0]))
    world.resume(world.real_env(), session)
    for name in names[1:]:
        world.api.release(f"go {name}")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "status.json and the streams of processes tell it")
    attempts = [task.attempts for task in session]
    tally.expect(attempts == [1] * 4, f"attempts: {attempts}")
    left = [path.name for path in session.path.glob("process-*")]
    tally.expect(not left, f"files of processes: {left}")
    return tally


def process_killed(world: World) -> Tally:
    """That task is resumed; the tasks before and behind it are not touched."""
    names = [f"k{number}" for number in range(5)]
    tasks = [real.task(name, wait="go" if name == "k2" else "") for name in names]
    session = real.launch(world, *tasks, share_process=True, max_parallel=1)

    def waits() -> bool:
        status = session.snapshot
        return status.count("n_succeeded") == 2 and len(world.api.requests) >= 6

    session.wait_until(waits, LIMIT_S, "the third task")
    pid = journal(session, "process_started")[-1]["pid"]
    os.kill(pid, signal.SIGKILL)
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "one more attempt (--resume), another process")
    attempts = {task.id: task.attempts for task in session}
    tally.expect(attempts == {**dict.fromkeys(names, 1), "k2": 2}, f"attempts: {attempts}")
    return tally
