"""Starting tasks: the runner beside a loop in C, xargs and GNU parallel."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import detached
from benchmarks.lab import Lab, Run, measure, run_program
from benchmarks.report import Comparison, compare
from cpr_nb.runner.command import build_argv

_SIZES = ((100, 8), (1000, 8), (5000, 8), (5000, 64))
_QUICK_SIZES = ((50, 8), (200, 64))
#: The size that the goals are for.
_GOAL_SIZE = (5000, 64)
_CPU_LIMIT = 1.4
_XARGS_LIMIT = 1.0
_PARALLEL_LIMIT = 1 / 6

_FLAT_SIZES = (100, 1000, 10_000)
_QUICK_FLAT_SIZES = (20, 60, 200)
# "Flat" allows for the noise of a machine.
_FLAT_LIMIT = 1.25

_FLOOR, _XARGS, _PARALLEL = "C fork, exec, wait", "xargs -P, sh -c '… >file'", "GNU parallel"
_CONVERSATION = "00000000-0000-4000-8000-000000000000"


class _Size(NamedTuple):
    n_tasks: int
    parallel: int


def measure_starting(lab: Lab) -> Iterator[Comparison]:
    """Wall time, and CPU time per task; ours are measured from launch() to the runner's end."""
    detached.adopt_orphans()
    for size in _QUICK_SIZES if lab.quick else _SIZES:
        yield from _one_size(lab, _Size(*size))


def measure_flatness(lab: Lab) -> Iterator[Comparison]:
    """What one more task costs the runner itself, in a large session and in a small one.

    Differences leave out what each session costs once, such as the start of Python.
    """
    detached.adopt_orphans()
    small, middle, large = _QUICK_FLAT_SIZES if lab.quick else _FLAT_SIZES
    sizes = {str(n): _ours_own(lab, _Size(n, 8)) for n in (small, middle, large)}
    own = lab.interleave(sizes)
    first = _cost_of_one_more(own, small, middle)
    second = _cost_of_one_more(own, middle, large)
    tick_s = 0.01 / (middle - small)  # the kernel counts in ticks
    yield compare(
        f"own CPU of one more task, N = {middle} to {large}",
        second,
        f"N = {small} to {middle}",
        [max(cost, tick_s) for cost in first],
        unit="ms",
        limit=_FLAT_LIMIT,
    )


def _cost_of_one_more(own: dict[str, list[float]], fewer: int, more: int) -> list[float]:
    rounds = zip(own[str(fewer)], own[str(more)], strict=True)
    return [(of_more - of_fewer) / (more - fewer) for of_fewer, of_more in rounds]


def _one_size(lab: Lab, size: _Size) -> Iterator[Comparison]:
    rivals: dict[str, Callable[[], Run]] = {
        _FLOOR: lambda: _floor(lab, size),
        "ours": lambda: _ours(lab, size),
        _XARGS: lambda: _xargs(lab, size),
    }
    if shutil.which("parallel"):
        rivals[_PARALLEL] = lambda: _parallel(lab, size)
    lab.program("stub")
    lab.program("floor")
    runs = lab.interleave(rivals)
    is_goal = lab.quick or (size.n_tasks, size.parallel) == _GOAL_SIZE
    walls = {name: [run.wall_s for run in series] for name, series in runs.items()}
    cpus = {name: [run.cpu_s / size.n_tasks for run in series] for name, series in runs.items()}
    of_size = f"N = {size.n_tasks}, P = {size.parallel}"

    def row(quantity: str, rival: str, limit: float | None) -> Comparison:
        figures, unit = (walls, "s") if quantity == "wall" else (cpus, "ms")
        return compare(
            f"{of_size}: {quantity}",
            figures["ours"],
            rival,
            figures[rival],
            unit=unit,
            limit=limit if is_goal else None,
        )

    yield row("wall", _FLOOR, None)
    yield row("CPU per task", _FLOOR, _CPU_LIMIT)
    yield row("wall", _XARGS, _XARGS_LIMIT)
    yield row("CPU per task", _XARGS, None)
    if _PARALLEL in rivals:
        yield row("wall", _PARALLEL, _PARALLEL_LIMIT)
    else:
        yield Comparison(f"{of_size}: wall", "", _PARALLEL, "not installed", None, "", None)


def _prompts(size: _Size) -> list[str]:
    return [f"task {number}" for number in range(size.n_tasks)]


def _ours(lab: Lab, size: _Size) -> Run:
    folder, claude = lab.fresh("ours"), lab.program("stub")
    return measure(
        lambda: detached.run_session(
            _prompts(size), claude, folder, lab.environment, max_parallel=size.parallel
        )
    )


def _ours_own(lab: Lab, size: _Size) -> Callable[[], float]:
    def own_s() -> float:
        folder, claude = lab.fresh("flat"), lab.program("stub")
        return detached.run_session(
            _prompts(size), claude, folder, lab.environment, max_parallel=size.parallel
        ).own_s

    return own_s


def _argv(lab: Lab) -> list[str]:
    """The arguments that the runner gives each task; all rivals pass them, since they cost time."""
    return build_argv(str(lab.program("stub")), {}, _CONVERSATION)


def _floor(lab: Lab, size: _Size) -> Run:
    folder = lab.fresh("floor")
    argv = [str(lab.program("floor")), str(folder), str(size.n_tasks), str(size.parallel)]
    argv += _argv(lab)
    return measure(lambda: run_program(argv, lab.environment))


def _xargs(lab: Lab, size: _Size) -> Run:
    command = _to_file(lab, lab.fresh("xargs"))
    argv = ["xargs", "-P", str(size.parallel), "-I{}", "sh", "-c", command]
    return measure(lambda: run_program(argv, lab.environment, feed=_numbers(size)))


def _parallel(lab: Lab, size: _Size) -> Run:
    command = _to_file(lab, lab.fresh("parallel"))
    argv = ["parallel", "--will-cite", "-j", str(size.parallel), command]
    return measure(lambda: run_program(argv, lab.environment, feed=_numbers(size)))


def _to_file(lab: Lab, folder: Path) -> str:
    return f"{' '.join(_argv(lab))} >{folder}/task-{{}}.jsonl"


def _numbers(size: _Size) -> bytes:
    return b"".join(b"%d\n" % number for number in range(size.n_tasks))
