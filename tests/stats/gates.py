"""Plays every gate and prints every cell: what the statistics promise, on simulated data.

Usage: python tests/stats/gates.py [--only NAME]… [--runs N] [--seed N] [--right]

The seed is drawn when it runs, and printed. After each gate, wrong methods play it: a gate that one
of them passes is a failure, too. ``--right`` leaves them out. A right build fails the whole page in
about 1 of 100 runs, because its figures are drawn: play the gate again with --runs 8000 then.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for stats

from stats.gate import Cell, Gate, load_gates, run_gate


def main(argv: Sequence[str]) -> int:
    usage = (__doc__ or "").split("Usage: ")[1].split("\n\n")[0]
    parser = argparse.ArgumentParser(description=__doc__, usage=usage)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--right", action="store_true")
    options = parser.parse_args(argv)
    gates = [
        gate for gate in load_gates().values() if gate.name in options.only or not options.only
    ]
    print(f"seed {options.seed}")
    n_failed = 0
    for gate in gates:
        n_runs = options.runs or gate.n_runs
        n_failed += not _play(gate, options.seed, n_runs, with_wrong=not options.right)
    print(f"{len(gates)} gates, {n_failed} failed, seed {options.seed}")
    return min(n_failed, 1)


def _play(gate: Gate, seed: int, n_runs: int, *, with_wrong: bool) -> bool:
    started_s = time.monotonic()
    cells = run_gate(gate, seed, n_runs)
    print(f"\n{gate.name}: {gate.what}; {n_runs} runs a cell")
    for cell in cells:
        print(f"  {_line(cell)}")
    is_held = all(cell.is_held for cell in cells)
    print(f"  {'held' if is_held else 'NOT HELD'}, {time.monotonic() - started_s:.0f} s")
    for name, method in gate.wrong.items() if with_wrong else ():
        wrong_cells = run_gate(gate, seed, n_runs, method)
        failed = [cell for cell in wrong_cells if not cell.is_held]
        is_held &= bool(failed)
        worst = min(failed, key=_distance) if failed else None
        verdict = f"fails {len(failed)} of {len(wrong_cells)}" if failed else "PASSES"
        print(f"  wrong: {name} {verdict}{f', such as {_line(worst)}' if worst else ''}")
    return is_held


def _distance(cell: Cell) -> float:
    """How far a cell is outside its bars, as a negative number."""
    return min(cell.value - cell.least, cell.most - cell.value)


def _line(cell: Cell) -> str:
    bars = [f"at least {cell.least:g}"] if cell.least > -float("inf") else []
    bars += [f"at most {cell.most:g}"] if cell.most < float("inf") else []
    mark = "" if cell.is_held else "  FAILS"
    return f"{cell.name}: {cell.value:.4g} ({' and '.join(bars) or 'no bar'}){mark}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
