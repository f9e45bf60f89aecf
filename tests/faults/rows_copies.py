"""A session's folder is copied, or it is worked on in several PID namespaces (containers)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from testkit import containers, processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.containers import Container, as_first_process

import cpr_nb as cpr
from faults import real
from faults.table import CannotInjectError, Tally
from faults.world import World, await_gone, journal, kill_runner

_RUNNER = "runner/__main__.py"


def namespaces(world: World) -> Tally:
    """Runners in two containers and outside of them; agents that some of them can't see."""
    names = ["n0", "n1", "n2"]
    _require_containers()
    with Container("one", world.folder) as one, Container("two", world.folder) as two:
        session = _launch(one.command(world.work, _env(world)), names)
        real.at_the_end(world, 3)
        _kill_its_runner(world, session)
        second = two.command(world.work, _env(world))
        second.good("resume", session.id)
        said = second.good("status", session.id)
        world.api.release("go-n0")
        session.wait_until(lambda: bool(journal(session, "ended")), LIMIT_S, "the first task")
        _kill_its_runner(world, session)
        world.resume(world.real_env(), session)
        world.api.release("go-n1")
        session.wait_until(lambda: len(journal(session, "ended")) == 2, LIMIT_S, "the second task")
        kill_runner(session)
        second.good("resume", session.id)
        world.api.release("go-n2")
        session.wait(LIMIT_S)
        await_gone(session)
        tally = real.tally(world, session, names, "waited for by the lock of their output")
    tally.injected = 3
    tally.expect("work in another PID namespace" in said, f"cpr status says {said!r}")
    tally.expect([task.attempts for task in session] == [1] * 3, "a task began again")
    adopted = [bool(line["pid"]) for line in journal(session, "adopted")]
    tally.expect(adopted == [False] * 3 + [True] * 2 + [False], f"seen when adopted: {adopted}")
    return tally


def cancelled(world: World) -> Tally:
    """An agent that can't be seen is cancelled; then its runner is asked to leave."""
    _require_containers()
    with Container("one", world.folder) as one, Container("two", world.folder) as two:
        session = _launch(one.command(world.work, _env(world)), ["u0"])
        real.at_the_end(world, 1)
        _kill_its_runner(world, session)
        second = two.command(world.work, _env(world))
        second.good("cancel", session.id, "--no-wait")
        _kill_its_runner(world, session, signal.SIGTERM)
        state = session.state
        second.good("resume", session.id)
        world.api.release("go-u0")
        session.wait(LIMIT_S)
        await_gone(session)
        tally = real.tally(world, session, ["u0"], "its answer came before its end: it is kept")
    tally.expect(state == "interrupted", f"after SIGTERM it was {state}")
    tally.expect(len(journal(session, "request")) == 1, "nobody read the cancel")
    tally.expect(session[0].attempts == 1, "the task began again")
    return tally


def container(world: World) -> Tally:
    """A container whose first process is cpr is killed; it starts again under another name."""
    names = ["c0", "c1"]
    _require_containers()
    text, command = prompts(*[real.task(name, wait="go") for name in names]), _host(world)
    first = as_first_process(command, world.folder, "pod-1")
    file = world.folder / "prompts.json"
    file.write_text(text)
    running = first.start(
        *("run", "--wait", "--permissions", "all", str(file)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    real.at_the_end(world, 2)
    (root,) = (world.folder / "results").glob("session-*")
    session = cpr.Session(root)
    running.kill()
    running.wait(LIMIT_S)
    await_gone(session)
    host = session.path / "runner.json"
    hosts = [json.loads(host.read_text())["host"]]
    world.api.release("go")
    again = as_first_process(_host(world), world.folder, "pod-2")
    said = again.good("resume", "--wait", session.id)
    hosts.append(json.loads(host.read_text())["host"])
    session.wait(LIMIT_S)
    tally = real.tally(world, session, names, "its lock is free, so nothing of it runs: no --force")
    tally.expect(hosts == ["pod-1", "pod-2"], f"the runners' hosts are {hosts}: {said}")
    return tally


def copied(world: World) -> Tally:
    """``cp -a`` of the folder while its agents work; the copy is cancelled and resumed."""
    names = ["k0", "k1"]
    tasks = [real.task(name, wait=f"go-{name}") for name in names]
    session = real.launch(world, *tasks, max_parallel=2)
    real.at_the_end(world, 2)
    copy = world.folder / "copy" / session.path.name
    shutil.copytree(session.path, copy, symlinks=True)
    command = _host(world)
    refused = [_refusal(command, "cancel", copy), _refusal(command, "resume", copy)]
    kill_runner(session)
    refused += [_refusal(command, "cancel", copy), _refusal(command, "resume", copy)]
    world.api.release("go-k0")
    world.resume(world.real_env(), session)
    world.api.release("go-k1")
    session.wait(LIMIT_S)
    await_gone(session)
    last = _refusal(command, "resume", copy)
    tally = real.tally(world, session, names, "the copy is refused, and kills nothing")
    tally.injected = 5
    tally.expect([task.attempts for task in session] == [1] * 2, "a task began again")
    good = all(f"another folder: {session.path}" in text for text in refused)
    tally.expect(good, f"the copy was refused with {refused}")
    tally.expect(f"a copy of {session.path}" in last, f"after its end: {last}")
    return tally


def _require_containers() -> None:
    if words := containers.why_not():
        raise CannotInjectError(words)


def _env(world: World) -> dict[str, str]:
    return {**world.real_env(), "CPR_RESULTS_DIR": str(world.folder / "results")}


def _host(world: World) -> Cpr:
    return Cpr(world.work, _env(world))


def _launch(command: Cpr, names: list[str]) -> cpr.Session:
    text = prompts(*[real.task(name, wait=f"go-{name}") for name in names])
    return command.launch(text, "-j", str(len(names)), "--permissions", "all")


def _kill_its_runner(
    world: World, session: cpr.Session, number: signal.Signals = signal.SIGKILL
) -> None:
    """Kills a runner whose pid in runner.json is one of another namespace."""
    for pid, command in processes.survivors(world.token).items():
        if _RUNNER in command:
            os.kill(pid, number)
    await_gone(session)


def _refusal(command: Cpr, verb: str, folder: Path) -> str:
    done = command(verb, str(folder))
    return done.stderr if done.returncode == 2 else f"exit code {done.returncode}: {done.stdout}"
