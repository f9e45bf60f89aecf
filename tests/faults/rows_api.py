"""Faults of the API, as the real CLI meets them."""

from __future__ import annotations

from typing import Any

from testkit.command import LIMIT_S

import cpr_nb as cpr
from cpr_nb.model import states
from cpr_nb.offline.scripted_api import ScriptedApi
from faults import real
from faults.table import Tally
from faults.world import World, await_gone, journal

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def busy_tasks() -> tuple[list[str], list[dict[str, Any]]]:
    """The names of six tasks, and the tasks: the API refuses each of them twice."""
    names = [f"q{number}" for number in range(6)]
    tasks = []
    for number, name in enumerate(names):
        busy = {"status": (429, 529)[number % 2], "times": 2, "headers": {"retry-after": "0"}}
        tasks.append(real.task(name, {**real.effect(name), "fail": busy}))
    return names, tasks


def burst(world: World) -> Tally:
    """The API refuses requests for a while: 429, and 529."""
    names, tasks = busy_tasks()
    session = real.launch(world, *tasks, max_parallel=6)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "the CLI asks again, fewer tasks at once")
    attempts = [task.attempts for task in session]
    tally.expect(attempts == [1] * 6, f"attempts: {attempts}")
    return tally


def usage_limit(world: World) -> Tally:
    """A subscription is used up, and says when that ends."""
    world.subscription = True
    names = [f"u{number}" for number in range(5)]
    world.api.limit_usage(resets_in_s=15)
    session = real.launch(world, *[real.task(name) for name in names], max_parallel=2)
    await_waiting(session, "limit")
    until = session.head.get("waiting_until")
    n_refused = len(world.api.requests)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "waits until the reset, one task probes, then all")
    tally.expect(until, "it does not say until when it waits")
    tally.expect(n_refused <= 4, f"{n_refused} requests were refused")
    counted = [line for line in journal(session, "attempt_ended") if line["counted"]]
    tally.expect(not counted, f"attempts that count: {counted}")
    probes = [r for r in world.api.requests[n_refused:] if r.gate]
    tally.expect(len(probes) <= 2, f"{len(probes)} more were refused")
    return tally


def lost_login(world: World) -> Tally:
    """Somebody logged out; and in again."""
    world.has_helper = True
    names = [f"l{number}" for number in range(4)]
    world.api.lose_login()
    session = real.launch(world, *[real.task(name) for name in names], max_parallel=2)
    await_waiting(session, "login")
    n_begun = sum(1 for task in session if task.attempts)
    world.api.restore_login()
    with world.inside(world.real_env()):
        if session.state == states.WAITING:
            session.resume()
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "waits, continues after the login")
    tally.expect(n_begun <= 2, f"{n_begun} tasks were begun")
    return tally


def bad_key(world: World) -> Tally:
    """The key of the environment is not valid: nobody waits, and the session is resumed later."""
    names = [f"k{number}" for number in range(4)]
    world.api.lose_login()
    session = real.launch(world, *[real.task(name) for name in names], max_parallel=1)
    session.wait(LIMIT_S)
    ends = [(task.outcome, task.reason) for task in session]
    n_refused = len(world.api.requests)
    world.api.restore_login()
    with world.inside(world.real_env()):
        session.resume(skipped=True)
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names[1:], "fails at once, the others run when it is valid")
    expected = [("failed", "auth"), *[("skipped", "auth")] * 3]
    tally.expect(ends == expected, f"they ended {ends}")
    tally.expect(n_refused <= 5, f"{n_refused} requests were refused")
    return tally


def refused_connection(world: World) -> Tally:
    """Nothing listens at the API's address; later it is back."""
    names = [f"n{number}" for number in range(3)]
    port = world.api.port
    env = world.real_env()
    world.api.close()
    session = world.launch(
        env, [real.task(name) for name in names], permissions="all", max_parallel=3
    )
    for task in session:
        session.wait_until(lambda task=task: task.facts().api_retries > 0, LIMIT_S, "a retry")
    with ScriptedApi(port=port):
        session.wait(LIMIT_S)
        await_gone(session)
    return real.tally(world, session, names, "the CLI asks again")


def missing_structure(world: World) -> Tally:
    """A task with a schema answers without it, until it is asked again."""
    effect, name = real.effect("m0"), "m0"
    steps = [effect, {"text": "no"}, {"text": "no again"}, {"so": {"n": 7}}]
    session = real.launch(world, real.task(name, *steps, schema=SCHEMA))
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, [], "asked for it in the same conversation")
    task = session[0]
    tally.tasks = 1
    tally.lost += task.outcome != "succeeded" or task.result() != {"n": 7}
    tally.twice += real.effects(world)[name] > 1
    tally.expect(tally.good, f"{task.outcome}, {task.reason}, {task.attempts} attempts")
    return tally


def await_waiting(session: cpr.Session, reason: str) -> None:
    session.wait_until(
        lambda: (
            session.snapshot.state == states.WAITING and session.head.get("waiting_for") == reason
        ),
        LIMIT_S,
        f"for {reason}",
    )
