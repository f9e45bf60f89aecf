"""Kill points: the runner ends at any moment, most of them inside a write; then `resume`."""

from __future__ import annotations

import json
import random
from typing import Any

from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.model import states
from faults.table import Tally
from faults.world import World, await_gone, count, stub_calls

N_TASKS, N_PARALLEL = 20, 4
#: So many tasks wait for the test: they live through the kill, and some through the resume.
MOST_HELD = 3
N_SURE = N_TASKS - MOST_HELD

# (share of the points, calls that count, when, largest n that surely comes)
_INSIDE: list[tuple[int, str, str, int]] = [
    (10, "write:journal:intent", "inside", N_SURE),
    (14, "write:journal:started", "inside", N_SURE),
    (14, "write:journal:ended", "inside", N_SURE),
    (6, "write:journal", "inside", 3 * N_SURE),
    (12, "write:answer", "inside", N_SURE),
    (8, "write:status", "inside", 0),
    (6, "replace:status", "before", 0),
    (3, "write:runner", "inside", 0),
    (3, "replace:runner", "before", 0),
]
_GAP: list[tuple[int, str, str, int]] = [
    (4, "write:journal:intent", "after", N_SURE),
    (3, "open:stream", "after", N_SURE),
    (5, "spawn:agent", "before", N_SURE),
    (7, "spawn:agent", "after", N_SURE),
    (3, "write:journal:started", "before", N_SURE),
    (5, "write:journal:started", "after", N_SURE),
    (3, "write:journal:identity", "before", 3),
]
_BETWEEN: list[tuple[int, str, str, int]] = [
    (5, "open:answer", "after", N_SURE),
    (5, "write:answer", "after", N_SURE),
    (5, "write:journal:ended", "after", N_SURE),
    (3, "replace:status", "after", 0),
    (12, "", "before", 8 * N_SURE),
]
# While a resumed session is taken up, other calls come first.
RESUMED: list[tuple[int, str, str, int]] = [
    *_INSIDE,
    *_GAP,
    (6, "write:journal:runner_started", "inside", 1),
    (6, "write:journal:adopted", "inside", 2),
    (6, "write:journal:attempt_ended", "inside", 2),
    (20, "", "before", 40),
]


def make_spec(
    rng: random.Random, table: list[tuple[int, str, str, int]], most: int
) -> tuple[dict[str, Any], bool]:
    """Draws a point, and says whether it surely comes; what has no sure n is drawn small."""
    _, op, when, sure = rng.choices(table, [entry[0] for entry in table])[0]
    n = rng.randint(1, min(sure, most) if sure else 3)
    share = rng.choice([0.0, rng.random(), 1.0])  # the first byte, some, all but the last
    return {"op": op, "n": n, "when": when, "share": share, "armed": False}, bool(sure)


def is_inside(spec: dict[str, Any]) -> bool:
    """Whether the point is inside a write, between write and rename too."""
    return spec["when"] == "inside" or (
        spec["op"].startswith("replace") and spec["when"] == "before"
    )


def is_in_the_gap(spec: dict[str, Any]) -> bool:
    """Whether it is between the intent of an attempt and what tells its process."""
    place = (spec["op"], spec["when"])
    gap = [(op, when) for _, op, when, _ in _GAP]
    return place in [*gap, ("write:journal:started", "inside")]


def _has_spawned(spec: dict[str, Any]) -> bool:
    """Whether the n-th agent surely runs at this point, in the gap."""
    return is_in_the_gap(spec) and (
        spec["op"] == "write:journal:started"
        or (spec["op"], spec["when"]) == ("spawn:agent", "after")
    )


