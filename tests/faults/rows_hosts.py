"""A session's folder is renamed, its files are removed, or another machine sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from testkit import machines, processes
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.machines import Machine
from testkit.repository import Checkout

import cpr_nb as cpr
from cpr_nb.store.claims import SILENCE_S
from faults import real
from faults.table import CannotInjectError, Tally
from faults.world import World, await_gone, journal, kill_runner

_AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def renamed(world: World) -> Tally:
    """The results directory is renamed, then the session's folder is moved, then resumed there."""
    names = [f"m{number}" for number in range(4)]
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
    tally.expect([task.attempts for task in moved] == [1] * 4, "a task began again")
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
    # No runner lived that had the record of this one open: its work stays, and is named.
    problem = session.task("r1").fields.get("harvest_error", "")
    tally.expect("was removed: save what you need of" in problem, f"r1: {problem!r}")
    return tally


def _remove_task_files(session: cpr.Session) -> None:
    for path in session.path.glob("task-*"):
        path.unlink()


# -- several machines -----------------------------------------------------------------------


def machine_lost(world: World) -> Tally:
    """The machine of a session dies; two others see its folder, where no lock can be seen."""
    names = ["h0", "h1"]
    with _Site(world) as site:
        session = site.launch(names)
        real.at_the_end(world, 2)
        command, states = site.command(site.others[0]), [session.state]
        refused = [command("resume", session.id)]
        site.first.die()
        refused.append(command("resume", session.id))
        states.append(session.state)
        _make_old(session)
        rivals = site.resume_everywhere(session)
        world.api.release("go")
        session.wait(LIMIT_S)
        site.await_runners()
        tally = real.tally(world, session, names, "unreachable; resumed elsewhere after a silence")
    tally.expect(states == ["unreachable"] * 2, f"it was {states}")
    good = all("it is unreachable" in one.stderr and one.returncode == 2 for one in refused)
    tally.expect(good, f"refused: {refused}")
    tally.expect(sorted(rivals) == [0, 2], f"of two rivals {rivals}")
    tally.expect(len(journal(session, "runner_started")) == 2, "several runners started")
    return tally


def nodes_outlive_it(world: World) -> Tally:
    """The same with the tasks on nodes: they go on there, and whoever resumes adopts them."""
    names = ["n0", "n1"]
    with _Site(world) as site:
        session = site.launch(names, "-j2", "--executor", "agents", "--lease-s", "120")
        agents = [site.join(session, name) for name in ("node-a", "node-b")]
        real.at_the_end(world, 2)
        site.first.die()
        states = [session.state]
        refused = site.command(site.others[0])("resume", session.id)
        _make_old(session)
        rivals = site.resume_everywhere(session)
        session.wait_until(lambda: len(journal(session, "adopted")) == 2, LIMIT_S, "both adopted")
        world.api.release("go")
        session.wait(LIMIT_S)
        for agent in agents:
            agent.wait(LIMIT_S)
        site.await_runners()
        tally = real.tally(world, session, names, "unreachable; resumed elsewhere, tasks adopted")
    tally.expect(states == ["unreachable"], f"it was {states}")
    tally.expect("it is unreachable" in refused.stderr, f"refused: {refused}")
    tally.expect(sorted(rivals) == [0, 2], f"of two rivals {rivals}")
    tally.expect([task.attempts for task in session] == [1, 1], "a task began again")
    tally.expect(
        sorted(task.fields.get("node", "") for task in session) == ["node-a", "node-b"],
        "each node had one task",
    )
    return tally


def woken_with_nodes(world: World) -> Tally:
    """Its runner stands still, its hub does not; the nodes leave that hub for the new one."""
    names = ["s0", "s1"]
    with _Site(world) as site:
        session = site.launch(names, "-j2", "--executor", "agents", "--lease-s", "120")
        agents = [site.join(session, name) for name in ("node-a", "node-b")]
        real.at_the_end(world, 2)
        (runner,) = _of_program(world, "runner/__main__.py")
        os.kill(runner, signal.SIGSTOP)
        other = site.command(site.others[0])
        for _ in range(20):  # until its hub has written what the agents said last
            _make_old(session)
            if other("resume", session.id).returncode == 0:
                break
        session.wait_until(lambda: len(journal(session, "adopted")) == 2, LIMIT_S, "both adopted")
        world.api.release("go")
        session.wait(LIMIT_S)
        for agent in agents:
            agent.wait(LIMIT_S)
        os.kill(runner, signal.SIGCONT)
        site.await_runners()
        tally = real.tally(world, session, names, "its hub sees the claim; all are adopted")
    tally.expect([task.attempts for task in session] == [1, 1], "a task began again")
    return tally


