"""Runs the scenarios with cpr itself, against a scripted API on loopback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.session import Session
from cpr_nb.launching.cli_cache import read_version
from cpr_nb.launching.plan import plan_launch
from cpr_nb.launching.rerun import plan_rerun
from cpr_nb.model import states
from cpr_nb.model.errors import CprError
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.probe.scenarios import SESSION_OPTIONS
from cpr_nb.probe.seen import PID_FILE, Finding, compare, look
from cpr_nb.probe.shared import PROMISE, SHARING, judge_sharing, start_sharing

if TYPE_CHECKING:
    from cpr_nb.handles.task import Task
    from cpr_nb.probe.scenarios import Scenario

AT_ONCE = 4
#: A task that hangs ends here; none needs a tenth of it.
_LIMIT_S = 120.0
_WAITING_S = 5.0
_POLL_S = 0.05


class Probe:
    """One probe of one CLI. It changes the environment and the folder of this process.

    Args:
        claude_path: The CLI.
        folder: An empty folder for everything.
        api: The scripted API.
    """

    def __init__(self, claude_path: str, folder: Path, api: ScriptedApi) -> None:
        self._folder = folder
        self._api = api
        self._tasks: dict[str, Task] = {}
        self._usd_per_request: float | None = None
        self._live: list[Session] = []
        home = folder / "home"
        (home / ".claude").mkdir(parents=True)
        # Tasks that start together must not lose what the clean-up of one of them removes.
        (home / ".claude" / ".last-cleanup").write_text(f"{datetime.now(UTC):%FT%T.000Z}", "ascii")
        environment = cli_environment(api.url, home, path=os.environ.get("PATH"))
        os.environ.clear()  # so that nothing of the user's reaches a task
        os.environ.update({**environment, "CPR_CLAUDE": claude_path})  # for follow-ups, too
        os.chdir(folder)  # no pyproject.toml, no results directory
        self._version = read_version(claude_path, os.environ)

    def run(self, scenarios: Sequence[Scenario]) -> Iterator[Finding]:
        """Runs scenarios, those of one group side by side; yields what was found as they end."""
        for _, group in groupby(scenarios, key=lambda scenario: scenario.group):
            possible = []
            for scenario in group:
                refusal = self._refusal(scenario)
                if refusal is None:
                    possible.append(scenario)
                else:
                    yield refusal
            yield from self._run_group(possible)

    def run_sharing(self) -> Finding:
        """Runs tasks that one process serves, and says what was found."""
        n_before = len(self._api.requests)
        try:
            session = start_sharing(self._folder, self._options())
        except CprError as error:
            return Finding(SHARING, PROMISE, {}, {}, {}, "refused", str(error))
        self._live.append(session)
        for _ in self._ended(session):
            pass  # the one that waits is cancelled
        self._live.remove(session)
        return judge_sharing(session, self._api.requests[n_before:], self._folder)

    def stop(self) -> None:
        """Cancels whatever still runs."""
        for session in self._live:
            session.cancel()
            session.wait(_LIMIT_S)

    def _refusal(self, scenario: Scenario) -> Finding | None:
        """Why a scenario is not run: this version can't do it, or cpr refuses it; else None."""
        unrun = Finding(scenario.name, scenario.promise, {}, {}, {}, "not tried")
        if scenario.follows and scenario.follows not in self._tasks:
            return unrun._replace(refusal=f"it follows {scenario.follows!r}, which did not run")
        try:
            if scenario.follows:
                plan_rerun([self._tasks[scenario.follows].to_rerun(scenario.prompt)], {})
            else:
                plan_launch([self._element(scenario)], self._options(scenario.group))
        except CprError as error:
            return unrun._replace(verdict="refused", refusal=str(error))
        if self._version is not None and self._version < scenario.since:
            since = ".".join(map(str, scenario.since))
            return unrun._replace(refusal=f"Claude Code can do it since {since}")
        return None

    def _run_group(self, scenarios: list[Scenario]) -> Iterator[Finding]:
        for session, by_id in self._start(scenarios):
            self._live.append(session)
            for task in self._ended(session):
                yield self._finding(by_id[task.id], task)
            self._live.remove(session)

    def _start(self, scenarios: list[Scenario]) -> Iterator[tuple[Session, dict[str, Scenario]]]:
        """Starts sessions; each comes with its task ids and their scenarios."""
        fresh = [scenario for scenario in scenarios if not scenario.follows]
        if fresh:
            elements = [self._element(scenario) for scenario in fresh]
            plan = plan_launch(elements, self._options(fresh[0].group))
            session = Session.from_plan(plan, reuse=False)
            yield session, {_task_id(scenario): scenario for scenario in fresh}
        for scenario in scenarios:
            if scenario.follows:
                element = self._element(scenario)
                options = {name: element[name] for name in ("env", "timeout_s")}
                before = self._tasks[scenario.follows]
                # A follow-up keeps the folder and the id of what it follows.
                session = before.follow_up(scenario.prompt, fresh=True, **options)
                yield session, {before.id: scenario}

    def _options(self, group: str = "") -> dict[str, Any]:
        return {
            **SESSION_OPTIONS.get(group, {}),
            "results_dir": self._folder / "results",
            "max_parallel": AT_ONCE,
        }

    def _element(self, scenario: Scenario) -> dict[str, Any]:
        """The scenario's task: in a folder of its own, with an API address of its own."""
        folder = self._folder_of(scenario)
        folder.mkdir(exist_ok=True)
        address = f"{self._api.url}/{_task_id(scenario)}"
        options = {"timeout_s": _LIMIT_S, **scenario.options}
        env = {"ANTHROPIC_BASE_URL": address, **options.pop("env", {})}
        if scenario.settings:
            env["CLAUDE_CONFIG_DIR"] = str(self._configuration(scenario))
        task_id = _task_id(scenario)
        return {"id": task_id, "prompt": scenario.prompt, "cwd": folder, "env": env, **options}

    def _configuration(self, scenario: Scenario) -> Path:
        """A folder with the CLI's configuration for one scenario."""
        folder = self._folder / f"configuration-{_task_id(scenario)}"
        folder.mkdir(exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(scenario.settings), "utf-8")
        return folder

    def _folder_of(self, scenario: Scenario) -> Path:
        return self._folder / f"work-{_task_id(scenario)}"

    def _ended(self, session: Session) -> Iterator[Task]:
        """The tasks as they end; one that waits to be stopped is cancelled as soon as it runs."""
        left = list(session)
        end_s = time.monotonic() + 3 * _LIMIT_S
        while left:
            for task in [task for task in left if task.done()]:
                left.remove(task)
                yield task
            for task in left:
                if (self._folder / f"work-{task.id}" / PID_FILE).exists():
                    task.cancel()
            if session.state == states.WAITING:  # for what can't come here, such as a login
                end_s = min(end_s, time.monotonic() + _WAITING_S)
            if time.monotonic() > end_s:
                session.cancel()
            time.sleep(_POLL_S)
        session.wait(_LIMIT_S)

    def _finding(self, scenario: Scenario, task: Task) -> Finding:
        self._tasks[scenario.name] = task
        prefix = f"/{_task_id(scenario)}/"
        requests = [record for record in self._api.requests if record.path.startswith(prefix)]
        try:
            seen = look(scenario, task, self._folder_of(scenario), requests, self._usd_per_request)
        except (CprError, OSError) as error:
            seen = {"outcome": f"{type(error).__name__}: {error}"}
        if self._usd_per_request is None and seen.get("cost") and seen.get("requests"):
            self._usd_per_request = float(task.cost_usd or 0) / seen["requests"]
        return compare(scenario, seen)


def _task_id(scenario: Scenario) -> str:
    return scenario.name.replace(" ", "-")
