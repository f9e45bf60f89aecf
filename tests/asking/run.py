"""Measures how the CLI asks for permission on its stream, with several versions.

Usage: python tests/asking/run.py [--binaries FOLDER] [--docs] [VERSION …]

A binary is FOLDER/VERSION/claude; what is not there is got as tests/battery.py gets it. `--docs`
writes the table of docs/asking.md. Without it, the table is compared with what was measured: it
exits with 1 if the page is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit, sharing, the battery

from battery import cache_folder, get_binary
from sharing.bench import Bench, Cells
from testkit.recording import RecordingApi

from asking.measurements import MEASUREMENTS

#: The newest version first.
VERSIONS = ("2.1.332", "2.1.227", "2.1.71")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "asking.md"
_SAME = "the same"
_PART = re.compile(r"(?<=<!-- what the CLI asks -->\n).*?(?=<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Measures each version, and writes or compares the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("versions", nargs="*", default=list(VERSIONS), metavar="VERSION")
    parser.add_argument("--binaries", type=Path, default=cache_folder(), metavar="FOLDER")
    parser.add_argument("--docs", action="store_true", help="write the table into the page")
    chosen = parser.parse_args(arguments)
    measured: dict[str, Cells] = {}
    for version in chosen.versions:
        binary = get_binary(version, chosen.binaries)
        if isinstance(binary, str):
            print(f"{version}: {binary}", file=sys.stderr)
            return 1
        measured[version] = measure_all(str(binary))
    if chosen.docs:
        write_page(measured)
        return 0
    page = read_page()
    wrong = [version for version, cells in measured.items() if page.get(version) != cells]
    print(*(f"{version}: docs/asking.md says something else" for version in wrong), sep="\n")
    return 1 if wrong else 0


def measure_all(claude: str) -> Cells:
    """All rows of one version, each measurement in a folder of its own."""
    cells: Cells = {}
    for measurement in MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix="cpr-asking-") as folder, RecordingApi() as api:
            token = f"asking-{os.getpid()}-{measurement.__name__}"
            cells |= measurement(Bench(claude, Path(folder).resolve(), api, token))
    print(*(f"{name}: {words}" for name, words in cells.items()), sep="\n", flush=True)
    return cells


def write_page(measured: Mapping[str, Cells]) -> None:
    """Writes what was measured into the page: a row each, a column for each version."""
    lines = [f"| | {' | '.join(measured)} |", "|---" * (len(measured) + 1) + "|"]
    newest, *older = measured.values()
    for name, words in newest.items():
        others = [_SAME if cells[name] == words else cells[name] for cells in older]
        lines.append(f"| {' | '.join([name, words, *others])} |")
    text = "\n".join(lines) + "\n"
    PAGE.write_text(_PART.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")


def read_page() -> Mapping[str, Cells]:
    """What the page says: version → row → words."""
    part = _PART.search(PAGE.read_text("utf-8"))
    assert part, PAGE
    head, _, *rows = [line.strip("| ").split(" | ") for line in part[0].splitlines()]
    return {
        version: {row[0]: row[1] if row[column] == _SAME else row[column] for row in rows}
        for column, version in enumerate(head, 1)
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
