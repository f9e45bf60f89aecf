"""``python -m benchmarks``: measures cpr_nb beside floors and rivals; see README.md here."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import (
    exports,
    frames,
    limits,
    listing,
    live_view,
    memory,
    nodes,
    pages,
    parallel,
    real_cli,
    report,
    shared,
    startup,
    tasks,
    tokens,
    transcripts,
    worktrees,
)
from benchmarks.lab import Lab, SkippedError

_GROUPS: dict[str, Callable[[Lab], Iterator[report.Comparison]]] = {
    "command": startup.measure_command,
    "launch": startup.measure_launch,
    "memory": memory.measure_memory,
    "list": listing.measure_listing,
    "live-view": live_view.measure_live_view,
    "frames": frames.measure_tables,
    "transcripts": transcripts.measure_transcripts,
    "report": pages.measure_reports,
    "export": exports.measure_exports,
    "real-cli": real_cli.measure_real_cli,
    "parallel": parallel.measure_parallel,
    "shared": shared.measure_shared,
    "nodes": nodes.measure_nodes,
    "quota": limits.measure_quota,
    "warm-start": limits.measure_warm_start,
    "tokens": tokens.measure_tokens,
    "worktrees": worktrees.measure_worktrees,
    "flat": tasks.measure_flatness,
    "tasks": tasks.measure_starting,
}


def main(argv: list[str]) -> int:
    """Measures and prints the table.

    Args:
        argv: The arguments without the program's name.

    Returns:
        0, even if a goal is missed: a benchmark reports, it does not fail a build.
    """
    options = _parser().parse_args(argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    rounds = 1 if options.quick else options.rounds
    print(_machine(), flush=True)
    if options.quick:
        print("A smoke run: small sizes, one round. The figures mean nothing.")
    print(report.header(), flush=True)
    with tempfile.TemporaryDirectory(prefix="cpr-benchmarks-") as folder:
        for name in options.only or _GROUPS:
            lab_folder = Path(folder, name)
            lab_folder.mkdir()
            lab = Lab(lab_folder, rounds, quick=options.quick)
            try:
                for row in _GROUPS[name](lab):
                    print(report.line(row, judge=not options.quick), flush=True)
            except SkippedError as reason:
                print(f"{name}: skipped, {reason}", flush=True)
        print(f"Load at the end: {_load()}", flush=True)
    return 0


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt  # ends what is running and removes the folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--quick", action="store_true", help="a smoke run of less than a minute")
    parser.add_argument(
        "--only",
        action="append",
        choices=_GROUPS,
        metavar="NAME",
        help=f"one of {', '.join(_GROUPS)}",
    )
    return parser


def _machine() -> str:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return (
        f"{today}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}, "
        f"load {_load()}"
    )


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
