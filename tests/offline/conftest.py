"""Fixtures of the scripted API's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.cli import Cli


@pytest.fixture
def cli(claude: str, tmp_path: Path) -> Iterator[Cli]:
    """Starts the real CLI; what still runs at the end of the test is ended."""
    start = Cli(claude, tmp_path)
    yield start
    for run in start.runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()
