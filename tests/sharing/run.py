"""Measures what carries over from task to task in a process of the CLI, with several versions.

Usage: python tests/sharing/run.py [--binaries FOLDER] [--docs] [VERSION …]

A binary is FOLDER/VERSION/claude; what is not there is got as tests/battery.py gets it. `--docs`
writes docs/sharing.md, and so does `python docs/generate.py sharing`. Without it, the table is
compared with what was measured: it exits with 1 if the page is wrong.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # for testkit, sharing and the battery

from testkit.measured_table import Cells, measure_table
from testkit.recording import RecordingApi

from sharing.bench import Bench, Measurement
from sharing.table import MEASUREMENTS, TABLE

#: The newest version first. The oldest is about the first whose ``/clear`` begins a conversation
#: where there is no terminal: 2.1.224 does so, 2.1.167 does not.
VERSIONS = ("2.1.332", "2.1.280", "2.1.227")


def measure_all(claude: str) -> Cells:
    """All rows of one version."""
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda one: measure(one, claude), MEASUREMENTS))
    return {name: words for part in parts for name, words in part.items()}


def measure(measurement: Measurement, claude: str) -> Cells:
    """The rows of one measurement, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cpr-sharing-") as folder, RecordingApi() as api:
        cells = measurement(
            Bench(
                claude, Path(folder).resolve(), api, f"sharing-{os.getpid()}-{measurement.__name__}"
            )
        )
        print(*(f"{name}: {words}" for name, words in cells.items()), sep="\n", flush=True)
        return cells


if __name__ == "__main__":
    sys.exit(measure_table(TABLE, VERSIONS, measure_all, sys.argv[1:]))
