"""The benchmarks run; what they measure is for `python -m benchmarks`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def smoke(group: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", group],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "skipped" not in done.stdout
    assert len(done.stdout.splitlines()) > 3


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the stub")
@pytest.mark.parametrize(
    "group",
    [
        "command",
        "launch",
        "memory",
        "list",
        "frames",
        "transcripts",
        "report",
        "tasks",
        "worktrees",
    ],
)
def test_a_smoke_run_prints_a_row(group: str) -> None:
    smoke(group)


@pytest.mark.real_cli
@pytest.mark.usefixtures("claude")
@pytest.mark.parametrize("group", ["nodes", "quota", "warm-start", "shared", "tokens"])
def test_a_smoke_run_with_the_real_cli_prints_a_row(group: str) -> None:
    smoke(group)


@pytest.mark.browser
@pytest.mark.xdist_group("browser")
def test_a_smoke_run_of_the_live_view_prints_its_rows() -> None:
    pytest.importorskip("jupyterlab", reason="no JupyterLab: pip install -e '.[test]'")
    pytest.importorskip("playwright", reason="no Playwright: pip install -e '.[test]'")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no chromium on PATH: apt-get install chromium")
    smoke("live-view")
