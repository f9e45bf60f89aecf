"""Names say what a value is or what a function makes; vague ones may only become fewer.

`told`, `found`, `take`, `look`, `asked` and their like fit every value and every function, so the
reader has to look up what each of them means. They once were one name in twenty here, and they
come back one at a time, each of them harmless. So this test counts them and holds the share.
Variables are reported by ``python tests/architecture/names.py --all`` only: a name that lives for
three lines may be short.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from architecture.names import PACKAGE, is_vague, read_bindings, vague_percentage

#: Never raise it.
MOST_PERCENT = 0.5


def test_few_names_are_vague() -> None:
    assert vague_percentage(read_bindings(PACKAGE)) < MOST_PERCENT


@pytest.mark.parametrize("name", ["told", "_told", "found2", "take_odd", "Asked", "at", "_WHAT"])
def test_a_name_that_says_nothing_is_vague(name: str) -> None:
    assert is_vague(name)


@pytest.mark.parametrize("name", ["started_at", "SessionNotFound", "outlook", "payload", "_", "x2"])
def test_a_name_that_says_something_is_not_vague(name: str) -> None:
    assert not is_vague(name)


def test_names_of_every_kind_are_counted(tmp_path: Path) -> None:
    (tmp_path / "found.py").write_text(
        "class Told:\n    def __init__(self, given, *, name, **asked): self.known = name\n"
        "async def take(): made = lambda look: 1\n"
    )
    bindings = read_bindings(tmp_path)
    vague = {(b.kind, b.name, b.line) for b in bindings if is_vague(b.name)}
    assert vague == {
        ("module", "found", 1),
        ("class", "Told", 1),
        ("parameter", "given", 2),
        ("parameter", "asked", 2),
        ("attribute", "known", 2),
        ("function", "take", 3),
        ("variable", "made", 3),
        ("parameter", "look", 3),
    }
    assert vague_percentage(bindings) == pytest.approx(100 * 6 / 7)
