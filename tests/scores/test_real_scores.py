"""Scores of what the real CLI answers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli
SCHEMA = {
    "type": "object",
    "properties": {"points": {"type": "integer", "minimum": 0, "maximum": 10}},
    "required": ["points"],
}
MODULE = """
import os, threading
def double(given):
    if os.path.exists("wait"):
        open("here", "w").close()
        threading.Event().wait()
    return 2 * given["answer"]["points"]
"""


@pytest.fixture(autouse=True)
def here(in_env: Callable[[dict[str, str]], None], offline_env: dict[str, str]) -> None:
    in_env(offline_env)


def test_the_real_answer_is_scored_once_though_its_runner_dies_meanwhile(
    work: Path, api: ScriptedApi
) -> None:
    (work / "scoring.py").write_text(MODULE)
    (work / "wait").touch()
    texts = [script({"so": {"points": points}}, say=f"Row {points}.") for points in (3, 4)]
    session = cpr.launch(texts, schema=SCHEMA, score="scoring:double")
    session.wait_until((work / "here").exists, LIMIT_S, "the function")
    session.wait_until(
        lambda: all(task.fields.get("note") for task in session), LIMIT_S, "both answers"
    )
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "its end")
    n_requests = len(api.requests)
    (work / "wait").unlink()
    table = session.resume().wait(LIMIT_S).results_df()
    assert table["score"].tolist() == [6.0, 8.0]
    assert table["ok"].tolist() == [True, True]
    assert len(api.requests) == n_requests  # nothing was asked twice