def one_point(world: World, seed: int) -> tuple[Tally, dict[str, Any]]:
    """Kills the runner of one session at one point, and now and then the one after it."""
    rng = random.Random(seed)
    spec, is_sure = make_spec(rng, [*_INSIDE, *_GAP, *_BETWEEN], 8 * N_SURE)
    held = dict.fromkeys(rng.sample(range(N_TASKS), MOST_HELD), "resumed")
    for task in list(held)[: rng.randint(0, MOST_HELD)]:
        held[task] = "killed"
    seen = -1
    if is_in_the_gap(spec) and is_sure:  # the agent that nobody has written down lives on
        held = {**dict(list(held.items())[1:]), spec["n"] - 1: "resumed"}
        seen = spec["n"] - 1 if _has_spawned(spec) else -1
    if not is_sure:
        held.clear()  # the session might come to its end first
    names = {task: f"t{seed}-{task:02d}" for task in range(N_TASKS)}
    answers = {name: f"the answer of {name}" for name in names.values()}
    for name in ("killed", "resumed"):
        world.hold(name)
    prompts = [
        {
            "id": name,
            "prompt": plan(
                result={"result": answers[name]},
                **({"lock": held[task]} if task in held else {}),
                **({"here": name} if task == seen else {}),
            ),
        }
        for task, name in names.items()
    ]
    here = world.door(names[seen]) if seen >= 0 else -1
    env = world.stub_env()
    session = world.launch(env, prompts, spec, max_parallel=N_PARALLEL)
    await_gone(session)
    if here >= 0:
        world.await_at(here)  # its agent is at work, and the runner had not written that down
    problems = [] if is_told(world, env, session) else ["cpr list does not say interrupted"]
    n_killed = int(session.state == states.INTERRUPTED)
    world.release("killed")
    for _ in range(8):
        if session.state != states.INTERRUPTED:
            break
        again: dict[str, Any] | None = None
        if rng.random() < (0.4 if n_killed < 3 else 0.0):
            again, _ = make_spec(rng, RESUMED, 5)
            again["armed"] = True
        if world.resume(env, session, again):
            world.release("resumed")
        await_gone(session)
        struck = session.state == states.INTERRUPTED
        if struck and again is None:
            problems.append(
                "the resumed runner is gone: " + (session.path / "runner.log").read_text()
            )
        elif struck and not is_told(world, env, session):
            problems.append("cpr list does not say interrupted")
        n_killed += struck
    world.release("resumed")
    calls = stub_calls(world)
    tally = count(session, answers, calls)
    tally.injected = n_killed
    tally.wrong += problems
    state, cost = session.state, session.cost_usd
    tally.expect(state == states.COMPLETED, f"the session is {state}")
    tally.expect(cost == N_TASKS * 0.25, f"it cost {cost}")
    tally.expect(not world.left(), f"left behind: {world.left()}")
    glued = [data for data in _torn_lines(session) if data.count(b'"event":') > 1]
    tally.expect(not glued, f"glued to a torn line: {glued}")
    tally.wrong = [f"seed {seed} ({spec}): {words}" for words in tally.wrong]
    return tally, spec


def kill_points(world: World) -> Tally:
    """As many points as are wanted."""
    total = Tally("")
    seed = world.first
    n_points = n_inside = n_gap = 0
    while n_points < world.points:
        tally, spec = one_point(world, seed)
        seed += 1
        if tally.injected or not tally.good:  # else the session was quicker
            total.add(tally)
            n_points += 1
            n_inside += is_inside(spec)
            n_gap += is_in_the_gap(spec)
    total.how = (
        f"journal, adoption, streams ({n_points} points, {n_inside} inside a write, "
        f"{n_gap} between intent and identity)"
    )
    return total


def _torn_lines(session: cpr.Session) -> list[bytes]:
    return [
        data
        for data in (session.path / "journal.jsonl").read_bytes().splitlines()
        if not _is_json(data)
    ]


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def is_told(world: World, env: dict[str, str], session: cpr.Session) -> bool:
    """Whether the command says of a killed session what it is, at once."""
    if session.state in states.ENDED_STATES:
        return True
    rows = json.loads(
        world.command(env).good(
            "list", "--json", "--results-dir", session.paths.root.rpartition("/")[0]
        )
    )
    return [row["state"] for row in rows if row["session_id"] == session.id] == ["interrupted"]
