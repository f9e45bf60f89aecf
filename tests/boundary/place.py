"""Where an attack happens: a folder with a home, a results directory, traps and victims.

What other modules use of it:

- ``place.work`` is the user's folder, ``place.results`` the results directory in it. Everything
  lies below ``place.folder``.
- ``place.program("check")`` is the path of a marker program: that it ran is counted as "ran".
- ``place.victim("precious")`` is a folder of the user's: that something in it is gone or changed is
  counted as "deleted".
- ``place.escaped("words")`` counts as "escaped": somebody got what they must not have.
- ``place.expect(condition, "words")`` notes what else must hold: readable, refused, told.
- ``place.watch_git(folder)``: a git of ours that works in that folder is counted as "escaped".
- ``place.stub_env()`` and ``place.real_env()`` are the only environments; ``place.command(env)`` is
  the installed command, ``with place.inside(env):`` makes this process one in that environment.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
from pathlib import Path
from typing import Any

from faults.world import World
from testkit import processes
from testkit.command import LIMIT_S
from testkit.repository import GIT_ENVIRONMENT

import cpr_nb as cpr
from boundary.table import CannotAttackError, Verdict

_MARKER = """#!/bin/sh
: > {mark}.$$
[ "$1" = --version ] && echo '9.9.9 (marker)' && exit
[ "$1" = --pass ] && exec cat
exit 0
"""
_GIT = """#!/bin/sh
printf '%s %s\\n' "$PWD" "$*" >> {log}
exec {git} "$@"
"""


class Place(World):
    """The surroundings of one attack.

    Args:
        folder: Everything is in it.
        token: What marks all its processes.
        claude: The real CLI; None if there is none.
    """

    def __init__(self, folder: Path, token: str, claude: str | None) -> None:
        super().__init__(folder, token, claude)
        self.results = self.work / "results"
        self._markers = folder / "markers"
        self._programs = folder / "programs"
        for path in (self._markers, self._programs, folder / "bin"):
            path.mkdir()
        self._victims: dict[Path, dict[str, bytes]] = {}
        self._watched: list[Path] = []
        self._escaped: list[str] = []
        self._wrong: list[str] = []

    def _env(self, url: str) -> dict[str, str]:
        env = {**super()._env(url), **GIT_ENVIRONMENT}
        return {**env, "PATH": f"{self.folder / 'bin'}{os.pathsep}{env['PATH']}"}

    def launch(self, env: dict[str, str], prompts: Any, *_: Any, **options: Any) -> cpr.Session:
        """Starts a session in the user's folder."""
        with self.inside(env):
            return cpr.launch(prompts, **{"results_dir": self.results, **options})

    # -- traps and victims ------------------------------------------------------------------

    def program(self, name: str) -> str:
        """A program that leaves a marker when it runs, and does no harm.

        With ``--version`` it prints one, as the CLI does; with ``--pass`` it passes its input on,
        as a filter of git does.
        """
        path = self._programs / name
        path.write_text(_MARKER.format(mark=shlex.quote(str(self._markers / name))))
        path.chmod(0o755)
        return str(path)

    def victim(self, name: str, files: dict[str, str] | None = None) -> Path:
        """A folder of the user's that must stay as it is."""
        path = self.folder / name
        path.mkdir()
        for file, text in (files or {"precious.txt": "precious\n"}).items():
            (path / file).write_text(text)
        return self.keep(path)

    def keep(self, path: Path) -> Path:
        """This folder must stay as it is from now on; returns it."""
        self._victims[path] = _files(path)
        return path

    def watch_git(self, folder: Path) -> None:
        """No git of ours may work there."""
        if not self._watched:
            git = shutil.which("git")
            if git is None:
                raise CannotAttackError("there is no git")
            wrapper = self.folder / "bin" / "git"
            log = shlex.quote(str(self.folder / "git.log"))
            wrapper.write_text(_GIT.format(log=log, git=shlex.quote(git)))
            wrapper.chmod(0o755)
        self._watched.append(folder)

    # -- what came of it --------------------------------------------------------------------

    def escaped(self, words: str) -> None:
        """Notes what somebody got that they must not have."""
        self._escaped.append(words)

    def expect(self, good: object, words: str) -> None:
        """Notes what is not as it should be."""
        if not good:
            self._wrong.append(words)

    def markers(self) -> list[str]:
        """The marker programs that ran."""
        return sorted({file.name.rpartition(".")[0] for file in self._markers.iterdir()})

    def reset_markers(self) -> None:
        """Forgets which of them ran."""
        for file in self._markers.iterdir():
            file.unlink()

    def verdict(self) -> Verdict:
        """What came of the attack, once everything that it started has ended."""
        self._await_processes()
        deleted = [f"{path.name}: {words}" for path in self._victims if (words := self._lost(path))]
        return Verdict(
            tuple(self.markers()),
            tuple(deleted),
            (*self._escaped, *self._watched_calls()),
            tuple(self._wrong),
        )

    def _lost(self, victim: Path) -> str:
        before, now = self._victims[victim], _files(victim)
        names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        return ", ".join(names)

    def _watched_calls(self) -> list[str]:
        log = self.folder / "git.log"
        calls = log.read_text().splitlines() if log.exists() else []
        return [
            f"git in {path.name}, {len(here)} times, such as {here[0]}"
            for path in self._watched
            if (here := [call for call in calls if str(path) in call])
        ]

    def _await_processes(self) -> None:
        """A session that an attack has started may run its marker only later."""
        for pid, words in processes.survivors(self.token).items():
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                if not select.select([pidfd], [], [], LIMIT_S)[0]:
                    self._wrong.append(f"still runs: {words}")
            finally:
                os.close(pidfd)


def _files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder: its name → its content, or where it leads."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            files[name] = os.fsencode(path.readlink())
        elif path.is_file():
            files[name] = path.read_bytes()
        else:
            files[name] = b""
    return files
