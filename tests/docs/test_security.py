"""docs/security.md: every promise names tests, and these exist."""

from __future__ import annotations

import re

import pytest
from boundary.catalog import all_rows
from boundary.guard import ROOT
from boundary.test_guards import exists

ATTACKS = {row.attack for row in all_rows()}
_ROW = re.compile(r"`` (.+?) ``|`([^`]+)`")
_TEST = re.compile(r"`(tests/\S+?::\w+)`")


def _promises() -> list[list[str]]:
    text = (ROOT / "docs" / "security.md").read_text()
    table = text.partition("<!-- promises -->\n")[2].partition("<!-- end -->")[0]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return [[cell.strip() for cell in cells] for cells in lines[2:]]


@pytest.mark.parametrize("promise", [pytest.param(cells, id=cells[1]) for cells in _promises()])
def test_every_promise_names_tests_that_exist(promise: list[str]) -> None:
    _, _, guard, cell = promise
    tests = _TEST.findall(cell)
    rows = [first or second for first, second in _ROW.findall(_TEST.sub("", cell))]
    assert guard and (rows or tests), promise
    assert [row for row in rows if row not in ATTACKS] == []
    assert [test for test in tests if not exists(test)] == []


def test_every_kind_of_attack_is_a_promise() -> None:
    text = " ".join(promise[3] for promise in _promises())
    assert [attack for attack in ATTACKS if attack not in text] == []
