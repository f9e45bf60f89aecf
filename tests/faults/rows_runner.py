"""Faults of the runner and of what it has written; most agents are the real CLI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from typing import Any

from testkit import processes
from testkit.command import LIMIT_S
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.model import states
from faults import real
from faults.points import is_told
from faults.table import Tally
from faults.world import World, await_gone, count, journal, kill_runner, runner_pid, stub_calls

# -- agents that end with the runner --------------------------------------------------------


def kill_all(world: World, session: cpr.Session) -> None:
    """Runner and agents, with all that they started."""
    kill_runner(session)
    for pid in processes.survivors(world.token):
        processes.end(pid)


def whole_tree(world: World) -> Tally:
    """As when memory is short, or a container ends: each agent had used its tool."""
    names = [f"o{number}" for number in range(4)]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=3)
    real.at_the_end(world, 3)
    kill_all(world, session)
    world.api.release("go")
    env = world.real_env()
    told = is_told(world, env, session)
    world.finish(env, session)
    tally = real.tally(world, session, names, "conversations resumed (--resume)")
    tally.expect(told, "cpr list does not say interrupted")
    first, again = journal(session, "intent")[0], journal(session, "intent")[3:6]
    tally.expect(
        first["conversation_id"] in [line["conversation_id"] for line in again],
        "a new conversation",
    )
    attempts = sorted(task.attempts for task in session)
    tally.expect(attempts == [1, 2, 2, 2], f"attempts: {attempts}")
    return tally


def reboot(world: World) -> Tally:
    """Some agents have used their tool, others have not had an answer yet; all is gone."""
    names = [f"b{number}" for number in range(5)]
    tasks = [real.task(name, wait="go") for name in names[:2]]
    # To a conversation without any answer the CLI adds one of its own: that is the first step.
    early = {**real.bash("true"), "wait": "boot"}
    tasks += [real.task(name, early, real.effect(name)) for name in names[2:]]
    session = real.launch(world, *tasks, max_parallel=4)
    real.at_the_end(world, 2)
    world.api.wait_for(lambda record: sum(r.step == 0 for r in world.api.requests) >= 4, LIMIT_S)
    kill_all(world, session)
    runner = json.loads((session.path / "runner.json").read_text())
    (session.path / "runner.json").write_text(json.dumps({**runner, "boot_id": "another"}))
    for word in ("go", "boot"):
        world.api.release(word)
    world.finish(world.real_env(), session)
    return real.tally(world, session, names, "conversations resumed, or begun again")


def told_to_stop(world: World) -> Tally:
    """SIGTERM, as of a logout, Slurm or systemd."""
    names = [f"s{number}" for number in range(4)]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    os.kill(runner_pid(session), signal.SIGTERM)
    await_gone(session)
    left, env = world.left(), world.real_env()
    told = is_told(world, env, session)
    world.api.release("go")
    world.finish(env, session)
    tally = real.tally(world, session, names, "agents end with it, conversations resumed")
    tally.expect(not left, f"SIGTERM left behind: {left}")
    tally.expect(told, "cpr list does not say interrupted")
    return tally


def told_twice(world: World) -> Tally:
    """An agent ignores SIGTERM; the second one ends it at once."""
    names = ["a", "b"]
    world.hold("go")
    door = world.door("up")
    stubborn = {"id": "a", "prompt": plan(ignore_term=True, here="up", lock="go")}
    session = world.launch(world.stub_env(), [stubborn, {"id": "b", "prompt": "b"}], max_parallel=1)
    world.await_at(door)
    pid = runner_pid(session)
    os.kill(pid, signal.SIGTERM)
    session.wait_until(lambda: bool(journal(session, "runner_stopping")), LIMIT_S, "the stop")
    os.kill(pid, signal.SIGTERM)
    await_gone(session)
    left = world.left()
    world.release("go")
    world.finish(world.stub_env(), session)
    # Its agent was killed in the middle, so the stub is called again: it has no conversation.
    ran = Counter(dict.fromkeys(names, 1)) if stub_calls(world) == {"a": 2, "b": 1} else Counter()
    tally = count(session, dict.fromkeys(names, "done"), ran)
    tally.injected, tally.how = 1, "agents killed, begun again"
    tally.expect(not left, f"the second SIGTERM left behind: {left}")
    return tally


# -- people ---------------------------------------------------------------------------------


def two_resumes(world: World) -> Tally:
    """Four at once."""
    names = [f"t{number}" for number in range(6)]
    world.hold("go")
    door, env = world.door("up"), world.stub_env()
    tasks = [{"id": name, "prompt": plan(here="up", lock="go")} for name in names]
    session = world.launch(env, tasks, max_parallel=2)
    for _ in range(2):
        world.await_at(door)
    kill_runner(session)
    command = world.command({**env, "CPR_RESULTS_DIR": str(session.path.parent)})
    rivals = [
        command.start("resume", session.id, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    said = [rival.communicate(timeout=LIMIT_S)[0].decode() for rival in rivals]
    world.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = count(session, dict.fromkeys(names, "done"), stub_calls(world))
    tally.injected, tally.how = 1, "the lock: one continues, the others are refused"
    codes = sorted(rival.returncode for rival in rivals)
    tally.expect(codes == [0, 2, 2, 2], f"exit codes {codes}: {said}")
    refused = [text for text in said if "quicker" in text or "already" in text]
    tally.expect(len(refused) == 3, f"said: {said}")
    tally.expect(len(journal(session, "runner_started")) == 2, "several runners started")
    return tally


def cancelled_session(world: World) -> Tally:
    """What has ended stays, the rest ends, though no runner is there."""
    good, held = ["g0", "g1"], ["h0", "h1"]
    tasks = [real.task(name) for name in good]
    tasks += [real.task(name, wait="never") for name in [*held, "p0"]]
    session = real.launch(world, *tasks, max_parallel=2)
    real.at_the_end(world, 4)
    kill_runner(session)
    with world.inside(world.real_env()):
        session.cancel()
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, good, "cancelled at once, by a runner for that alone")
    ends = [session.task(name).outcome for name in [*held, "p0"]]
    tally.tasks += 3
    tally.lost += ends.count(None)
    tally.expect(ends == ["cancelled"] * 3, f"the others ended as {ends}")
    tally.expect(session.state == states.CANCELLED, f"the session is {session.state}")
    tally.expect(real.effects(world)["p0"] == 0, "a task began after the cancel")
    return tally


def cancelled_task(world: World) -> Tally:
    """One of two living agents ends; the other continues, and is adopted later."""
    session = real.launch(
        world, *[real.task(name, wait="go") for name in ("c0", "c1", "c2")], max_parallel=2
    )
    real.at_the_end(world, 2)
    kill_runner(session)
    agents = {line["task_id"]: line["pid"] for line in journal(session, "started")}
    with world.inside(world.real_env()):
        session.task("c0").cancel()
    await_gone(session)
    alive = processes.survivors(world.token)
    lives = agents["c1"] in alive and agents["c0"] not in alive
    between = [(task.outcome, task.state) for task in session.refresh()]
    world.resume(world.real_env(), session)
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, ["c1", "c2"], "the cancel is done at once, the rest resumed")
    tally.tasks += 1
    tally.lost += session.task("c0").outcome is None
    tally.expect(session.task("c0").outcome == "cancelled", f"c0 is {session.task('c0').outcome}")
    tally.expect(lives, "the wrong agent ended")
    tally.expect(between[0][0] == "cancelled" and between[1][0] is None, f"between: {between}")
    tally.expect(session.task("c1").attempts == 1, "c1 was not adopted")
    return tally


def not_ours_alone(world: World) -> Tally:
    """Others may write the folder, or it is a link: what is in it is not executed."""
    names = ["n0", "n1"]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    kill_runner(session)
    env, refused = world.real_env(), 0
    root, file = session.path, session.path / "session.json"
    for path in (root, file):
        mode = path.stat().st_mode
        path.chmod(mode | 0o020)
        refused += _is_refused(world, env, session)
        path.chmod(mode)
    for path in (root, file):
        away = world.folder / f"away-{path.name}"
        path.rename(away)
        path.symlink_to(away)
        refused += _is_refused(world, env, session)
        path.unlink()
        away.rename(path)
    world.resume(env, session)
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "refused; continues once it is repaired")
    tally.injected = 4
    tally.expect(refused == 4, f"only {refused} of 4 were refused")
    return tally


def _is_refused(world: World, env: dict[str, str], session: cpr.Session) -> bool:
    with world.inside(env):
        try:
            session.resume()
        except cpr.SessionNotUsable:
            return True
    return False


# -- files of the session -------------------------------------------------------------------


def _held_stubs(
    world: World, prefix: str, spec: dict[str, Any] | None = None
) -> tuple[cpr.Session, list[str]]:
    """Two tasks that have ended, two whose agents live, two that have not begun."""
    names = [f"{prefix}{number}" for number in range(6)]
    world.hold(prefix)
    door = world.door(prefix)
    tasks = [
        {"id": name, "prompt": plan(**({"here": where, "lock": prefix} if where else {}))}
        for name, where in zip(names, ["", "", *[prefix] * 2, *["late"] * 2], strict=True)
    ]
    if not spec:
        world.door("late")
    session = world.launch(world.stub_env(), tasks, spec, max_parallel=2)
    for _ in range(2):
        world.await_at(door)
    session.wait_until(
        lambda: session.snapshot.count("n_running") == 2 == session.snapshot.count("n_succeeded"),
        LIMIT_S,
        "two tasks",
    )
    return session, names


def _resumed(world: World, session: cpr.Session, names: list[str]) -> Tally:
    session = cpr.Session(session.path)
    world.resume(world.stub_env(), session)
    world.release(names[0][0])
    session.wait(LIMIT_S)
    await_gone(session)
    ran = Counter({name: n for name, n in stub_calls(world).items() if name in names})
    tally = count(session, dict.fromkeys(names, "done"), ran)
    tally.injected = 1
    tally.expect(not world.left(), f"left behind: {world.left()}")
    return tally


def torn_journal(world: World) -> Tally:
    """The last line ends anywhere: as after a power failure."""
    total = Tally("the torn line is ended; streams and adoption tell the rest")
    for number, cut in enumerate((1, 2, 20, 60)):
        session, names = _held_stubs(world, "abcd"[number])
        kill_runner(session)
        path = session.path / "journal.jsonl"
        os.truncate(path, path.stat().st_size - cut)
        total.add(_resumed(world, session, names))
    return total


def lost_journal(world: World) -> Tally:
    """Somebody removes it while the runner works, which then is killed: at once, or later."""
    total = Tally("a new journal; status.json, processes and streams tell the rest")
    for number, late in enumerate((True, False)):
        session, names = _held_stubs(world, "ef"[number])
        (session.path / "journal.jsonl").unlink()
        if late:
            with world.inside(world.stub_env()):
                session.max_parallel = 3
            session.wait_until(
                lambda session=session: session.snapshot.count("n_running") == 3,
                LIMIT_S,
                "the third task",
            )
        kill_runner(session)
        total.add(_resumed(world, session, names))
    return total


def unwritten(world: World) -> Tally:
    """It is removed, and the runner killed before it has written again of what it began."""
    spec = {"op": "write:journal:started", "n": 5, "when": "after", "share": 0.0, "armed": False}
    session, names = _held_stubs(world, "g", spec)
    door = world.door("late")
    (session.path / "journal.jsonl").unlink()
    with world.inside(world.stub_env()):
        session.max_parallel = 3
    await_gone(session)
    world.await_at(door)
    tally = _resumed(world, session, names)
    tally.how = "processes and streams tell what nobody has written down"
    return tally


def lost_status(world: World) -> Tally:
    """status.json is deleted, or cut off; while the runner works, and when it is gone."""
    total = Tally("the runner writes it again; the journal has it all")
    for number, (cut, killed_first) in enumerate(
        ((False, False), (True, False), (False, True), (True, True))
    ):
        session, names = _held_stubs(world, "hijk"[number])
        status = session.path / "status.json"
        if killed_first:
            kill_runner(session)
        if cut:
            os.truncate(status, status.stat().st_size // 2)
        else:
            status.unlink()
        if not killed_first:
            kill_runner(session)
        total.add(_resumed(world, session, names))
    return total


def lost_lock(world: World) -> Tally:
    """The file that tells that a runner lives is removed: no second one may start."""
    session, names = _held_stubs(world, "l")
    env, lock = world.stub_env(), session.path / "runner.lock"
    lock.unlink()
    at_once = _is_refused(world, env, session)
    session.wait_until(lock.exists, LIMIT_S, "a new lock")
    later = _is_refused(world, env, session)
    world.release("l")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = count(session, dict.fromkeys(names, "done"), stub_calls(world))
    tally.injected, tally.how = 1, "the runner makes a new one; a second resume is refused"
    tally.expect(at_once and later, f"refused: at once {at_once}, later {later}")
    tally.expect(len(journal(session, "runner_started")) == 1, "a second runner started")
    return tally
