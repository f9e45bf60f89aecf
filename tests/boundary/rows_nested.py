"""Repositories that an agent makes in its worktree, and what a session tells of the user's own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from testkit.command import LIMIT_S, script
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr
from boundary.interfaces import REFUSED, Use, command, python
from boundary.place import Place
from boundary.table import Row

_NESTED = "a repository inside a worktree"
_CHANGED = "the repository changed while a session ran"
_GITMODULES = (
    "printf '[submodule \"linked\"]\\n\\tpath = linked\\n\\tignore = none\\n' >.gitmodules"
)


def _checkout(place: Place) -> Checkout:
    """The user's own repository."""
    repo = Checkout(place.work)
    repo.git("init", "-q", "-b", "main")
    repo.commit("first", {"a.txt": "a\n", ".gitignore": "results/\n"})
    return repo


def _building(place: Place, name: str) -> list[str]:
    """The commands that make a repository which names a program for what git compares."""
    program = shlex.quote(f"{place.program('filter')} --pass")
    return [
        f"git init -q {name}",
        f"echo n >{name}/n.txt",
        f"git -C {name} add n.txt",
        f"git -C {name} -c user.name=a -c user.email=a@b commit -q -m n",
        f"echo '* filter=mark' >{name}/.gitattributes",
        f"git -C {name} config filter.mark.clean {program}",
        f"git -C {name} config core.fsmonitor {program}",
        f"touch -d 2001-01-01 {name}/n.txt",
    ]


def _session(place: Place) -> cpr.Session:
    """A task that left such repositories in its worktree; the user's check stands for its agent."""
    _checkout(place)
    lines = [*_building(place, "linked"), *_building(place, "untracked")]
    check = "\n".join(["set -e", "git init -q linked", _GITMODULES, *lines])
    check = check.replace("echo '* filter", "git add linked\necho '* filter", 1)
    options = {"worktree": True, "check": check}
    session = place.launch(place.stub_env(), [plan()], **options).wait(LIMIT_S)
    task = session[0]
    place.expect(task.ok, f"the task ended otherwise: {task.reason}: {task.error}")
    with place.inside(place.stub_env()):
        rows = session.worktrees_df()
    place.expect(rows["dirty"].tolist() == [True], "its worktree is gone, or counts as clean")
    place.keep(Path(str(rows["path"].iloc[0])))
    return session


def _interface(name: str, *uses: Use) -> Row:
    def carry_out(place: Place) -> None:
        _session(place)
        for use in uses:
            use(place)

    return Row(_NESTED, name, carry_out, slow=True)


def _only_session(place: Place) -> cpr.Session:
    return cpr.Session(next(place.results.glob("session-*")))


def _command(*args: str) -> Use:
    """The command, with the session's id."""

    def use(place: Place) -> str:
        text = command(*args, _only_session(place).id)(place)
        place.expect(not text.startswith(REFUSED), text)
        return text

    return use


def _of_session(name: str) -> Use:
    return python(lambda place: getattr(_only_session(place), name)())


def sandboxed_agent(place: Place) -> None:
    """A real agent in the real sandbox makes one in place of an empty submodule."""
    repo = _checkout(place)
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.head},inner")
    repo.git("commit", "-q", "-m", "with a submodule")
    content = "\n".join(["set -e", *_building(place, "inner"), "touch done", ""])
    write: dict[str, Any] = {"file_path": "{cwd}/build.sh", "content": content}
    run = {"command": "sh build.sh", "description": "build"}
    prompt = script(
        {"tool": "Write", "input": write}, {"tool": "Bash", "input": run}, {"text": "over"}
    )
    options = {"worktree": True, "permissions": "sandbox"}
    session = place.launch(place.real_env(), [prompt], **options).wait(LIMIT_S)
    place.expect(session[0].ok, f"the task ended otherwise: {session[0].error}")
    stays = "1 worktree stays, with what git can't save"
    is_told = len(session.warnings) == 1 and session.warnings[0].startswith(stays)
    place.expect(is_told, f"it warns of {session.warnings}")
    with place.inside(place.real_env()):
        rows = session.worktrees_df()
    place.expect((Path(str(rows["path"].iloc[0])) / "done").exists(), "it could not make one")
    place.expect(rows["dirty"].tolist() == [True], "its worktree counts as clean")


def sandboxed_alone(place: Place) -> None:
    """What the CLI's sandbox itself leaves in a repository is no news."""
    _checkout(place)
    call: dict[str, Any] = {"command": "git status; echo b >a.txt", "description": "work"}
    prompt = script({"tool": "Bash", "input": call}, {"text": "over"})
    session = place.launch(place.real_env(), [prompt], permissions="sandbox").wait(LIMIT_S)
    place.expect((place.work / "a.txt").read_text() == "b\n", "the command did not run")
    place.expect(session.warnings == [], f"it warns of {session.warnings}")


def told(place: Place) -> None:
    """The user's check stands for an agent that may do anything; every interface says so."""
    repo = _checkout(place)
    repo.git("branch", "other")
    check = "echo x >.git/hooks/pre-commit; git config alias.x y; git branch -q -D other"
    place.launch(place.stub_env(), [plan()], check=check).wait(LIMIT_S)
    words = "changed while the session ran: config changed; hooks/pre-commit is new; branch other"
    for use in (
        _command("status"),
        _command("watch"),
        python(lambda place: _only_session(place).warnings),
        python(lambda _: cpr.sessions_df(full=True)["warnings"].tolist()),
    ):
        if words not in use(place):
            place.escaped(f"not told: {use(place)}")


ROWS = [
    _interface("harvest, cpr status", _command("status")),
    _interface("cpr clean", _command("clean", "--dry-run"), _command("clean")),
    _interface("cpr merge", _command("merge", "--dry-run"), _command("merge")),
    _interface("tables", _of_session("conflicts_df"), _of_session("worktrees_df")),
    Row(_NESTED, "a sandboxed agent", sandboxed_agent, real=True, slow=True),
    Row(_CHANGED, "a sandboxed agent alone", sandboxed_alone, real=True, slow=True),
    Row(_CHANGED, "warnings", told),
]
