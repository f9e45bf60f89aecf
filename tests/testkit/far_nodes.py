"""Node agents on this machine that see neither the folder of a test's work nor its home."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import cpr_nb as cpr
from cpr_nb.nodes import __file__ as nodes_file
from testkit.command import LIMIT_S, kill_group

_AGENT = str(Path(nodes_file).with_name("__main__.py"))
# The folder is there, and empty: as on a machine without the repository.
_HIDE = 'mount -t tmpfs none "$0" && exec "$@"'


def why_not() -> str:
    """Why there can be none here; empty if there can."""
    done = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    return done.stderr.decode().strip()


class FarNodes:
    """Such node agents; the caller ends them.

    Args:
        folder: Where their homes are.
        hidden: The folder that they do not see.
        env: The environment of the runner: theirs differs in the home.
    """

    def __init__(self, folder: Path, hidden: Path, env: Mapping[str, str]) -> None:
        self._folder, self._hidden, self._env = folder, hidden, dict(env)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def home(self, name: str) -> Path:
        """The home of a node."""
        return self._folder / f"home-{name}"

    def join(self, session: cpr.Session, *names: str, env: Mapping[str, str] | None = None) -> None:
        """Has nodes join a session, with further variables of their own."""
        keys = (session.path / "join.json").read_bytes()
        for name in names:
            home, spool = self.home(name), self._folder / f"tmp-{name}"
            for made in (home, spool):
                made.mkdir(exist_ok=True)
            own = {"HOME": str(home), "TMPDIR": str(spool), **(env or {})}
            own["CLAUDE_CONFIG_DIR"] = str(home / ".claude")
            agent = [sys.executable, "-I", _AGENT, "-", "--slots", "2", "--name", name]
            process = subprocess.Popen(
                ["unshare", "-rm", "sh", "-c", _HIDE, str(self._hidden), *agent],
                env={**self._env, **own},
                stdin=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
            assert process.stdin is not None
            process.stdin.write(keys)
            process.stdin.close()
            self.processes[name] = process

    def end(self) -> None:
        """Waits until they have left, as they do when their session has ended; or ends them."""
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):  # a twin would outlive it for a moment
                process.wait(LIMIT_S)
            kill_group(process)
