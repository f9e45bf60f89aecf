"""Gates: what a method of statistics must hold on simulated data, cell by cell.

A module ``tests/stats/gates_NAME.py`` registers its gates here. ``tests/stats/gates.py`` runs all
of them, and ``tests/stats/test_gates.py`` a sample. Wrong methods are registered beside the right
one: they must fail, or the gate would pass anything.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FOLDER = Path(__file__).parent


class Cell(NamedTuple):
    """One figure of a gate with the bars between which it must lie."""

    name: str
    value: float
    least: float = -np.inf
    most: float = np.inf

    @property
    def is_held(self) -> bool:
        return bool(self.least <= self.value <= self.most)


#: Plays all cells: gets random numbers, the number of runs a cell, and the method.
Play = Callable[[np.random.Generator, int, Any], Iterator[Cell]]


class Gate(NamedTuple):
    """What a method must hold.

    Args:
        name: One word, for ``--only``.
        what: What each cell's figure is, with its unit.
        play: Plays all cells with a method.
        n_runs: How many runs a cell has.
        method: The one of the package.
        wrong: Name → a method that one could write first, and that must fail.
        sample_runs: How many runs a cell has in the tests; 0 leaves the gate out there.
    """

    name: str
    what: str
    play: Play
    n_runs: int
    method: Any
    wrong: Mapping[str, Any]
    sample_runs: int = 0


GATES: dict[str, Gate] = {}


def register(gate: Gate) -> Gate:
    """Adds a gate. A module may be loaded twice: by its folder's name and by its path."""
    other = GATES.get(gate.name)
    assert other is None or other.what == gate.what, f"two gates are called {gate.name}"
    GATES[gate.name] = gate
    return gate


def load_gates() -> dict[str, Gate]:
    """All gates, of all modules of this folder whose names begin with ``gates_``."""
    for path in sorted(FOLDER.glob("gates_*.py")):
        importlib.import_module(f"stats.{path.stem}")
    return GATES


def run_gate(gate: Gate, seed: int, n_runs: int, method: Any = None) -> list[Cell]:
    """Plays a gate: with the package's method, unless another one is given."""
    generator = np.random.default_rng(seed)
    return list(gate.play(generator, n_runs, gate.method if method is None else method))
