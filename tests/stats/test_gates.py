"""A sample of the gates of ``tests/stats/gates.py``, and that wrong methods fail them."""

from __future__ import annotations

import secrets

import pytest
from stats.gate import Cell, Gate, load_gates, run_gate

SAMPLE = [pytest.param(gate, id=name) for name, gate in load_gates().items() if gate.sample_runs]
WRONG = [
    pytest.param(gate, wrong, id=f"{name}-{wrong}".replace(" ", "-"))
    for name, gate in load_gates().items()
    if gate.sample_runs
    for wrong in gate.wrong
]


def failures(cells: list[Cell]) -> list[str]:
    return [str(cell) for cell in cells if not cell.is_held]


@pytest.mark.parametrize("gate", SAMPLE)
def test_the_method_holds(gate: Gate) -> None:
    """A right method may fail by chance, and then not again in four times as many runs."""
    seed = secrets.randbelow(2**32)
    found = failures(run_gate(gate, seed, gate.sample_runs))
    if found:
        found = failures(run_gate(gate, seed + 1, 4 * gate.sample_runs))
    assert not found, f"seed {seed}"


@pytest.mark.parametrize(("gate", "wrong"), WRONG)
def test_a_wrong_method_fails(gate: Gate, wrong: str) -> None:
    seed = secrets.randbelow(2**32)
    cells = run_gate(gate, seed, gate.sample_runs, gate.wrong[wrong])
    assert failures(cells), f"seed {seed}"
