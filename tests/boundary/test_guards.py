"""Every guard can be taken out, and has a test that fails then; `mutations.py` shows all of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from boundary.catalog import all_rows
from boundary.guard import ROOT, Guard
from boundary.guards import all_guards
from boundary.mutations import Copy, is_caught

GUARDS = all_guards()
ROWS = {row.name for row in all_rows()}
BY_NAME = [pytest.param(guard, id=guard.name) for guard in GUARDS]
#: A sample of `mutations.py`: one that needs the command, and one that needs only the library.
SAMPLE = [
    guard
    for guard in GUARDS
    if guard.name in ("the seal of a session", "the comparison of a task's line")
]


def exists(test: str) -> bool:
    """Whether there is a test of this name."""
    path, _, name = test.partition("::")
    function, _, parameter = name.partition("[")
    tree = ast.parse((ROOT / path).read_text())
    is_there = any(
        isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body
    )
    is_row = path == "tests/boundary/test_boundary.py"
    return is_there and (not is_row or parameter.removesuffix("]") in ROWS)


@pytest.mark.parametrize("guard", BY_NAME)
def test_every_guard_can_be_taken_out_and_has_a_test(guard: Guard) -> None:
    source = (ROOT / "cpr_nb" / guard.file).read_text()
    compile(guard.taken_out(source), guard.file, "exec")
    assert exists(guard.test)


def test_every_guard_has_a_name_of_its_own() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


@pytest.mark.slow
@pytest.mark.parametrize("guard", [pytest.param(guard, id=guard.name) for guard in SAMPLE])
def test_a_guard_that_is_taken_out_is_missed(guard: Guard, tmp_path: Path) -> None:
    assert is_caught(Copy(tmp_path), guard) == (True, "fails")
