"""The package in a virtual environment of its own, as pip installs it, and wheels of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

from testkit.command import LIMIT_S

ROOT = Path(__file__).resolve().parent.parent.parent
#: Libraries that are there in earnest; the others are those of the tests' own environment.
_OWN_LIBRARIES = ("git", "gitdb", "smmap")
#: Runs pip, which stops itself when it is about to write this file.
_STOPPING_PIP = """
import os, runpy, signal, sys
last = sys.argv.pop(1)
def stop(event, args):
    if event == "open" and str(args[0]).endswith(last) and "w" in str(args[1]):
        os.kill(os.getpid(), signal.SIGSTOP)
sys.addaudithook(stop)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
#: What differs in another version: its helpers understand none but its own runners.
_OTHER_JOBS = '''

def parse_job(payload: object) -> HelperJob:
    """Parses a job of this version."""
    raise WorktreeError("this is a job of another version")
'''


class Installation:
    """The package in a virtual environment.

    Args:
        folder: Everything is in it.
        env: The environment in which it is used.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder, self.venv = folder, folder / "venv"
        self.env = dict(env)
        venv.create(self.venv, symlinks=True)
        libraries = Path(sysconfig.get_path("purelib"))
        (self.site / "dependencies.pth").write_text(f"{libraries}\n")
        for name in _OWN_LIBRARIES:
            shutil.copytree(libraries / name, self.site / name)
        self.pip(self.wheel("0.1.0"))

    @property
    def site(self) -> Path:
        """Where its libraries are."""
        return next((self.venv / "lib").iterdir()) / "site-packages"

    @property
    def python(self) -> str:
        """Its Python."""
        return str(self.venv / "bin" / "python")

    def wheel(self, version: str) -> Path:
        """Builds a wheel of this tree, with another number and another kind of job."""
        tree = self.folder / f"tree-{version}"
        shutil.copytree(ROOT / "cpr_nb", tree / "cpr_nb", ignore=shutil.ignore_patterns("*.pyc"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tree)
        door = tree / "cpr_nb" / "__init__.py"
        door.write_text(door.read_text().replace('"0.1.0"', f'"{version}"'))
        if version != "0.1.0":
            with (tree / "cpr_nb" / "worktrees" / "job.py").open("a") as file:
                file.write(_OTHER_JOBS)
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self.folder)],
            cwd=tree,
            check=True,
            capture_output=True,
        )
        return next(self.folder.glob(f"cpr_nb-{version}-*.whl"))

    def pip(self, wheel: Path, stop_at: str = "") -> int:
        """Has pip put this wheel in the place of what is installed.

        Args:
            wheel: The wheel.
            stop_at: pip stops before it writes the file whose path ends like this.

        Returns:
            The pid of a pip that stands still, or 0.
        """
        words = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel)]
        env = {**self.env, "PIP_CONFIG_FILE": os.devnull}
        pip = subprocess.Popen(
            [self.python, "-c", _STOPPING_PIP, stop_at or "nowhere", *words], env=env
        )
        if stop_at:
            _, status = os.waitpid(pid := pip.pid, os.WUNTRACED)
            pip.returncode = 0  # nobody waits for it here
            assert os.WIFSTOPPED(status), f"pip ended: {status}"
            return pid
        assert pip.wait(LIMIT_S) == 0
        return 0

    @property
    def command(self) -> str:
        """The command that it has installed."""
        return str(self.venv / "bin" / "cpr")

    @property
    def version(self) -> str:
        """The version that is installed."""
        words = [self.python, "-I", "-c", "import cpr_nb; print(cpr_nb.__version__)"]
        return subprocess.run(words, env=self.env, capture_output=True, text=True).stdout.strip()
