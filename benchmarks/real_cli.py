"""The real Claude Code CLI: the runner beside ``xargs -P`` with the same arguments.

Each agent of each tool runs in a session of its own, and none is nice. Where the kernel shares the
cores out among sessions (``sched_autogroup_enabled``), a tool whose agents share one session gets
one share of the cores for all of them, whatever else runs; ours, one for each.
"""

from __future__ import annotations

import os
import shlex
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import detached
from benchmarks.lab import Lab, Run, SkippedError, measure, run_program
from benchmarks.report import Comparison, compare
from cpr_nb.launching.plan import plan_launch
from cpr_nb.model.environment import NO_MEMORY_VARIABLE
from cpr_nb.model.errors import ClaudeNotFound
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.runner.command import build_argv
from cpr_nb.store.programs import find_claude

_N_TASKS, _PARALLEL = 24, 8
_QUICK_N_TASKS, _QUICK_PARALLEL = 4, 2
_LIMIT = 1.03
_XARGS = "xargs -P, the same argv"
_PROMPT = "say hello"


def measure_real_cli(lab: Lab) -> Iterator[Comparison]:
    """Wall and CPU time of the whole session; the API is a scripted one on loopback."""
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
    label = f"real CLI, N = {n_tasks}, P = {parallel}"
    for name, figures in (("wall", _walls(runs)), ("CPU", _cpus(runs))):
        ours_s, theirs_s = figures["ours"], figures[_XARGS]
        yield compare(f"{label}: {name}", ours_s, _XARGS, theirs_s, unit="s", limit=_LIMIT)


def _walls(runs: Mapping[str, list[Run]]) -> dict[str, list[float]]:
    return {name: [run.wall_s for run in series] for name, series in runs.items()}


def _cpus(runs: Mapping[str, list[Run]]) -> dict[str, list[float]]:
    return {name: [run.cpu_s for run in series] for name, series in runs.items()}


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
            [_PROMPT] * n_tasks, claude, folder, environment, max_parallel=parallel, nice=0
        )
    )


def xargs(lab: Lab, claude: Path, url: str, n_tasks: int, parallel: int) -> Run:
    """The same tasks by ``xargs``, with a fixed number in parallel, each in a session of its own.

    Raises:
        SkippedError: If there is no program for that.
    """
    setsid = shutil.which("setsid")
    if setsid is None:
        raise SkippedError("no setsid: it comes with util-linux")
    folder, environment = lab.fresh("cli-xargs"), cli_environment(url, lab.fresh("cli-home"))
    environment[NO_MEMORY_VARIABLE] = "1"  # as the runner sets it for its tasks
    prompt = folder / "prompt.txt"
    prompt.write_text(_PROMPT, "utf-8")
    # The options with the defaults of a launch.
    options = plan_launch(
        [_PROMPT], {"claude_path": str(claude), "cwd": str(folder)}, environ=environment
    ).options
    command = f"exec {setsid} {shlex.join(build_argv(str(claude), options, '{}'))} <{prompt} "
    command += f">{folder}/task-{{}}.jsonl 2>{folder}/task-{{}}.err"
    argv = ["xargs", "-P", str(parallel), "-I{}", "sh", "-c", command]
    ids = "".join(f"{uuid.uuid4()}\n" for _ in range(n_tasks)).encode()
    return measure(lambda: run_program(argv, environment, feed=ids, cwd=folder))
