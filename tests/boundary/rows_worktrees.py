"""What a session's folder says of worktrees, repositories and processes, and nobody else does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faults.world import await_gone, kill_runner
from testkit import processes
from testkit.command import LIMIT_S
from testkit.repository import Checkout
from testkit.stub import plan

import cpr_nb as cpr
from boundary.interfaces import Use, command, python
from boundary.place import Place
from boundary.table import Row
from cpr_nb.worktrees import records
from cpr_nb.worktrees.records import BranchRecord, Owner, WorktreeRecord

RECORDS = "a forged worktree record"
JOURNAL = "a forged journal"
_TASK = "x"
_BRANCH = f"main-task-{_TASK}"


def repository(place: Place) -> Checkout:
    """The user's folder is a repository."""
    work = Checkout(place.work)
    work.git("init", "-q", "-b", "main")
    work.commit("begin", {"a.txt": "a\n"})
    return work


def own(place: Place) -> cpr.Session:
    """One of the user's sessions, which has ended; its worktree was kept."""
    repository(place)
    prompts = [{"id": _TASK, "prompt": plan(write={"b.txt": "b\n"})}]
    session = place.launch(place.stub_env(), prompts, worktree=True, keep_worktrees=True)
    session.wait(LIMIT_S)
    await_gone(session)  # what a runner still holds is not cleaned
    return session


class Forger:
    """Writes records of a session that fit everywhere but in its own repository.

    Args:
        place: Where.
        session: One of the user's.
    """

    def __init__(self, place: Place, session: cpr.Session) -> None:
        self._place = place
        self._record = WorktreeRecord.read(str(session.path), _TASK)
        self._original = dict(self._record.fields)
        self.work = Checkout(place.work)
        self.owner = Owner(session.id, _TASK, str(session.path))
        self.trap = self._trap()
        self.admin = self.trap.path / ".git" / "worktrees" / "victim"
        self.plain = place.victim("plain")
        place.victim(".thing.removing")

    def _trap(self) -> Checkout:
        """A repository whose filter is a marker program, with a worktree of "this task"."""
        trap = Checkout.new(self._place.folder / "trap")
        trap.commit("begin", {"a.txt": "a\n"})
        victim, git_dir = self._place.folder / "victim", str(trap.path / ".git")
        trap.git("worktree", "add", "-q", "-b", _BRANCH, str(victim))
        records.write_branch(git_dir, BranchRecord(_BRANCH, trap.head, (self.owner,)))
        records.write_mark(f"{git_dir}/worktrees/victim", self.owner, 20_000)
        trap.git("config", "filter.trap.clean", f"{self._place.program('filter')} --pass")
        (trap.path / ".git" / "info" / "attributes").write_text("* filter=trap\n")
        (victim / "a.txt").touch()  # git must read it to know that it is unchanged
        self._place.keep(victim)
        self._place.watch_git(trap.path)
        return trap

    def forge(self, **fields: object) -> None:
        """Another record."""
        self._record.fields = dict(self._original)
        self._record.write(**fields)

    def everything_elsewhere(self) -> None:
        """A repository that only the record names."""
        victim = self._place.folder / "victim"
        git_dir = self.trap.path / ".git"
        report = {**self._original["harvest"], "worktree": str(victim)}
        self.forge(
            common_dir=str(git_dir),
            worktree=str(victim),
            admin_dir=str(self.admin),
            harvest=report,
        )

    def admin_elsewhere(self) -> None:
        """A worktree's git directory outside of the repository."""
        self.forge(worktree=str(self._place.folder / "victim"), admin_dir=str(self.admin))

    def another_folder(self) -> None:
        """A folder of the user's that is no worktree."""
        self.forge(worktree=str(self.plain))

    def a_folder_that_git_forgot(self) -> None:
        """As if git had lost what it knew of a folder of the user's."""
        self.forge(worktree=str(self.plain), admin_dir="")

    def moved_aside(self) -> None:
        """A folder of the user's with the name of one that is being removed."""
        self.forge(worktree=str(self._place.folder / "thing"), stage="removing")

    def worktree_of_the_user(self) -> None:
        """A linked worktree that the user has made."""
        path = self._place.folder / "linked"
        if not path.exists():
            self.work.git("worktree", "add", "-q", "-b", "own", str(path))
            self._place.keep(path)
        admin = self._place.work / ".git" / "worktrees" / "linked"
        self.forge(worktree=str(path), admin_dir=str(admin))

    def every_kind(self) -> list[Callable[[], None]]:
        """Each writes another record."""
        return [
            self.everything_elsewhere,
            self.admin_elsewhere,
            self.another_folder,
            self.a_folder_that_git_forgot,
            self.moved_aside,
            self.worktree_of_the_user,
        ]


def forged(name: str, use: Use, *, all_kinds: bool = False) -> Row:
    """One interface on a session of the user's whose record was forged."""

    def carry_out(place: Place) -> None:
        session = own(place)
        forger = Forger(place, session)
        for forge in forger.every_kind() if all_kinds else [forger.everything_elsewhere]:
            forge()
            use(place)

    return Row(RECORDS, name, carry_out)


def _newest() -> cpr.Session:
    return cpr.attach(cpr.sessions_df().session_id[0])


def of_newest(function: Callable[[cpr.Session], Any]) -> Use:
    """The user's session in Python."""
    return python(lambda _: function(_newest()))


