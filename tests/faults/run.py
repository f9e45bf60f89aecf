"""Puts faults in, on purpose, and prints what became of the tasks: one table.

Usage: python tests/faults/run.py [--points 200] [--real 10] [--seed 0] [--only NAME]…
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for testkit and faults

from testkit import processes

from cpr_nb.model.errors import CprError
from cpr_nb.model.text import one_line
from faults.catalog import FAULTS
from faults.rows_disk import run_inside
from faults.table import HEADS, CannotInjectError, Fault, Tally, line, row
from faults.world import World, find_real_cli


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--real", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)  # see faults.rows_disk
    parser.add_argument("--only", action="append", choices=[fault.name for fault in FAULTS])
    args = parser.parse_args(argv)
    if args.inside:
        run_inside(*args.inside, find_real_cli())
        return 0
    print(line(HEADS), line(["---", "---:", "---:", "---:", "---:", "---"]), sep="\n", flush=True)
    claude, wrong = find_real_cli(), list[str]()
    for number, fault in enumerate(FAULTS):
        if not args.only or fault.name in args.only:
            points = args.real if fault.real else args.points
            tally = one(fault, number, claude, points, args.seed)
            wrong += [f"{fault.name}: {words}" for words in tally.wrong]
            print(row(fault.says, tally), flush=True)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def one(fault: Fault, number: int, claude: str | None, points: int, first: int) -> Tally:
    """Puts one fault in, in a folder of its own."""
    token = os.environ[processes.TOKEN] = f"faults-{os.getpid()}-{number}"
    try:
        with (
            tempfile.TemporaryDirectory(prefix="cpr-fault-") as folder,
            World(Path(folder), token, claude, points, first) as world,
        ):
            return world.run(fault.inject)
    except CannotInjectError as error:
        tally = Tally(f"not here: {error}")
        if os.environ.get("CPR_NO_SKIPS") == "1":
            tally.wrong.append(str(error))
        return tally
    except (CprError, AssertionError, OSError, TimeoutError) as error:
        traceback.print_exc(limit=-3)
        return Tally("", wrong=[f"{type(error).__name__}: {one_line(str(error))}"])
    finally:
        os.environ.pop(processes.TOKEN, None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
