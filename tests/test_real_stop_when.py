"""An early stop with the real CLI, kernel and runner killed: the log of the API says what ran."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import LIMIT_S

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
N_ROWS = 20
#: A kernel that launches, says where, and would wait for the end.
_KERNEL = """
import sys
import pandas as pd
import cpr_nb as cpr
rows = pd.DataFrame({"n": range(int(sys.argv[1]))})
rows["name"] = "r" + rows.n.astype(str)
session = cpr.map(
    'Do it as {style} in row {n}. SCRIPT=[{"wait": "go", "text": "Done."}]',
    rows,
    id_col="name",
    vary={"style": ["A", "B"]},
    stop_when="decided",
    alpha=0.4,
    check="case $CPR_TASK_ID in *-2) ;; *) exit 1 ;; esac",
    max_parallel=2,
)
print(session.path, flush=True)
session.wait()
"""


def begun(api: ScriptedApi) -> Counter[str]:
    """How often the API was asked to begin each task, by its id."""
    texts = [str(one.last_user_text) for one in api.requests if one.step == 0]
    found = [re.search(r"Do it as ([AB]) in row (\d+)", text) for text in texts]
    return Counter(f"r{one[2]}-{'AB'.index(one[1]) + 1}" for one in found if one is not None)


def test_a_comparison_stops_early_without_its_kernel_and_after_its_runner_was_killed(
    offline_env: dict[str, str],
    api: ScriptedApi,
    work: Path,
    in_env: Callable[[dict[str, str]], None],
) -> None:
    argv = [sys.executable, "-W", "ignore", "-c", _KERNEL, str(N_ROWS)]
    with subprocess.Popen(argv, env=offline_env, cwd=work, stdout=subprocess.PIPE) as kernel:
        assert kernel.stdout is not None
        session = cpr.Session(kernel.stdout.readline().decode().strip())
        session.wait_until(lambda: begun(api).total() == 2, LIMIT_S, "two tasks at the API")
        kernel.kill()
    in_env(offline_env)
    runner = json.loads((session.path / "runner.json").read_text())["pid"]
    os.kill(runner, signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")
    session.resume()
    api.release("go")
    session.wait(LIMIT_S)
    decision = session.decision
    assert decision is not None and decision.levels[0].verdict == "better"
    started = {task.id for task in session if task.outcome != "skipped"}
    assert begun(api) == Counter(started), "each of them once, and none of the others"
    assert 2 * decision.levels[0].n_pairs <= len(started) < 2 * N_ROWS - 4
    skipped = {task.reason for task in session if task.outcome == "skipped"}
    assert skipped == {"decided"}
