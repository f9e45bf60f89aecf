"""Measures how the CLI asks for permission on its stream, with several versions.

Usage: python tests/asking/run.py [--binaries FOLDER] [--docs] [VERSION …]

A binary is FOLDER/VERSION/claude; what is not there is got as tests/battery.py gets it. `--docs`
writes the table of docs/asking.md. Without it, the table is compared with what was measured: it
exits with 1 if the page is wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit, sharing, the battery

from sharing.bench import Bench
from testkit.measured_table import Cells, MeasuredTable, measure_table
from testkit.recording import RecordingApi

from asking.measurements import MEASUREMENTS

#: The newest version first.
VERSIONS = ("2.1.332", "2.1.227", "2.1.71")
TABLE = MeasuredTable("asking.md", "what the CLI asks")


def measure_all(claude: str) -> Cells:
    """All rows of one version, each measurement in a folder of its own."""
    cells: Cells = {}
    for measurement in MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix="cpr-asking-") as folder, RecordingApi() as api:
            token = f"asking-{os.getpid()}-{measurement.__name__}"
            cells |= measurement(Bench(claude, Path(folder).resolve(), api, token))
    print(*(f"{name}: {words}" for name, words in cells.items()), sep="\n", flush=True)
    return cells


if __name__ == "__main__":
    sys.exit(measure_table(TABLE, VERSIONS, measure_all, sys.argv[1:]))
