"""A Jupyter server for all browser tests, a browser for each module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testkit.processes import await_runners
from testkit.stub import Stub

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

if TYPE_CHECKING:  # where they are missing, the tests say so
    from testkit.jupyter import Browser, Notebook, Server

NOWHERE = "http://127.0.0.1:9"
# What the agents do in the story; a step that waits continues when the test releases it.
SCRIPT = {
    "rules": [
        {
            "match": "auth/token.py",
            "steps": [
                {"text": "I read the tests first.", "tool": "Bash", "input": {"command": "ls -a"}},
                {"wait": "token", "text": "The expiry is compared with local time."},
            ],
        },
        {"match": "auth/oauth.py", "steps": [{"fail": {"status": 400, "message": "refused"}}]},
        {"match": "auth/(saml|mfa).py", "steps": [{"wait": "rest", "text": "No bugs."}]},
        {"match": "auth/roles.py", "steps": [{"wait": "roles", "text": "No bugs."}]},
        {"match": "auth/slow.py", "steps": [{"wait": "never", "text": "Never said."}]},
    ],
    "default": [{"wait": "first", "text": "2 bugs, severity high"}],
}


@pytest.fixture(scope="session")
def browser_program() -> str:
    from testkit.jupyter import chromium

    program = chromium()
    if program is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    return program


@pytest.fixture
def story_api() -> Iterator[ScriptedApi]:
    with ScriptedApi(SCRIPT) as api:
        yield api


@pytest.fixture(scope="session")
def server(
    browser_program: str, tmp_path_factory: pytest.TempPathFactory, state_dir: None
) -> Iterator[Server]:
    from testkit.jupyter import Server

    folder = tmp_path_factory.mktemp("lab")
    (folder / "home").mkdir()
    env = cli_environment(NOWHERE, folder / "home")
    shared = {"CPR_STATE_DIR": os.environ["CPR_STATE_DIR"]}  # this process ends its sessions
    results = str(folder / "work" / "results")
    server = Server(folder, {**env, **shared, "CPR_RESULTS_DIR": results})
    yield server
    server.close()


@pytest.fixture(scope="module")
def browser(browser_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from testkit.jupyter import Browser

    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


Open = Callable[..., "Notebook"]


@pytest.fixture
def notebooks(server: Server, browser: Browser, story_api: ScriptedApi) -> Iterator[Open]:
    """Opens notebooks; at the end of the test nothing runs any more, and nothing has thrown."""
    from testkit.jupyter import Notebook

    opened: list[Notebook] = []

    def open_one(
        name: str, cells: list[str] | None, *, at: Server = server, dark: bool = False
    ) -> Notebook:
        notebook = Notebook(at, browser, name, cells, dark=dark)
        opened.append(notebook)
        return notebook

    yield open_one
    for notebook in opened:
        if not notebook.page.is_closed():
            notebook.close()
    end_sessions(server.work)
    assert [error for notebook in opened for error in notebook.errors] == []


def end_sessions(work: Path) -> None:
    """Ends what still runs of the sessions that notebooks have launched."""
    sessions = [cpr.Session(folder) for folder in work.rglob("session-*") if folder.is_dir()]
    for session in sessions:
        session.cancel()
    for session in sessions:
        session.wait(60)
    await_runners(work)


@pytest.fixture
def stub_for(server: Server, tmp_path: Path) -> Stub:
    """A stand-in for the CLI, for sessions that notebooks launch with ``claude_path``."""
    return Stub(tmp_path / "stub")
