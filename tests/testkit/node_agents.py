"""Node agents on this machine, as a person starts them: ``cpr agent JOIN_FILE``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import cpr_nb as cpr
from testkit.command import LIMIT_S, Cpr, kill_group
from testkit.processes import await_gone

#: The name of a session's join file, in its folder.
JOIN_FILE = "join.json"


def status_of(session: cpr.Session) -> dict[str, Any]:
    """What status.json of a session says."""
    status: dict[str, Any] = json.loads((session.path / "status.json").read_text())
    return status


def journal(session: cpr.Session, *events: str) -> list[dict[str, Any]]:
    """The lines of a session's journal that are about these events; none: all."""
    lines = map(json.loads, (session.path / "journal.jsonl").read_text().splitlines())
    return [line for line in lines if not events or line["event"] in events]


def runner_pid(session: cpr.Session) -> int:
    """The pid of a session's newest runner."""
    return int(json.loads((session.path / "runner.json").read_text())["pid"])


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:  # it has ended
        return []


class NodeAgents:
    """Node agents that this process has started; they leave when their sessions end.

    Args:
        command: The command, in the environment that the nodes have.
        logs: The folder for what they write; created.
    """

    def __init__(self, command: Cpr, logs: Path) -> None:
        self._command, self._logs = command, logs
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """They are ended at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Those that are still there are killed; their twins end what they have started."""
        twins = [twin for process in self.processes.values() for twin in _children(process.pid)]
        for process in self.processes.values():
            kill_group(process)
        for twin in twins:
            await_gone(twin)

    def join(
        self,
        session: cpr.Session,
        *names: str,
        slots: int,
        options: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Starts node agents with these names for a session.

        Args:
            session: It runs with ``--executor agents``.
            names: The names of the nodes.
            slots: How many tasks each runs at once.
            options: More options of ``cpr agent``.
            env: Variables that differ from those of the command.
        """
        join_file = str(session.path / JOIN_FILE)
        self._logs.mkdir(exist_ok=True)
        for name in names:
            more: dict[str, Any] = {"env": {**self._command.env, **(env or {})}}
            with (self._logs / f"{name}.log").open("ab") as log:
                self.processes[name] = self._command.start(
                    *("agent", join_file, "--slots", str(slots), "--name", name, *options),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    **more,
                )

    def await_left(self, session: cpr.Session) -> None:
        """Waits until they have left by themselves, as they do when their session has ended.

        Args:
            session: It has ended. Those that came too late for it are told to stop.
        """
        joined = {node["name"] for node in session.refresh().head.get("nodes", ())}
        for name, process in self.processes.items():
            if name not in joined:
                process.terminate()
            code = process.wait(LIMIT_S)
            assert code == 0 or name not in joined, f"{name} ended with {code}: {self.log(name)}"

    def log(self, name: str) -> str:
        """What the node agent of this name has written."""
        return (self._logs / f"{name}.log").read_text("utf-8")
