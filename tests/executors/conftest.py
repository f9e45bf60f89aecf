"""Plays each scenario on this machine and on nodes: ``pytest tests/executors --nodes=3``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sharing.comparison import IMPATIENT
from testkit.logins import with_helper

from cpr_nb.offline.scripted_api import ScriptedApi
from executors.place import Both, Place

_N_NODES = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "how many nodes the scenarios of tests/executors run on; 0 compares this machine"
    parser.addoption("--nodes", type=int, default=_N_NODES, help=f"{text} with itself")


@pytest.fixture
def n_nodes(request: pytest.FixtureRequest) -> int:
    """How many nodes there are."""
    return int(request.config.getoption("--nodes", _N_NODES))


@pytest.fixture
def stubs(tmp_path: Path, stub_env: dict[str, str], n_nodes: int) -> Iterator[Both]:
    """Two places with the stub."""
    local = Place(tmp_path / "local", stub_env, 0)
    remote = Place(tmp_path / "remote", stub_env, n_nodes)
    with local.nodes, remote.nodes:
        yield Both(local, remote)


@pytest.fixture
def reals(tmp_path: Path, offline_env: dict[str, str], n_nodes: int) -> Iterator[Both]:
    """Two places with the real CLI, each with an API of its own."""
    with _reals(tmp_path, offline_env, n_nodes) as both:
        yield both


@pytest.fixture
def subscribers(tmp_path: Path, offline_env: dict[str, str], n_nodes: int) -> Iterator[Both]:
    """The same, with the login of a subscription instead of a key."""
    env = {**offline_env, "CLAUDE_CODE_OAUTH_TOKEN": offline_env["ANTHROPIC_API_KEY"]}
    del env["ANTHROPIC_API_KEY"]
    with _reals(tmp_path, env, n_nodes) as both:
        yield both


@pytest.fixture
def with_helpers(tmp_path: Path, offline_env: dict[str, str], n_nodes: int) -> Iterator[Both]:
    """The same, with a program that prints the key: a login that may come back.

    There is one node: of several, each would be tried before the session waits for a login.
    """
    with _reals(tmp_path, with_helper(offline_env), min(n_nodes, 1)) as both:
        yield both


@contextmanager
def _reals(folder: Path, env: dict[str, str], n_nodes: int) -> Iterator[Both]:
    with ScriptedApi() as local_api, ScriptedApi() as remote_api:
        impatient = {**env, **IMPATIENT}
        local = Place(folder / "local", impatient, 0, local_api)
        remote = Place(folder / "remote", impatient, n_nodes, remote_api)
        with local.nodes, remote.nodes:
            yield Both(local, remote)