def forced(world: World) -> Tally:
    """A session is taken over by force while its runner lives, which then leaves."""
    names = ["f0", "f1"]
    with _Site(world) as site:
        session = site.launch(names)
        real.at_the_end(world, 2)
        before = processes.survivors(world.token)
        said = site.command(site.others[0])("resume", session.id, "--force")
        for pid in before:
            with contextlib.suppress(ProcessLookupError):
                real.await_end(os.pidfd_open(pid))
        world.api.release("go")
        session.wait(LIMIT_S)
        site.await_runners()
        tally = real.tally(world, session, names, "its runner sees the claim and ends its agents")
    tally.expect(said.returncode == 0, f"exit code {said.returncode}")
    tally.expect("its tasks run twice until" in said.stderr, f"said: {said.stderr!r}")
    return tally


def woken(world: World) -> Tally:
    """A runner stands still, is taken for dead, and goes on when its session has ended."""
    names = ["w0", "w1"]
    with _Site(world) as site:
        session = site.launch(names, "-j1")
        real.at_the_end(world, 1)
        (runner,) = _of_program(world, "runner/__main__.py")
        os.kill(runner, signal.SIGSTOP)
        world.api.release("go")  # its agent ends, and the runner does not know of it
        _await_others(world, runner)
        _make_old(session)
        site.command(site.others[0]).good("resume", session.id)
        session.wait(LIMIT_S)
        _await_others(world, runner)
        before = _written(session)
        os.kill(runner, signal.SIGCONT)
        site.await_runners()
        tally = real.tally(world, session, names, "it sees the claim first, and writes nothing")
    tally.expect(_written(session) == before, "it has written something")
    log = (session.path / "runner.log").read_text()
    tally.expect("another runner has taken the session over" in log, f"the log says {log!r}")
    return tally


class _Site:
    """Three machines that share a results directory."""

    def __init__(self, world: World) -> None:
        if words := machines.why_not():
            raise CannotInjectError(words)
        self._world, self._env = world, world.real_env()
        served, self._mounted = world.folder / "served", world.folder / "mounted"
        self.first, *self.others = (
            Machine(f"node{number}", world.folder, served, self._mounted) for number in range(3)
        )
        self._served = served
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for machine in (self.first, *self.others):
            self._stack.enter_context(machine)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def command(self, machine: Machine) -> Cpr:
        """The command on a machine."""
        env = {**self._env, "CPR_RESULTS_DIR": str(self._mounted / "results")}
        return machine.command(self._world.work, env)

    def resume_everywhere(self, session: cpr.Session) -> dict[int, str]:
        """Resumes a session on all other machines at once; exit code → what that said."""
        rivals = [
            self.command(machine).start(
                "resume", session.id, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for machine in self.others
        ]
        said = [rival.communicate(timeout=LIMIT_S)[0].decode() for rival in rivals]
        return {rival.returncode: words for rival, words in zip(rivals, said, strict=True)}

    def join(self, session: cpr.Session, name: str) -> subprocess.Popen[bytes]:
        """Starts a node agent with one slot, which outlives all of these machines."""
        spool = self._world.folder / f"spool-{name}"
        spool.mkdir()
        command = Cpr(self._world.work, {**self._env, "TMPDIR": str(spool)})
        path = session.path / "join.json"
        return command.start("agent", str(path), "--slots", "1", "--name", name)

    def launch(self, names: list[str], *flags: str) -> cpr.Session:
        """Starts tasks on the first machine, whose API waits; the session as its server sees it."""
        text = prompts(*[real.task(name, wait="go") for name in names])
        words = flags or ("-j2",)
        run = self.command(self.first).good(
            "run", "--json", *words, "--permissions", "all", stdin=text
        )
        return cpr.Session(self._served / "results" / Path(json.loads(run)["path"]).name)

    def await_runners(self) -> None:
        """Waits until no process of the sessions is left."""
        real.await_agents(self._world)


def _of_program(world: World, words: str) -> list[int]:
    """The processes of this world whose command lines have these words."""
    return [pid for pid, line in processes.survivors(world.token).items() if words in line]


def _await_others(world: World, runner: int) -> None:
    """Waits until every process of this world but one has ended."""
    while others := set(processes.survivors(world.token)) - {runner}:
        for pid in others:
            with contextlib.suppress(ProcessLookupError):
                real.await_end(os.pidfd_open(pid))


def _written(session: cpr.Session) -> dict[str, tuple[bytes, int]]:
    """What the files of a session hold that a runner writes, and when they were written."""
    names = ("journal.jsonl", "status.json", "runner.json")
    files = [session.path / name for name in names]
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def _make_old(session: cpr.Session) -> None:
    """Lets its files look as if nothing had been written for longer than is asked for."""
    for path in session.path.iterdir():
        os.utime(path, (path.stat().st_mtime - 2 * SILENCE_S,) * 2)
