"""A launch that is killed leaves a folder that is no session: it goes, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from testkit.command import LIMIT_S, Cpr, prompts

from cpr_nb.store.files import hold_lock

#: Runs the command, and kills it at a call of a function of ``os``, before or after the call.
KILLED = """
import os, signal, sys
name, end, when, *sys.argv[1:] = sys.argv[1:]
real = getattr(os, name)

def call(path, *args, **more):
    counts = ".new-session-" in os.fsdecode(path) and os.fsdecode(path).endswith(end)
    if counts and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(path, *args, **more)
    if counts:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(os, name, call)
from cpr_nb.cli.main import console
console()
"""
POINTS = [
    ("mkdir", "", "after"),  # no lock yet
    ("open", "/runner.lock", "after"),  # the lock's file, not locked yet
    ("open", "/session.json.tmp", "after"),
    ("replace", "/session.json.tmp", "after"),
    ("rename", "", "before"),  # complete
]


def kill_launch(cpr: Cpr, *point: str) -> Path:
    """Launches a session, kills the launch at a point, and returns what it has left."""
    before = set(new_folders(cpr))
    argv = [sys.executable, "-c", KILLED, *point, "run"]
    done = subprocess.run(
        argv, input=prompts("a").encode(), cwd=cpr.cwd, env=cpr.env, timeout=LIMIT_S, check=False
    )
    assert done.returncode == -signal.SIGKILL
    (left,) = set(new_folders(cpr)) - before
    return left


def new_folders(cpr: Cpr) -> list[Path]:
    return list((cpr.cwd / "results").glob(".new-session-*"))


def test_the_next_launch_removes_it_wherever_it_was_killed(stub_cpr: Cpr) -> None:
    for point in POINTS:  # each but the first is the next launch of the one before
        left = kill_launch(stub_cpr, *point)
        assert new_folders(stub_cpr) == [left], point
    assert stub_cpr.good("list").startswith("No sessions")
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    assert new_folders(stub_cpr) == [] and session[0].ok


def test_clean_removes_it_and_says_so(stub_cpr: Cpr) -> None:
    left = kill_launch(stub_cpr, *POINTS[-1])
    assert f"{left}: would be removed" in stub_cpr.good("clean", "--dry-run")
    assert left.exists()
    assert f"{left}: removed" in stub_cpr.good("clean")
    assert not left.exists()
    assert stub_cpr.good("clean") == "Nothing to clean.\n"


def is_launching(folder: Path) -> Iterator[None]:
    """Another launch, which holds its lock."""
    folder.mkdir()
    fd = hold_lock(str(folder / "runner.lock"))
    yield
    os.close(fd)


def something_else(folder: Path) -> Iterator[None]:
    """A folder in which somebody keeps other things."""
    folder.mkdir()
    (folder / "mine.txt").touch()
    yield


def a_link(folder: Path) -> Iterator[None]:
    """A link to a session."""
    session = folder.with_name("session-1")
    session.mkdir()
    (session / "session.json").write_text("{}")
    folder.symlink_to(session)
    yield
    assert (session / "session.json").exists()


def test_what_is_no_leftover_stays(stub_cpr: Cpr, work: Path) -> None:
    results = work / "results"
    results.mkdir()
    others = [make(results / f".new-session-{make.__name__}") for make in OTHERS]
    for other in others:
        next(other)
    kept = set(new_folders(stub_cpr))
    kill_launch(stub_cpr, *POINTS[-1])
    stub_cpr.good("clean")
    stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    assert set(new_folders(stub_cpr)) == kept and len(kept) == len(OTHERS)
    for other in others:
        next(other, None)


OTHERS = (is_launching, something_else, a_link)
