"""Real repositories, and tasks whose worktrees are prepared and harvested by real processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.repository import SUBMODULE_SETUP, Checkout, Prepared, Runner


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, whose git configuration a test may change."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")


@pytest.fixture
def repo(tmp_path: Path) -> Checkout:
    """A repository with a few files and one commit."""
    checkout = Checkout.new(tmp_path / "shop")
    checkout.write(
        {"a.txt": "one\ntwo\nthree\n", "sub/b.txt": "b\n", ".gitignore": "*.log\nout/\n"}
    )
    checkout.commit("first")
    return checkout


@pytest.fixture
def work_repo(work: Path) -> Checkout:
    """The folder in which the command is called is a repository."""
    work.rmdir()
    checkout = Checkout.new(work)
    checkout.write({"a.txt": "one\n", "sub/b.txt": "b\n", ".gitignore": "results/\n"})
    checkout.commit("first")
    return checkout


@pytest.fixture
def new_runner(tmp_path: Path, repo: Checkout) -> Callable[[], Runner]:
    """Makes runners of sessions of their own; they are gone when the test is."""
    return lambda: Runner(tmp_path / "results", repo.path)


@pytest.fixture
def runner(new_runner: Callable[[], Runner]) -> Runner:
    """What a runner does of a session: it asks the helper to prepare and to harvest."""
    return new_runner()


@pytest.fixture
def library(repo: Checkout, tmp_path: Path) -> Checkout:
    """A repository that is a submodule, lib, of the other one."""
    library = Checkout.new(tmp_path / "library")
    library.commit("first", {"lib.txt": "lib\n", "more/m.txt": "m\n", ".gitignore": "*.tmp\n"})
    library.git("tag", "v1")
    library.commit("second", {"lib.txt": "library\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.path), "lib")
    repo.commit("with a submodule")
    return library


@pytest.fixture
def made(library: Checkout, runner: Runner) -> Prepared:
    """A worktree whose submodule set-up has filled."""
    made = runner.prepare("docs", setup=SUBMODULE_SETUP)
    assert (made.path / "lib/lib.txt").exists()
    return made
