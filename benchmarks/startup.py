"""What a person waits for: the start of the command, and the return of launch()."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import detached
from benchmarks.lab import Lab, Run, measure, run_program
from benchmarks.report import Comparison, compare
from cpr_nb.handles.session import Session

# One of these takes milliseconds, so a round repeats it.
_REPEAT = 5
_LAUNCH_LIMIT = 2.0
_PROMPTS_LIMIT = 5.0
_N_TASKS = 10
_N_PROMPTS = 3
_COMMANDS = (("--version", 2.0), ("--help", 3.0), ("list", 3.0))
_BARE = "python -I -S -c ''"
_VENV = "venv python -c ''"


def measure_launch(lab: Lab) -> Iterator[Comparison]:
    """launch() of ten tasks in a warm process, beside the start of a bare Python."""
    detached.adopt_orphans()
    lab.program("stub")
    _launch(lab)  # the imports
    contenders: dict[str, Callable[[], Run]] = {
        _BARE: lambda: _program(lab, [sys.executable, "-I", "-S", "-c", ""]),
        "ours": lambda: _launch(lab),
    }
    runs = lab.interleave(contenders, _REPEAT)
    yield compare(
        f"launch() of {_N_TASKS} tasks returns: wall",
        [run.wall_s for run in runs["ours"]],
        _BARE,
        [run.wall_s for run in runs[_BARE]],
        unit="ms",
        limit=_LAUNCH_LIMIT,
    )


def measure_command(lab: Lab) -> Iterator[Comparison]:
    """The command's start, and a whole launch with it, beside the start of the same Python."""
    detached.adopt_orphans()
    lab.program("stub")
    results = lab.fresh("no-sessions")
    arguments = {"list": ["list", "--results-dir", str(results)]}
    contenders: dict[str, Callable[[], Run]] = {
        _VENV: lambda: _program(lab, [sys.executable, "-c", ""])
    }
    for name, _ in _COMMANDS:
        argv = [*cpr_command(), *arguments.get(name, [name])]
        contenders[name] = lambda argv=argv: _program(lab, argv)  # type: ignore[misc]
    contenders["prompts"] = lambda: _prompts(lab)
    for contender in contenders.values():
        contender()  # writes missing bytecode
    runs = lab.interleave(contenders, _REPEAT)
    for name, limit in _COMMANDS:
        yield compare(
            f"cpr {name}{' on nothing' if name == 'list' else ''}: wall",
            [run.wall_s for run in runs[name]],
            _VENV,
            [run.wall_s for run in runs[_VENV]],
            unit="ms",
            limit=limit,
        )

    yield compare(
        f"cpr prompts.json, {_N_PROMPTS} tasks, returns: wall",
        [run.wall_s for run in runs["prompts"]],
        _VENV,
        [run.wall_s for run in runs[_VENV]],
        unit="ms",
        limit=_PROMPTS_LIMIT,
    )


def cpr_command() -> list[str]:
    """How to call ``cpr``: the console script beside this Python, else the module."""
    script = shutil.which("cpr", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-m", "cpr_nb.cli.main"]


def _program(lab: Lab, argv: list[str]) -> Run:
    return measure(lambda: run_program(argv, lab.environment, timeout_s=60))


def _prompts(lab: Lab) -> Run:
    """A launch with the command: the session is on the disk, and its runner is up."""
    folder, claude = lab.fresh("prompts"), lab.program("stub")
    file, results = folder / "prompts.json", folder / "results"
    file.write_text(json.dumps({"prompts": [f"task {n}" for n in range(_N_PROMPTS)]}))
    options = ["--claude-path", str(claude), "--results-dir", str(results)]
    run = _program(lab, [*cpr_command(), str(file), *options])
    (session,) = results.glob("session-*")
    with detached.followed(Session(session)):
        pass  # the next measurement has the machine to itself
    return run


def _launch(lab: Lab) -> Run:
    folder, claude = lab.fresh("launch"), lab.program("stub")
    prompts = [f"task {number}" for number in range(_N_TASKS)]
    sessions = []
    run = measure(
        lambda: sessions.append(detached.launch(prompts, claude, folder, lab.environment))
    )
    with detached.followed(sessions[0]):
        pass  # the next measurement has the machine to itself
    return run
