"""Another user of this machine: at one's sessions, one's state directory, and as their owner."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from testkit import processes
from testkit.command import LIMIT_S
from testkit.stub import plan

import cpr_nb as cpr
from boundary.hostile import ANSWER, ENDED, INTERRUPTED, HostileFolder
from boundary.place import Place
from boundary.table import Row

ATTACK = "another user of this machine"
_NOBODY = 65534
_TRY = """
import os, sys
os.setgroups([])
os.setresgid(*[int(sys.argv[1])] * 3)
os.setresuid(*[int(sys.argv.pop(1))] * 3)
for folder in sys.argv[1:]:
    for action in (os.listdir, lambda f: open(f + "/left-here", "w")):
        try:
            action(folder)
            print("reached", folder)
        except PermissionError:
            pass
for folder in sys.argv[1:]:
    for name in ("key", "trusted", "status.json", "session.json", "task-a.txt", "journal.jsonl"):
        for mode in ("r", "a"):
            try:
                open(folder + "/" + name, mode)
                print("opened", folder, name, mode)
            except (PermissionError, FileNotFoundError):
                pass
"""


def _open_to_others(place: Place, folder: Path) -> cpr.Session:
    """A session of the user's in a folder whose every parent others may enter."""
    folder.chmod(0o755)
    home = folder / "home"
    home.mkdir(0o755)
    env = {**place.stub_env(), "HOME": str(home)}
    tasks = [{"id": "a", "prompt": plan()}]
    session = place.launch(env, tasks, results_dir=folder / "results").wait(LIMIT_S)
    processes.await_lock(session.path / "runner.lock")  # it still removes its folder of requests
    return session


def at_files(place: Place) -> None:
    """They can neither read nor write anything of a session, or of the state directory."""
    with tempfile.TemporaryDirectory(prefix="cpr-other-", dir="/tmp") as name:
        session = _open_to_others(place, Path(name))
        state = Path(name) / "home" / ".local" / "state" / "cpr"
        place.expect((state / "key").is_file(), f"there is no key in {state}")
        folders = [state, *(path for path in state.rglob("*") if path.is_dir())]
        folders += [session.path, *(path for path in session.path.rglob("*") if path.is_dir())]
        for folder in folders:
            if folder.stat().st_mode & 0o077:
                place.escaped(f"others may do something with {folder}")
        if os.geteuid() == 0:
            (Path(name) / "open").mkdir()
            (Path(name) / "open").chmod(0o777)  # what can be reached is reached
            words = [sys.executable, "-c", _TRY, str(_NOBODY), f"{name}/open", *map(str, folders)]
            done = subprocess.run(words, capture_output=True, text=True)
            first, *others = done.stdout.splitlines()
            place.expect(first == f"reached {name}/open", done.stderr)
            for reached in others:
                if f"{name}/open" not in reached:
                    place.escaped(reached)


def as_owner(place: Place) -> None:
    """A session of theirs can be read, and none of its programs is run."""
    folder = HostileFolder(place)
    for path in (folder.results, *folder.results.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    cpr = place.command(place.stub_env())
    for words in (["resume", INTERRUPTED], ["retry", ENDED], ["clean", ENDED], ["merge", ENDED]):
        done = cpr(*words)
        place.expect(done.returncode == 2, f"{words} ends with {done.returncode}: {done.stdout}")
    place.expect(ANSWER in cpr("results", ENDED).stdout, "not readable")


ROWS = [Row(ATTACK, "files of a session and of the state directory", at_files)]
if os.geteuid() == 0:  # only root can give a folder to another user
    ROWS.append(Row(ATTACK, "as the owner of a session's folder", as_owner))
