"""Faults of the disk. They need mounts of our own: a mount namespace, or they are not put in."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from testkit.command import LIMIT_S

import cpr_nb as cpr
from cpr_nb.model import states
from faults import real
from faults.table import CannotInjectError, Tally
from faults.world import World, await_gone, journal

_BYTES = 24 << 20
_MOUNT = "mount -t tmpfs -o size=24m cpr-fault"


def in_a_namespace(name: str) -> Callable[[World], Tally]:
    """The fault of this name, put in by a process that may mount."""

    def inject(world: World) -> Tally:
        if shutil.which("unshare") is None or shutil.which("mount") is None:
            raise CannotInjectError("there is no unshare, or no mount")
        command = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m"]
        probe = [*command, "sh", "-c", f'{_MOUNT} "$0"', str(world.folder)]
        tried = subprocess.run(probe, capture_output=True, text=True, check=False)
        if tried.returncode:
            raise CannotInjectError(f"it may not mount: {tried.stderr.strip()}")
        if not world.has_cli:
            raise CannotInjectError("there is no real CLI here")
        inside = [*command, sys.executable, str(Path(__file__).with_name("run.py"))]
        done = subprocess.run(
            [*inside, "--inside", name, str(world.folder), world.token],
            capture_output=True,
            text=True,
            timeout=3 * LIMIT_S,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{name}: {done.stderr}")
        return Tally(**json.loads(done.stdout))

    return inject


def run_inside(name: str, folder: str, token: str, claude: str | None) -> None:
    """What runs in the namespace: prints the tally as JSON."""
    with World(Path(folder), token, claude) as world:
        print(json.dumps(dataclasses.asdict(world.run(_INSIDE[name]))))


def _mount(*words: str) -> None:
    subprocess.run(words, check=True)


def full(world: World) -> Tally:
    """The disk gets full while agents work; later there is room again."""
    results = world.folder / "results"
    results.mkdir()
    _mount(*_MOUNT.split(), str(results))
    names = [f"f{number}" for number in range(4)]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    ballast = results / "ballast"
    disk = os.statvfs(results)
    with ballast.open("wb") as file:  # nearly all: what runs may still write its stream
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - (1 << 20))
    _await_disk(session)
    notice = str(session.head.get("notice"))
    world.api.release("go")
    session.wait_until(
        lambda: session.snapshot.count("n_succeeded") == 2, LIMIT_S, "what runs already"
    )
    begun = sum(1 for task in session if task.attempts)
    ballast.unlink()
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "waits, says why; continues when there is room")
    tally.expect("free on the disk" in notice, f"the notice is {notice!r}")
    tally.expect(begun == 2, f"{begun} tasks had begun")
    return tally


def brim_full(world: World) -> Tally:
    """Not one byte can be written while agents end; nothing that they said is lost."""
    results = world.folder / "results"
    results.mkdir()
    _mount(*_MOUNT.split(), str(results))
    names = [f"b{number}" for number in range(3)]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    # The streams have room: only what the runner writes has none.
    for name in names[:2]:
        with (session.path / f"task-{name}.jsonl").open("ab") as file:
            subprocess.run(
                ["fallocate", "-n", "-l", "1M", file.name], check=False, capture_output=True
            )
    ballast = results / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    world.api.release("go")
    real.await_answers(session, 2)
    written = [path.name for path in session.path.glob("task-*.txt") if path.stat().st_size]
    begun = (session.path / f"task-{names[2]}.jsonl").exists()
    ballast.unlink()
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "what could not be written waits, in its order")
    tally.expect(not written, f"the disk was not full: {written}")
    tally.expect(not begun, "a task began without its intent in the journal")
    return tally


def shared_brim(world: World) -> Tally:
    """Not one byte can be written while shared processes answer: what they say is lost."""
    results = world.folder / "results"
    results.mkdir()
    _mount(*_MOUNT.split(), str(results))
    names = [f"s{number}" for number in range(4)]
    long = {**real.bash("true"), "text": "x" * 20_000, "wait": "go"}  # no last page has room for it
    tasks = [real.task(name, real.effect(name), long) for name in names]
    session = real.launch(world, *tasks, max_parallel=2, share_process=True)
    real.at_the_end(world, 2)
    ballast = results / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    world.api.release("go")
    for line in journal(session, "process_started"):
        with contextlib.suppress(ProcessLookupError):
            real.await_end(os.pidfd_open(line["pid"]))
    ballast.unlink()
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "processes end; what they did not write is repeated")
    left = [path.name for path in session.path.glob("process-*")]
    tally.expect(not left, f"files of processes: {left}")
    return tally


def read_only(world: World) -> Tally:
    """The folder is mounted read-only for a while."""
    results = world.folder / "results"
    results.mkdir()
    names = [f"w{number}" for number in range(4)]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    # Open files keep a mount writable: a second one over it is what everybody sees from now on.
    _mount("mount", "--bind", str(results), str(results))
    _mount("mount", "-o", "remount,ro,bind", str(results))
    world.api.release("go")
    real.await_answers(session, 2)
    said = world.command(world.real_env()).good("status", session.id, cwd=world.folder)
    _mount("umount", str(results))
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, names, "says why; written under the mount meanwhile")
    tally.expect("read-only" in said, f"cpr status says {said!r}")
    return tally


def answer_is_a_folder(world: World) -> Tally:
    """Something stands in the place of an answer."""
    names = ["a0", "a1"]
    session = real.launch(world, *[real.task(name, wait="go") for name in names], max_parallel=2)
    real.at_the_end(world, 2)
    (session.path / "task-a0.txt").mkdir()
    world.api.release("go")
    session.wait(LIMIT_S)
    await_gone(session)
    tally = real.tally(world, session, ["a1"], "the stream has it too; the log says so")
    tally.tasks += 1
    tally.lost += session[0].outcome != "succeeded" or session[0].text != real.answer("a0")
    tally.twice += real.effects(world)["a0"] > 1
    said = (session.path / "runner.log").read_text()
    tally.expect("Is a directory" in said, f"the log says {said!r}")
    tally.expect(tally.good, f"a0: {session[0].outcome}, {session[0].text!r}")
    return tally


def _await_disk(session: cpr.Session) -> None:
    session.wait_until(
        lambda: (
            session.snapshot.state == states.WAITING and session.head.get("waiting_for") == "disk"
        ),
        LIMIT_S,
        "for the disk",
    )


_INSIDE = {
    "disk-full": full,
    "disk-brim": brim_full,
    "shared-brim": shared_brim,
    "read-only": read_only,
}
