"""A table of the documentation that the CLI's own behaviour fills: a column for each version."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from battery import cache_folder, get_binary

#: Name of a row → what was seen, in words.
Cells = dict[str, str]

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_SAME = "the same"


class MeasuredTable:
    """The table between a mark and the mark ``end`` of a page.

    Args:
        page: The name of the page in docs/.
        mark: The words of the mark before it.
        notes: The rows in their order → what cpr does about it, the last column; without them the
            rows are those that were measured, and there is no such column.
    """

    def __init__(self, page: str, mark: str, notes: Mapping[str, str] | None = None) -> None:
        self._page = _DOCS / page
        self._part = re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        self._notes = notes

    def write(self, measured: Mapping[str, Cells]) -> None:
        """Writes what was measured, of the newest version first, into the page."""
        newest, *older = measured.values()
        rows = list(self._notes or newest)
        assert all(set(cells) == set(rows) for cells in measured.values())
        heads = [*measured, "what cpr does"] if self._notes else [*measured]
        lines = [f"| | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for name in rows:
            words = [_SAME if cells[name] == newest[name] else cells[name] for cells in older]
            notes = [self._notes[name]] if self._notes else []
            lines.append(f"| {' | '.join([name, newest[name], *words, *notes])} |")
        text = "\n".join(lines) + "\n"
        self._page.write_text(
            self._part.sub(lambda _: text, self._page.read_text("utf-8")), "utf-8"
        )

    def read(self) -> dict[str, Cells]:
        """What the page says: version → row → words."""
        part = self._part.search(self._page.read_text("utf-8"))
        assert part, self._page
        head, _, *rows = [line.strip("| ").split(" | ") for line in part[0].splitlines()]
        versions = head[:-1] if self._notes else head
        return {
            version: {row[0]: row[1] if row[column] == _SAME else row[column] for row in rows}
            for column, version in enumerate(versions, 1)
        }

    def compare(self, measured: Mapping[str, Cells]) -> int:
        """Compares what was measured with the page; 1 if the page is wrong."""
        page = self.read()
        wrong = [
            f"{version}, {name}: {words}, but docs/{self._page.name} says {page[version].get(name)}"
            for version, cells in measured.items()
            for name, words in cells.items()
            if version in page and page[version].get(name) != words
        ]
        print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
        return 1 if wrong else 0


def measure_table(
    table: MeasuredTable,
    versions: Sequence[str],
    measure_all: Callable[[str], Cells],
    arguments: Sequence[str],
) -> int:
    """Measures each version, and writes or compares the page; returns the exit code.

    Args:
        table: The table.
        versions: The versions, if the command line names none; the newest first.
        measure_all: Measures all rows with a binary.
        arguments: The command line.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("versions", nargs="*", default=list(versions), metavar="VERSION")
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
        table.write(measured)
        return 0
    return table.compare(measured)
