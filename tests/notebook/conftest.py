"""A real shell and a real kernel, with the stub as the CLI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from testkit.kernel import Kernel
from traitlets.config import Config


class Shell:
    """A shell in this process: what a cell prints, shows and returns."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        self.ipython = InteractiveShell.instance(config=config)
        self._capsys = capsys
        self.good("%load_ext cpr_nb")

    def __call__(self, cell: str) -> tuple[Any, str, str]:
        """Runs a cell: its value (or the error), what it printed, what it told on stderr."""
        self._capsys.readouterr()
        done = self.ipython.run_cell(cell, store_history=True)
        out, err = self._capsys.readouterr()
        return (done.result if done.success else done.error_in_exec), out, err

    def good(self, cell: str) -> Any:
        """Runs a cell, which must succeed; returns its value."""
        value, _, err = self(cell)
        assert not isinstance(value, BaseException), err
        return value

    def __getitem__(self, name: str) -> Any:
        return self.ipython.user_ns[name]

    def completions(self, line: str) -> list[str]:
        return list(self.ipython.complete("", line, len(line))[1])


@pytest.fixture
def shell(
    in_env: Callable[[dict[str, str]], None],
    stub_env: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    in_env(stub_env)
    shell = Shell(capsys)
    yield shell
    shell.good("%unload_ext cpr_nb")  # what it changes is for the whole process
    InteractiveShell.clear_instance()


@pytest.fixture
def kernel(work: Path, stub_env: dict[str, str]) -> Iterator[Kernel]:
    with Kernel(work, stub_env) as kernel:
        kernel.good("import asyncio, sys\nimport cpr_nb as cpr\n%load_ext cpr_nb")
        yield kernel
