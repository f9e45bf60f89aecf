"""Breaks machines, networks and engines under sessions of the real CLI: one table.

Usage: python tests/nodes/run.py [--tasks 24] [--only NAME]… [--list] [--keep FOLDER]

A row that this machine does not allow is a failure, and says why. ``--keep`` leaves the files of
rows that fail in a folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from subprocess import SubprocessError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit, faults and nodes

from faults.table import HEADS, CannotInjectError, Tally, line, row
from faults.world import find_real_cli
from testkit import processes

from cpr_nb.model.text import one_line
from nodes.catalog import ROWS, Row


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--only", action="append", choices=[each.name for each in ROWS])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", type=Path)
    args = parser.parse_args(argv)
    if args.list:
        print(*(f"{each.name:28} {each.says}" for each in ROWS), sep="\n")
        return 0
    print(line(HEADS), line(["---", "---:", "---:", "---:", "---:", "---"]), sep="\n", flush=True)
    claude, wrong = find_real_cli(), list[str]()
    for each in ROWS:
        if not args.only or each.name in args.only:
            began = time.monotonic()
            tally = one(each, claude, args.tasks, args.keep)
            wrong += [f"{each.name}: {words}" for words in tally.wrong]
            print(row(f"{each.says}, {time.monotonic() - began:.0f} s", tally), flush=True)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def one(each: Row, claude: str | None, n_tasks: int, keep: Path | None = None) -> Tally:
    """Plays one row, on hosts of its own."""
    token = os.environ[processes.TOKEN] = f"nodes-{os.getpid()}-{each.name}"
    folder = Path(tempfile.mkdtemp(prefix="cpr-nodes-"))
    names = [f"t{number}" for number in range(n_tasks)]
    tally = Tally("", wrong=["it did not end"])
    try:
        with each.cluster(folder, token, claude) as cluster:
            tally = each.play(cluster, names)
    except CannotInjectError as error:
        tally = Tally("", wrong=[f"not here: {error}"])
    except (AssertionError, OSError, TimeoutError, ValueError, KeyError, SubprocessError) as error:
        traceback.print_exc(limit=-3)
        tally = Tally("", wrong=[f"{type(error).__name__}: {one_line(str(error))}"])
    finally:
        os.environ.pop(processes.TOKEN, None)
        for pid, command in processes.survivors(token).items():
            processes.end(pid)
            tally.wrong.append(f"left behind: {command}")
        if keep is not None and tally.wrong:
            keep.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", folder, keep / each.name], check=False)
        shutil.rmtree(folder, ignore_errors=True)
    return tally


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
