"""The real Claude Code CLI: the runner beside ``xargs -P`` with the same arguments."""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import detached
from benchmarks.lab import Lab, Run, SkippedError, measure, run_program
from benchmarks.report import Comparison, compare
from cpr_nb.launching.machine import find_claude
from cpr_nb.launching.plan import plan_launch
from cpr_nb.model.environment import NO_MEMORY_VARIABLE
from cpr_nb.model.errors import ClaudeNotFound
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.runner.command import build_argv

_N_TASKS, _PARALLEL = 24, 8
_QUICK_N_TASKS, _QUICK_PARALLEL = 4, 2
_LIMIT = 1.05
_XARGS = "xargs -P, the same argv"
_PROMPT = "say hello"


def measure_real_cli(lab: Lab) -> Iterator[Comparison]:
    """Wall time of the whole session; the API is a scripted one on the loopback interface."""
    detached.adopt_orphans()
    claude = real_claude()
    n_tasks = _QUICK_N_TASKS if lab.quick else _N_TASKS
    parallel = _QUICK_PARALLEL if lab.quick else _PARALLEL
    with ScriptedApi() as api:
        contenders: dict[str, Callable[[], Run]] = {
            _XARGS: lambda: xargs(lab, claude, api.url, n_tasks, parallel),
            "ours": lambda: ours(lab, claude, api.url, n_tasks, parallel),
        }
        contenders[_XARGS]()  # loads the CLI into the page cache
        runs = lab.interleave(contenders)
    walls = {name: [run.wall_s for run in series] for name, series in runs.items()}
    label = f"real CLI, N = {n_tasks}, P = {parallel}: wall"
    yield compare(label, walls["ours"], _XARGS, walls[_XARGS], unit="s", limit=_LIMIT)


def real_claude() -> Path:
    """The real CLI.

    Raises:
        SkippedError: If there is none.
    """
    try:
        return Path(find_claude(None, os.environ))
    except ClaudeNotFound as error:
        raise SkippedError(str(error)) from None


def ours(lab: Lab, claude: Path, url: str, n_tasks: int, parallel: int) -> Run:
    """The tasks as a session of ours."""
    folder, environment = lab.fresh("cli-ours"), cli_environment(url, lab.fresh("cli-home"))
    return measure(
        lambda: detached.run_session(
            [_PROMPT] * n_tasks, claude, folder, environment, max_parallel=parallel
        )
    )


def xargs(lab: Lab, claude: Path, url: str, n_tasks: int, parallel: int) -> Run:
    """The same tasks by ``xargs``, with a fixed number in parallel."""
    folder, environment = lab.fresh("cli-xargs"), cli_environment(url, lab.fresh("cli-home"))
    environment[NO_MEMORY_VARIABLE] = "1"  # as the runner sets it for its tasks
    prompt = folder / "prompt.txt"
    prompt.write_text(_PROMPT, "utf-8")
    # The options with the defaults of a launch.
    options = plan_launch(
        [_PROMPT], {"claude_path": str(claude), "cwd": str(folder)}, environ=environment
    ).options
    command = f"{shlex.join(build_argv(str(claude), options, '{}'))} <{prompt} "
    command += f">{folder}/task-{{}}.jsonl 2>{folder}/task-{{}}.err"
    argv = ["xargs", "-P", str(parallel), "-I{}", "sh", "-c", command]
    ids = "".join(f"{uuid.uuid4()}\n" for _ in range(n_tasks)).encode()
    return measure(lambda: run_program(argv, environment, feed=ids, cwd=folder))
