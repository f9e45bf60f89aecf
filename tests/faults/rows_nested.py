"""Agents leave work that the outer git does not see: in submodules, repositories, odd names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from testkit.command import LIMIT_S
from testkit.repository import SUBMODULE_SETUP, Checkout

import cpr_nb as cpr
from faults import real
from faults.table import Tally
from faults.world import World, await_gone

_AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")
_GIT = f"git {' '.join(_AUTHOR)}"
_WORK = "work"
#: Task → what its agent does; all of it is work, and each kind was deleted once.
_COMMANDS = {
    "sub": (
        f"cd lib && echo {_WORK} > lib.txt && {_GIT} stash -q && echo {_WORK} > lib.txt"
        f" && {_GIT} commit -qam tagged && git tag kept && git checkout -q HEAD~1"
        " && cd .. && rm -rf lib"
    ),
    "files": (
        f"mkdir notes && echo {_WORK} > lib/new.txt && echo {_WORK} > notes/.git"
        f" && git init -q out/own && cd out/own && echo {_WORK} > n.txt"
        f" && git add . && {_GIT} commit -qm own"
    ),
    "link": (
        f"git checkout -q --detach && echo {_WORK} > left.txt && git add . "
        f"&& {_GIT} commit -qm left && git checkout -q main-task-link"
        " && git init -q vendor && cd vendor"
        f" && {_GIT} commit -q --allow-empty -m vendor && cd .. && git add vendor"
        f" && {_GIT} commit -qm link"
    ),
}


def hidden_work(world: World) -> Tally:
    """Neither the harvest nor ``cpr clean`` deletes it, and a link is merged on request only."""
    outer = _repository(world)
    tasks = [
        real.task(
            name,
            real.bash(f"echo x >> {world.work}/ran-{name}; {command}"),
            **({"setup": SUBMODULE_SETUP} if name == "sub" else {}),
        )
        for name, command in _COMMANDS.items()
    ]
    session = real.launch(world, *tasks, max_parallel=3, worktree=True)
    session.wait(LIMIT_S)
    await_gone(session)
    run = world.command(world.real_env())
    cleaned = run("clean", session.id, cwd=world.folder)
    merged = run("merge", session.id, cwd=world.folder)
    tally = real.tally(world, session, list(_COMMANDS), "it stays, or is on a branch; merge asks")
    places = _places(session, outer)
    tally.injected = len(places)
    lost = [kind for kind, holds in places.items() if not holds()]
    tally.lost += len(lost)
    tally.expect(not lost, f"lost: {lost}")
    tally.expect("removed" not in cleaned.stdout, f"cpr clean says {cleaned.stdout!r}")
    is_asked = merged.returncode == 1 and "--with-nested" in merged.stdout
    tally.expect(is_asked, f"cpr merge says {merged.stdout!r}")
    tally.expect(not (world.work / "vendor").exists(), "an empty folder was merged")
    run.good("merge", session.id, "--with-nested", cwd=world.folder)
    tally.expect((world.work / "vendor").is_dir(), "--with-nested did not merge")
    return tally


def _repository(world: World) -> Checkout:
    """The repository in which they work, with a submodule."""
    library = Checkout.new(world.folder / "library")
    outer = Checkout(world.work)
    outer.git("init", "-q", "-b", "main")
    library.write({"lib.txt": "lib\n"})
    outer.write({".gitignore": "out/\nran-*\n"})
    local = ("-c", "protocol.file.allow=always")
    library.git("add", ".")
    library.git(*_AUTHOR, "commit", "-q", "-m", "first")
    library.git(*_AUTHOR, "commit", "-q", "--allow-empty", "-m", "second")
    outer.git(*local, "submodule", "add", "-q", str(library.path), "lib")
    outer.git("add", ".")
    outer.git(*_AUTHOR, "commit", "-q", "-m", "first")
    return outer


def _places(session: cpr.Session, outer: Checkout) -> dict[str, Callable[[], bool]]:
    """Where each kind of work must be."""

    def worktree(name: str) -> Path:
        record = json.loads((session.path / f"task-{name}.worktree.json").read_bytes())
        return Path(record["worktree"])

    def shows(path: Path, *words: str) -> bool:
        return Counter(Checkout(path).git(*words, ok=False).split())[_WORK] > 0

    def module() -> Path:
        return Path(Checkout(worktree("sub")).git("rev-parse", "--absolute-git-dir"), "modules/lib")

    bare = ("--git-dir=.", "--work-tree=.", "show")
    return {
        "stash of a submodule": lambda: shows(module(), *bare, "stash@{0}:lib.txt"),
        "tag of a submodule": lambda: shows(module(), *bare, "kept:lib.txt"),
        "file in an empty submodule": lambda: (worktree("files") / "lib/new.txt").is_file(),
        "file named .git": lambda: (worktree("files") / "notes/.git").is_file(),
        "commit of an ignored repository": lambda: shows(
            worktree("files") / "out/own", "show", "HEAD:n.txt"
        ),
        "detached commit": lambda: shows(outer.path, "show", "main-task-link-rescued:left.txt"),
        "repository without .gitmodules": lambda: (worktree("link") / "vendor/.git").is_dir(),
    }
