"""A session on nodes, with the stub in the CLI's place: leases, ends, losses, a new runner."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, kill_group, prompts
from testkit.stub import plan

import cpr_nb as cpr
from cpr_nb.nodes import __file__ as nodes_file

_AGENT = str(Path(nodes_file).with_name("__main__.py"))


class Nodes:
    """Node agents on this machine.

    Args:
        env: Their environment.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self._env = env
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def join(self, session: cpr.Session, *names: str, slots: int = 2) -> None:
        for name in names:
            argv = [sys.executable, "-I", _AGENT, str(session.path / "join.json")]
            self.processes[name] = subprocess.Popen(
                [*argv, "--slots", str(slots), "--name", name],
                env=self._env,
                start_new_session=True,
            )


@pytest.fixture
def nodes(stub_env: dict[str, str], tmp_path: Path) -> Iterator[Nodes]:
    spool = tmp_path / "spool"
    spool.mkdir()
    nodes = Nodes({**stub_env, "TMPDIR": str(spool)})
    yield nodes
    for process in nodes.processes.values():
        kill_group(process)


def journal(session: cpr.Session) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (session.path / "journal.jsonl").read_text().splitlines()]


def test_tasks_run_on_nodes_and_end_as_they_do_here(stub_cpr: Cpr, nodes: Nodes) -> None:
    text = prompts("a", plan(result=None, exit=1, stderr="no"), "c")
    session = stub_cpr.launch(text, "--executor", "agents", "--lease-s", "2")
    nodes.join(session, "n1", "n2")
    session.wait(LIMIT_S)
    status = json.loads((session.path / "status.json").read_text())
    assert [task["outcome"] for task in status["tasks"]] == ["succeeded", "failed", "succeeded"]
    assert {task["node"] for task in status["tasks"]} <= {"n1", "n2"}
    assert {node["name"]: node["state"] for node in status["nodes"]} == {"n1": "left", "n2": "left"}
    for process in nodes.processes.values():
        assert process.wait(LIMIT_S) == 0
    leases = [line for line in journal(session) if line["event"] == "lease"]
    assert len({line["token"] for line in leases}) == len(leases)
