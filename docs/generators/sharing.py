"""docs/sharing.md: the table of what carries over, measured by the tests with several CLIs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_RUN = Path(__file__).resolve().parents[2] / "tests" / "sharing" / "run.py"


def measure_sharing() -> None:
    """Measures it, and writes it into the page."""
    subprocess.run([sys.executable, str(_RUN), "--docs"], check=True)  # noqa: S603
