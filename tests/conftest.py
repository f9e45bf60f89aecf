"""Fixtures of all tests; every test leaves nothing behind, or fails."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # for testkit

from testkit import processes
from testkit.command import Cpr, console_script
from testkit.examples import PROFILE
from testkit.previous import place_sessions
from testkit.repository import GIT_ENVIRONMENT, enter_git_environment
from testkit.stub import Stub

from cpr_nb.model.errors import ClaudeNotFound
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.store.programs import find_claude

# A script that runs the tests in the background has SIGINT ignored, and so would all we start.
for _number, _usual in [(signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, None)]:
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual or signal.SIG_DFL)

settings.register_profile("cpr_nb", PROFILE)
settings.load_profile("cpr_nb")

enter_git_environment()

REQUIRE_CLI = "CPR_REQUIRE_CLI"
REQUIRE_BROWSER = "CPR_REQUIRE_BROWSER"
#: What must have run at least once where the variable is 1: its marker, and what to report.
_REQUIRED = {
    REQUIRE_CLI: ("real_cli", "no test ran the real CLI"),
    REQUIRE_BROWSER: ("browser", "no test drove a browser"),
}
_NUMBERS = itertools.count(1)
NO_SKIPS = "CPR_NO_SKIPS"
_ran: set[str] = set()
_skipped: list[str] = []


# --- Nothing is left behind ---------------------------------------------------------------------


_RUN = asyncio.run


@pytest.fixture(autouse=True)
def token(request: pytest.FixtureRequest) -> Iterator[str]:
    """What marks the processes of this test; at its end, nothing may be left of it."""
    before = processes.Footprint()
    token = f"{os.getpid()}-{next(_NUMBERS)}"
    os.environ[processes.TOKEN] = token
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield token
    os.environ.pop(processes.TOKEN, None)
    asyncio.run = _RUN  # a wait in a test of the browser, where a loop runs, has changed it
    if folder is not None:
        processes.await_runners(folder)
    left = before.left_since(token)
    assert not left, "the test left behind: " + "; ".join(left)


# --- The slow ones first: at the end of a run every core has something to do ---------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


# --- The real CLI and the browser must have been there -------------------------------------------


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)
    elif report.when == "call":
        _ran.update(marker for marker, _ in _REQUIRED.values() if marker in report.keywords)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:  # a module that can't be imported here
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    missing = _missing(session.config) or _skips_count(session.config)
    if missing and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in _missing(config):
        terminalreporter.write_line(line, red=True)
    if _skips_count(config):
        terminalreporter.write_line(f"{NO_SKIPS}=1, but skipped: {', '.join(_skipped)}", red=True)


def _skips_count(config: pytest.Config) -> bool:
    return bool(_skipped and os.environ.get(NO_SKIPS) == "1" and not hasattr(config, "workerinput"))


def _missing(config: pytest.Config) -> list[str]:
    """What had to run and did not; the controller sees what all workers did."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return []
    return [
        f"{name}=1, but {message}"
        for name, (marker, message) in _REQUIRED.items()
        if os.environ.get(name) == "1" and marker not in _ran
    ]


# --- Environments -------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The state directory of whatever this process launches; never the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CPR_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def claude() -> str:
    """The real CLI."""
    try:
        return find_claude(None, os.environ)
    except ClaudeNotFound as error:
        if os.environ.get(REQUIRE_CLI) == "1":
            pytest.fail(f"{REQUIRE_CLI}=1: {error}")
        pytest.skip(f"no real CLI: {error}")


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """A loopback API that plays the scripts of the prompts."""
    with ScriptedApi() as server:
        yield server


def _environment(url: str, home: Path, token: str) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    tools = f"{Path(console_script()).parent}{os.pathsep}/usr/local/bin{os.pathsep}{os.defpath}"
    return {**cli_environment(url, home, path=tools), **GIT_ENVIRONMENT, processes.TOKEN: token}


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a test's commands; this process has its state directory, too."""
    home = tmp_path / "home"
    monkeypatch.setenv("CPR_STATE_DIR", str(home / ".local" / "state" / "cpr"))
    return home


@pytest.fixture
def offline_env(claude: str, api: ScriptedApi, own_home: Path, token: str) -> dict[str, str]:
    """The only environment in which the real CLI is started: no login, no way out."""
    return {**_environment(api.url, own_home, token), "CPR_CLAUDE": claude}


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    """A stand-in for the CLI."""
    return Stub(tmp_path / "stub")


@pytest.fixture
def stub_env(stub: Stub, own_home: Path, token: str) -> dict[str, str]:
    """An environment in which `claude` is the stub, and nothing answers at the API's address."""
    env = _environment("http://127.0.0.1:9", own_home, token)
    return {**env, "CPR_CLAUDE": str(stub)}


@pytest.fixture
def transcript(stub_env: dict[str, str]) -> Callable[[str], Path]:
    """Writes what the CLI keeps of a conversation, and the stub does not."""

    def write(conversation_id: str) -> Path:
        folder = Path(stub_env["CLAUDE_CONFIG_DIR"]) / "projects" / "-somewhere"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{conversation_id}.jsonl"
        path.write_text('{"type": "user", "message": {"role": "user", "content": "Do it."}}\n')
        return path

    return write


# --- The command --------------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder in which the command is called."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def stub_cpr(work: Path, stub_env: dict[str, str]) -> Cpr:
    """The installed command with the stub behind it."""
    return Cpr(work, stub_env)


@pytest.fixture
def real_cpr(work: Path, offline_env: dict[str, str]) -> Cpr:
    """The installed command with the real CLI behind it."""
    return Cpr(work, offline_env)


@pytest.fixture
def in_env(monkeypatch: pytest.MonkeyPatch, work: Path) -> Callable[[dict[str, str]], None]:
    """Makes an environment the one of this process, for the library; its folder is `work`."""

    def enter(env: dict[str, str]) -> None:
        monkeypatch.chdir(work)
        for name in set(os.environ) - {"PYTEST_CURRENT_TEST"}:
            monkeypatch.delenv(name)
        for name, value in env.items():
            monkeypatch.setenv(name, value)

    return enter


@pytest.fixture
def previous(
    work: Path, stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None]
) -> Path:
    """The results directory that the version before left behind, in `work`."""
    results = place_sessions(work)
    in_env(stub_env)
    return results
