"""Faults of what saves the work of tasks with worktrees; all agents are the real CLI."""

from __future__ import annotations

import os
import shutil
import signal

from testkit.command import LIMIT_S, prompts
from testkit.installation import Installation
from testkit.repository import Checkout

import cpr_nb as cpr
from faults import real
from faults.table import Tally
from faults.world import World, await_gone

_LAUNCH = ("run", "--worktree", "--permissions", "all", "--max-parallel", "1")


def upgrade(world: World) -> Tally:
    """pip replaces the package while a session runs, then the environment is deleted."""
    installed = Installation(world.folder / "installed", world.real_env())
    newer = installed.wheel("0.2.0")
    repository = new_repository(world)
    names = ["u0", "u1"]
    tasks = [worktree_task(name, wait=f"go-{name}") for name in names]
    command = world.command(world.real_env())
    command.path = installed.command
    session = command.launch(prompts(*tasks), *_LAUNCH[1:], cwd=repository.path)
    real.at_the_end(world, 1)
    pip = installed.pip(newer, stop_at="cpr_nb/runner/loop.py")
    world.api.release("go-u0")  # harvested, and the next one prepared, while half is there
    real.at_the_end(world, 2)
    os.kill(pip, signal.SIGCONT)
    os.waitpid(pip, 0)
    version = installed.version
    shutil.rmtree(installed.venv)
    world.api.release("go-u1")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = branches_tally(world, session, repository, names, "helpers run a copy of the package")
    tally.injected = 2
    tally.expect(version == "0.2.0", f"pip has installed {version}")
    return tally


def git_away(world: World) -> Tally:
    """The git directory is away when tasks end; another one's HEAD holds garbage."""
    repository = new_repository(world)
    names = ["g0", "g1", "g2"]
    git, away = repository.path / ".git", repository.path / ".git-away"
    tasks = [worktree_task(name, wait="go") for name in names]
    command = world.command(world.real_env())
    session = command.launch(prompts(*tasks), *_LAUNCH[1:-1], "3", cwd=repository.path)
    real.at_the_end(world, 3)
    (git / "worktrees" / "main-task-g2" / "HEAD").write_bytes(b"\0garbage")
    git.rename(away)
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    away.rename(git)
    errors = [str(task.fields.get("harvest_error")) for task in session]
    shown = command.good("status", session.id, cwd=repository.path)
    command.good("resume", session.id, cwd=repository.path)
    await_gone(session)
    how = "told everywhere; resume, merge and clean save it"
    tally = branches_tally(world, session.refresh(), repository, names, how)
    tally.injected = 3
    tally.expect(all("is gone" in error for error in errors), f"harvest errors: {errors}")
    tally.expect(shown.count("work not yet saved (it is in") == 3, f"status says {shown!r}")
    return tally


# -- tasks with worktrees -------------------------------------------------------------------


def new_repository(world: World) -> Checkout:
    """A repository in which tasks can have worktrees."""
    repository = Checkout.new(world.folder / "repository")
    repository.commit("one", {"a.txt": "a\n", ".gitignore": "results/\n"})
    return repository


def worktree_task(name: str, wait: str = "") -> dict[str, object]:
    """A task that adds a line to a file of its worktree, once."""
    return real.task(name, real.bash(f"echo x >> ran-{name}"), wait=wait)


def branches_tally(
    world: World, session: cpr.Session, repository: Checkout, names: list[str], how: str
) -> Tally:
    """What became of such tasks: their work counts where it is saved, on their branches."""
    tally = Tally(how, injected=1, tasks=len(names))
    for task in session:
        lines = repository.git("show", f"main-task-{task.id}:ran-{task.id}", ok=False).split()
        is_saved = lines and task.outcome == "succeeded" and not task.fields.get("harvest_error")
        tally.lost += not is_saved
        tally.twice += len(lines) > 1
        end = task.outcome, task.reason, task.error, task.fields.get("harvest_error")
        tally.expect(is_saved, f"{task.id} ended as {end}, on its branch is {lines}")
    tally.expect(repository.git("worktree", "list").count("\n") == 0, "a worktree is left")
    tally.expect(not world.left(), f"left behind: {world.left()}")
    return tally
