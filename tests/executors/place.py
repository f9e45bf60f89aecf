"""A place in which a scenario is played: its sessions run on this machine, or on nodes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from testkit.command import LIMIT_S, Cpr
from testkit.node_agents import JOIN_FILE, NodeAgents
from testkit.processes import await_lock
from testkit.stub import Stub

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

#: How many tasks run at once on each node.
SLOTS = 2
#: What differs from session to session, wherever it runs.
_HEAD = {
    *("session_id", "identity", "mark", "executor", "nodes", "start_time", "end_time"),
    *("created_at", "started_at", "ended_at", "updated_at", "duration_s"),
}
_TASK = {
    *("node", "process", "conversation_id", "started_at", "ended_at", "duration", "duration_s"),
    *("api_duration_s", "peak_rss_bytes"),
}
#: Events of the journal that say where something runs, and what belongs to them.
_PLACING = {
    *("runner_started", "identity", "started", "lease", "parallel", "state"),
    *("node", "node_silent", "node_lost", "remote", "remote_ended"),
}
_HEX = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{40}\b")
_NUMBERS = re.compile(r"\b(req|msg)_\d+|only ~\d+ tokens|127\.0\.0\.1:\d+")


class Place:
    """A folder with a command of its own.

    Args:
        folder: An empty folder.
        env: The environment of its commands and nodes.
        n_nodes: How many nodes its sessions run on; 0: they run on this machine.
        api: The scripted API that its CLIs ask, if they are real.
    """

    def __init__(
        self, folder: Path, env: Mapping[str, str], n_nodes: int, api: ScriptedApi | None = None
    ) -> None:
        self.folder, self._n_nodes, self._api = folder, n_nodes, api
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.stub = Stub(folder / "stub")
        own = {"CPR_CLAUDE": str(self.stub)} if api is None else {"ANTHROPIC_BASE_URL": api.url}
        self.command = Cpr(self.work, {**env, **own})
        self.nodes = NodeAgents(self.command, folder / "nodes")

    @property
    def api(self) -> ScriptedApi:
        """The API that its CLIs ask."""
        assert self._api is not None
        return self._api

    def launch(self, text: str, *options: str, **more: Any) -> cpr.Session:
        """Starts a session from the text of a prompts file; its nodes join it."""
        if not any(option.startswith("-j") for option in options):
            options = (*options, "-j4")  # by default, nodes run as many as they have slots
        if not self._n_nodes:
            return self.command.launch(text, *options, **more)
        session = self.command.launch(text, *options, "--executor", "agents", **more)
        return self._joined(session)

    def follow_up(self, session: cpr.Session, task_id: str, prompt: str) -> cpr.Session:
        """Says something to the conversation of a task that has ended, in a new session."""
        executor = {"executor": "agents"} if self._n_nodes else {}
        with self._inside():
            return self._joined(session.task(task_id).follow_up(prompt, **executor))

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Makes this process one in the place's environment, for the library."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.work)
            for name in {*os.environ} - {"PYTEST_CURRENT_TEST"}:
                patch.delenv(name)
            for name, value in self.command.env.items():
                patch.setenv(name, value)
            yield

    def _joined(self, session: cpr.Session) -> cpr.Session:
        """A session that was just launched, after its nodes have joined it."""
        if self._n_nodes:
            names = [f"n{number}" for number in range(1, self._n_nodes + 1)]
            self.nodes.join(session, *names, slots=SLOTS)
        return session

    def finish(self, session: cpr.Session) -> cpr.Session:
        """Waits for the end of a session, its runner and its nodes."""
        session.wait(5 * LIMIT_S)  # a whole table of tasks
        await_lock(session.path / "runner.lock")
        if self._n_nodes:
            self.nodes.await_left(session)
            nodes = {task.fields.get("node") for task in session if task.fields.get("attempts")}
            assert nodes and None not in nodes, "each task that began says on which node"
            assert not (session.path / JOIN_FILE).exists()
        return session.refresh()

    # -- what is known of a session -------------------------------------------------------

    def known(self, session: cpr.Session, chance: set[str]) -> dict[str, Any]:
        """All that is known of a session that has ended, but for where and when it ran.

        Args:
            session: The session.
            chance: More fields that are left out.
        """
        status = json.loads((session.path / "status.json").read_bytes())
        return self._anywhere(
            session,
            {
                "tasks": [_without(task, _TASK | chance) for task in status.pop("tasks")],
                "head": _without(status, _HEAD | chance),
                "answers": [(task.text, task.structured, task.note) for task in session],
                "files": sorted(path.name for path in session.path.iterdir()),
                "journal": _events(session.path / "journal.jsonl"),
            },
        )

    def _anywhere(self, session: cpr.Session, known: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(known).replace(str(self.folder), "PLACE").replace(session.id, "SESSION")
        plain: dict[str, Any] = json.loads(_NUMBERS.sub("N", _HEX.sub("HEX", text)))
        return plain


def _without(fields: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _events(path: Path) -> dict[str, list[str]]:
    """The events of each task in the journal, in their order, and of the session: key → events."""
    events: dict[str, list[str]] = {}
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["event"] not in _PLACING:
            events.setdefault(entry.get("task_id", ""), []).append(entry["event"])
    return events


class Both(NamedTuple):
    """The same scenario in two places: on this machine, and on nodes."""

    local: Place
    remote: Place

    def play(
        self, scenario: Callable[[Place], cpr.Session], *chance: str
    ) -> tuple[cpr.Session, cpr.Session]:
        """Plays it in both, and compares all that is known afterwards.

        Args:
            scenario: Launches a session in a place, and does what a person does until its end.
            *chance: Fields in which even two runs on one machine may differ.

        Returns:
            The two sessions.
        """
        sessions = [place.finish(scenario(place)) for place in self]
        local, remote = (
            place.known(session, {*chance}) for place, session in zip(self, sessions, strict=True)
        )
        differing = "\n".join(_differences("", local, remote))
        assert not differing, f"here and on nodes:\n{differing}"
        return sessions[0], sessions[1]


def _differences(where: str, local: Any, remote: Any) -> Iterator[str]:
    """Where two trees of values differ, a line each."""
    if isinstance(local, dict) and isinstance(remote, dict):
        for name in sorted({*local, *remote}):
            yield from _differences(f"{where}.{name}", local.get(name), remote.get(name))
    elif isinstance(local, list) and isinstance(remote, list) and len(local) == len(remote):
        for number, (one, other) in enumerate(zip(local, remote, strict=True)):
            yield from _differences(f"{where}[{number}]", one, other)
    elif local != remote:
        yield f"{where}: {local!r} here, {remote!r} on nodes"
