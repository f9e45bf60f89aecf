"""``cpr doctor``: what this machine has, and what it lacks."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from cpr_nb import __version__
from cpr_nb.cli.common import print_lines, results_dir
from cpr_nb.launching import machine
from cpr_nb.model.errors import ClaudeNotFound

Finding = tuple[bool, str, str]

#: Set inside a batch job, whose end ends every process in it.
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--claude-path", metavar="PATH", help="the Claude Code CLI to check")


def run(args: argparse.Namespace) -> int:
    """Checks this machine; 1 if something will not work."""
    found = list(_checks(args))
    print_lines(f"{'✓' if good else '✕'} {name:<18}{told}" for good, name, told in found)
    return 0 if all(good for good, _, _ in found) else 1


def _checks(args: argparse.Namespace) -> Iterator[Finding]:
    yield True, "cpr_nb", f"{__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    yield _claude(args.claude_path)
    yield _results(results_dir(args))
    yield _git()
    free = machine.free_memory_bytes()
    n_tasks = machine.default_parallel(10**6)
    told = f"{free / 1e9:.1f} GB free, so {n_tasks} tasks at once by default"
    yield free >= machine.TASK_MEMORY_BYTES, "memory", told
    yield _detaching()
    yield _sandbox()


def _claude(given: str | None) -> Finding:
    try:
        path = machine.find_claude(given, os.environ)
    except ClaudeNotFound as error:
        return False, "Claude Code CLI", str(error)
    version = _output(path, "--version")
    if version is None:
        return False, "Claude Code CLI", f"{path} does not answer to --version"
    return True, "Claude Code CLI", f"{version}, {path}"


def _results(directory: str) -> Finding:
    folder = Path(directory)
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return False, "results directory", f"{directory} can't be written"
    free = shutil.disk_usage(existing).free
    new = "" if folder.exists() else ", will be created"
    return True, "results directory", f"{directory}{new}, {free / 1e9:.1f} GB free"


def _git() -> Finding:
    version = _output("git", "--version")
    return version is not None, "git", version or "not found: tasks run, but no commit is recorded"


def _detaching() -> Finding:
    """Who may end what we detach: systemd at logout, a batch job or a container at its end."""
    job = next((name for name in JOBS if os.environ.get(name)), None)
    if job is not None:
        told = f"inside a batch job ({job}={os.environ[job]}): runners end with it, resume goes on"
        return True, "detaching", told
    if _in_container():
        return True, "detaching", "inside a container: runners end with it, cpr resume goes on"
    path = _logout_kills()
    if path is not None:
        told = f"{path} ends your processes at logout: loginctl enable-linger keeps them"
        return False, "detaching", told
    return True, "detaching", "runners go on after logout"


def _in_container() -> bool:
    """Whether the first process is no init system: what it starts ends with it."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(mark.exists() for mark in marks) or "container" in os.environ


def _logout_kills() -> Path | None:
    """The file by which systemd ends a user's processes at logout; None if none does."""
    linger = Path("/var/lib/systemd/linger") / os.environ.get("USER", "")
    for path in (Path("/etc/systemd/logind.conf"), *Path("/etc/systemd/logind.conf.d").glob("*")):
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        kills = any(line.replace(" ", "").lower() == "killuserprocesses=yes" for line in lines)
        if kills and not linger.is_file():
            return path
    return None


def _sandbox() -> Finding:
    if not sys.platform.startswith("linux"):
        return True, "sandbox", "that of the system"
    missing = [tool for tool in ("bwrap", "socat") if shutil.which(tool) is None]
    if missing:  # nothing is wrong: only --permissions sandbox needs it
        told = f"not available: {' and '.join(missing)} missing (apt install bubblewrap socat)"
        return True, "sandbox", told
    return True, "sandbox", "bubblewrap and socat are there"


def _output(*argv: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - a program that the user named, or git
            argv, capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