def rescued_branch(place: Place) -> None:
    """The record calls a branch of the user's one with rescued work."""
    session = own(place)
    work, record = Checkout(place.work), WorktreeRecord.read(str(session.path), _TASK)
    work.git("branch", "precious")
    record.write(harvest={**record["harvest"], "rescued_branch": "precious"})
    of_newest(lambda s: s.clean([_TASK]))(place)
    if "precious" not in work.branches():
        place.escaped("the branch precious is gone")
    place.expect(_BRANCH not in work.branches(), "its own branch stayed")


def reuse(place: Place) -> None:
    """A launch attaches to one's own session, whose status names a trap as its folder."""
    prompts = [{"id": _TASK, "prompt": plan()}]
    session = place.launch(place.stub_env(), prompts).wait(LIMIT_S)
    trap = Checkout.new(place.folder / "trap")
    trap.commit("begin", {"a.txt": "a\n"})
    place.watch_git(trap.path)
    for name, old, new in (
        ("status.json", f'"cwd":"{place.work}"', f'"cwd":"{trap.path}"'),
        ("runner.json", "{", '{"git_tree":"0",'),
    ):
        file = session.path / name
        place.expect(old in file.read_text(), f"{name} has no {old}")
        file.write_text(file.read_text().replace(old, new, 1))
    with place.inside(place.stub_env()):
        again = cpr.launch(prompts, reuse=True)
    place.expect(again.id == session.id, "not attached")


# -- the journal ----------------------------------------------------------------------------


def interrupted(place: Place, *, keep_agent: bool = False, **options: Any) -> cpr.Session:
    """One of the user's sessions whose runner was killed, with its agent or without."""
    repository(place)
    place.stub.fifos("a")
    prompt = plan(here="a", gate="a")
    prompts = [{"id": _TASK, "prompt": prompt}]
    session = place.launch(place.stub_env(), prompts, **options)
    place.stub.await_here("a")
    kill_runner(session)
    if not keep_agent:
        for pid in processes.survivors(place.token):
            processes.end(pid)
    return session


def forge_journal(session: cpr.Session, **fields: Any) -> None:
    """Adds a line, as whoever can write into the session's folder can."""
    with (session.path / "journal.jsonl").open("a") as file:
        file.write(json.dumps({"at": "2026-01-01T00:00:00.000Z", "task_id": _TASK, **fields}))
        file.write("\n")


def forge_checkout(place: Place, session: cpr.Session) -> Path:
    """A checkout in which nobody has prepared anything."""
    elsewhere = place.victim("elsewhere")
    names = {"cwd": str(elsewhere), "worktree": str(elsewhere), "branch": "precious"}
    checkout = {"ok": True, **names, "port": 1, "common_dir": "", "env": {}}
    forge_journal(session, event="prepared", checkout=checkout)
    return elsewhere


def agent_of(name: str, **options: Any) -> Row:
    """Where the agent goes on after a restart."""

    def carry_out(place: Place) -> None:
        session = interrupted(place, **options)
        first = place.stub.calls()[_TASK]["cwd"]
        forge_checkout(place, session)
        with place.inside(place.stub_env()):
            session.resume()
        place.stub.await_here("a")
        call = place.stub.calls()[_TASK]
        place.stub.release("a")
        session.wait(LIMIT_S)
        await_gone(session)
        if call["cwd"] != first or call["env"].get("CPR_BRANCH") == "precious":
            place.escaped(f"the agent went on in {call['cwd']}")
        place.expect(session[0].ok, f"it ended as {session[0].error!r}")

    return Row(JOURNAL, name, carry_out)


def check(place: Place) -> None:
    """Where the check of an agent runs that has outlived its runner."""
    where = place.folder / "where"
    options = {"worktree": True, "check": f"pwd > '{where}'"}
    session = interrupted(place, keep_agent=True, **options)
    first = place.stub.calls()[_TASK]["cwd"]
    forge_checkout(place, session)
    with place.inside(place.stub_env()):
        session.resume()
    place.stub.release("a")
    session.wait(LIMIT_S)
    await_gone(session)
    if where.exists() and where.read_text().strip() != first:
        place.escaped(f"the check ran in {where.read_text()!r}")
    place.expect(where.exists() and session[0].ok, f"it ended as {session[0].error!r}")


def process(place: Place) -> None:
    """A process that is nobody's agent is neither adopted nor ended."""
    session = interrupted(place)
    bystander = subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={})
    forge_journal(session, event="started", attempt=1, pid=bystander.pid)
    with place.inside(place.stub_env()):
        session.cancel()
    await_gone(session)
    if bystander.poll() is not None:
        place.escaped("it was ended")
    bystander.communicate()
    place.expect(session.refresh().state == "cancelled", f"it is {session.state}")


ROWS = [
    forged("Session.clean", of_newest(lambda s: s.clean()), all_kinds=True),
    forged("Session.clean of tasks", of_newest(lambda s: s.clean([_TASK])), all_kinds=True),
    forged("Session.worktrees_df", of_newest(lambda s: s.worktrees_df()), all_kinds=True),
    forged("Session.merge", of_newest(lambda s: s.merge()), all_kinds=True),
    forged("Session.conflicts_df", of_newest(lambda s: s.conflicts_df())),
    forged("cpr status", command("status")),
    forged("cpr clean", command("clean")),
    forged("cpr clean --dry-run", command("clean", "--dry-run")),
    Row(RECORDS, "a branch of the user's as a rescued one", rescued_branch),
    Row("a folder that only status.json names", "cpr.launch, reuse", reuse),
    agent_of("resume, a task without a worktree"),
    agent_of("resume, a task with a worktree", worktree=True),
    Row(JOURNAL, "resume, the check of an agent that lives", check),
    Row(JOURNAL, "cancel, a process of somebody else's", process),
]
