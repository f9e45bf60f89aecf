"""``cpr doctor``: what this machine has and what it lacks."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cpr_nb import __version__
from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.doctor_nodes import node_findings
from cpr_nb.cli.doctor_sessions import foreign_findings, key_findings
from cpr_nb.cli.doctor_settings import claude_findings, setting_findings
from cpr_nb.cli.options import add_json, complete_session
from cpr_nb.launching import cli_settings, machine
from cpr_nb.launching.claude_files import find_project, is_accepted
from cpr_nb.launching.cli_cache import read_version
from cpr_nb.launching.cli_start import configuration_problem
from cpr_nb.launching.settings import named_claude
from cpr_nb.model.cli_versions import NEEDS, OLDEST_SUPPORTED, show
from cpr_nb.model.errors import CprError
from cpr_nb.model.text import one_line
from cpr_nb.store.programs import find_claude
from cpr_nb.store.resources import TASK_MEMORY_BYTES, free_memory_bytes

if TYPE_CHECKING:
    from cpr_nb.model.cli_versions import Version

Finding = tuple[bool, str, str]

#: Variables that are set in a batch job. The end of the job ends every process in it.
JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")

_ENDS_WITH_IT = "runners end with it; cpr resume continues their sessions"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--claude-path", metavar="PATH", help="the Claude Code CLI to check")
    parser.add_argument(
        "--probe",
        action="store_true",
        help="run the CLI offline, about a minute, and show which promises it keeps",
    )
    nodes = parser.add_argument(
        "--nodes",
        metavar="SESSION",
        nargs="?",
        const="",
        help="show what the nodes of a session have: the CLI, its login, git, memory, the clock",
    )
    nodes.completer = complete_session  # type: ignore[attr-defined]  # argcomplete's way
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Checks this machine; returns 1 if something will not work."""
    if args.probe:
        from cpr_nb.cli.probe_table import run_probe

        return run_probe(_find_claude(args.claude_path), as_json=args.json)
    findings = list(_checks(args) if args.nodes is None else node_findings(args))
    if args.json:
        print_json([{"name": name, "good": good, "text": text} for good, name, text in findings])
        return 0 if all(good for good, _, _ in findings) else 1
    print_lines(f"{'✓' if good else '✕'} {name:<18}{text}" for good, name, text in findings)
    return 0 if all(good for good, _, _ in findings) else 1


def _checks(args: argparse.Namespace) -> Iterator[Finding]:
    yield True, "cpr_nb", f"{__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    yield _claude(args.claude_path)
    yield from ((good, "settings", text) for good, text in setting_findings())
    yield from _cli_settings(_version(args.claude_path))
    yield _results(results_dir(args))
    yield from key_findings()
    yield from foreign_findings(results_dir(args))
    yield _git()
    free, default = free_memory_bytes(), machine.default_parallel(10**6)
    tasks = "1 task" if default.first == 1 else f"{default.first} tasks"
    text = f"{free / 1e9:.1f} GB free; by default {tasks} at first, at most {default.most} at once"
    yield free >= TASK_MEMORY_BYTES, "memory", text
    yield _detaching()
    yield _sandbox()


def _find_claude(claude_path: str | None) -> str:
    return find_claude(named_claude(claude_path), os.environ)


def _claude(claude_path: str | None) -> Finding:
    try:
        path = _find_claude(claude_path)
    except CprError as error:
        return False, "Claude Code CLI", str(error)
    version = read_version(path, os.environ)
    if version is None:
        words = _output(path, "--version")
        if words is None:
            return False, "Claude Code CLI", f"{path} does not answer --version"
        return True, "Claude Code CLI", f"{one_line(words, 60)}, {path}"
    if version < OLDEST_SUPPORTED:
        needed = f"cpr_nb needs {show(OLDEST_SUPPORTED)} or newer (claude update)"
        return False, "Claude Code CLI", f"{show(version)} (Claude Code), {path}: {needed}"
    text = f"{show(version)} (Claude Code), {path}"
    lacking = [f"{name} (since {show(since)})" for name, since in NEEDS.items() if version < since]
    return True, "Claude Code CLI", f"{text}; lacks {', '.join(lacking)}" if lacking else text


def _version(claude_path: str | None) -> Version | None:
    try:
        return read_version(_find_claude(claude_path), os.environ)
    except CprError:
        return None


def _cli_settings(version: Version | None) -> Iterator[Finding]:
    """The settings files that the CLI reads in this folder: whether they apply."""
    cwd = str(Path.cwd())
    files = [path for path in cli_settings.settings_files(os.environ, cwd) if os.path.exists(path)]
    problems = [problem for path in files if (problem := cli_settings.settings_problem(path))]
    problems += filter(None, [configuration_problem(os.environ, version)])
    for problem in problems:
        yield False, "CLI settings", problem
    if not problems:
        yield True, "CLI settings", ", ".join(map(str, files)) or "no files"
    for path in files:
        if cli_settings.forbids_bypassing(path):
            yield True, "CLI settings", f"{path} forbids --permissions all"
    for good, text in claude_findings():
        yield good, "CLI settings", text
    has_allow_rules = cli_settings.has_allow_rules(f"{cwd}/.claude/settings.json")
    if has_allow_rules and not is_accepted(find_project(cwd), os.environ):
        text = (
            "this folder is not trusted, so the CLI (2.1.224 and newer) ignores the allow rules of"
        )
        yield True, "CLI settings", f"{text} .claude/settings.json: run claude here once and accept"


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
    """Who may end a detached runner: systemd at logout, or the end of a batch job or container."""
    job = next((name for name in JOBS if os.environ.get(name)), None)
    if job is not None:
        return True, "detaching", f"inside a batch job ({job}={os.environ[job]}): {_ENDS_WITH_IT}"
    if _in_container():
        return True, "detaching", f"inside a container: {_ENDS_WITH_IT}"
    path = _logout_kills()
    if path is not None:
        text = f"{path} ends your processes at logout; to keep them: loginctl enable-linger"
        return False, "detaching", text
    return True, "detaching", "runners keep running after logout"


def _in_container() -> bool:
    """Whether we run in a container, which ends everything in it when it ends."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(mark.exists() for mark in marks) or "container" in os.environ


def _logout_kills() -> Path | None:
    """The file that makes systemd end a user's processes at logout; None if there is none."""
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
        return True, "sandbox", "the one of the system"
    missing = [tool for tool in ("bwrap", "socat") if shutil.which(tool) is None]
    if missing:  # nothing is wrong: only --permissions sandbox needs it
        verb = "is" if len(missing) == 1 else "are"
        text = f"not available: {' and '.join(missing)} {verb} missing"
        return True, "sandbox", f"{text} (apt install bubblewrap socat)"
    return True, "sandbox", "bubblewrap and socat are installed"


def _output(*argv: str) -> str | None:
    try:
        process = subprocess.run(  # noqa: S603 - a program that the user named, or git
            argv, capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
