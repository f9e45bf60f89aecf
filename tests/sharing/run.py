"""Measures what carries over from task to task in a process of the CLI, with several versions.

Usage: python tests/sharing/run.py [--binaries FOLDER] [--docs] [VERSION …]

A binary is FOLDER/VERSION/claude; what is not there is got as tests/battery.py gets it. `--docs`
writes docs/sharing.md, and so does `python docs/generate.py sharing`. Without it, the table is
compared with what was measured: it exits with 1 if the page is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # for testkit, sharing and the battery

from battery import cache_folder, get_binary
from testkit.recording import RecordingApi

from sharing.bench import Bench, Cells, Measurement
from sharing.table import MEASUREMENTS, read_page, write_page

#: The newest version first. The oldest is about the first whose ``/clear`` begins a conversation
#: where there is no terminal: 2.1.224 does so, 2.1.167 does not.
VERSIONS = ("2.1.332", "2.1.280", "2.1.227")


def main(arguments: list[str]) -> int:
    """Measures each version, and writes or compares the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=list(VERSIONS), metavar="VERSION")
    parser.add_argument("--binaries", type=Path, default=cache_folder(), metavar="FOLDER")
    parser.add_argument("--docs", action="store_true", help="write the table into the page")
    chosen = parser.parse_args(arguments)
    found = {}
    for version in chosen.versions:
        binary = get_binary(version, chosen.binaries)
        if isinstance(binary, str):
            print(f"{version}: {binary}", file=sys.stderr)
            return 1
        found[version] = measure_all(str(binary))
    if chosen.docs:
        write_page(found)
        return 0
    return compare(found)


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


def compare(found: dict[str, Cells]) -> int:
    """Compares what was measured with the page; 1 if the page is wrong."""
    page = read_page()
    wrong = [
        f"{version}, {name}: {words}, but docs/sharing.md says {page[version].get(name)}"
        for version, cells in found.items()
        for name, words in cells.items()
        if version in page and page[version].get(name) != words
    ]
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
