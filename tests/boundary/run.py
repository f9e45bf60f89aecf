"""Attacks everything, and prints what ran, what was deleted and what escaped: one table of zeros.

Usage: python tests/boundary/run.py [--only WORDS]… [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit, faults, boundary

from faults.world import find_real_cli
from testkit import processes
from testkit.repository import enter_git_environment

from boundary.catalog import all_rows
from boundary.place import Place
from boundary.table import HEADS, CannotAttackError, Row, Verdict, line, line_of
from cpr_nb.model.text import one_line


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--only", action="append", help="rows whose name has these words")
    parser.add_argument("--quick", action="store_true", help="without the slow rows")
    args = parser.parse_args(argv)
    enter_git_environment()
    print(line(HEADS), line(["---", "---", "---:", "---:", "---:"]), sep="\n", flush=True)
    claude, bad, n_rows = find_real_cli(), list[str](), 0
    for number, row in enumerate(all_rows()):
        if (args.quick and row.slow) or not _is_wanted(row, args.only):
            continue
        verdict = carry_out(row, number, claude)
        print(line_of(row, verdict), flush=True)
        n_rows += 1
        parts = (verdict.ran, verdict.deleted, verdict.escaped, verdict.wrong)
        bad += [f"{row.name}: {words}" for part in parts for words in part]
    print(*bad, sep="\n", end="\n" if bad else "", file=sys.stderr)
    return 1 if bad or not n_rows else 0


def _is_wanted(row: Row, words: list[str] | None) -> bool:
    return not words or any(word in row.name for word in words)


def carry_out(row: Row, number: int, claude: str | None) -> Verdict:
    """Carries out one attack, in a folder of its own."""
    token = os.environ[processes.TOKEN] = f"boundary-{os.getpid()}-{number}"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="cpr-boundary-") as folder,
            Place(Path(folder), token, claude) as place,
        ):
            with contextlib.redirect_stdout(sys.stderr):  # the table stays a table
                row.carry_out(place)
            return place.verdict()
    except CannotAttackError as error:
        is_failure = os.environ.get("CPR_NO_SKIPS") == "1"
        print(f"{row.name}: not here: {error}", file=sys.stderr)
        return Verdict(wrong=(f"not here: {error}",) if is_failure else ())
    except Exception as error:
        traceback.print_exc(limit=-3)
        return Verdict(wrong=(f"{type(error).__name__}: {one_line(str(error))}",))
    finally:
        os.environ.pop(processes.TOKEN, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
