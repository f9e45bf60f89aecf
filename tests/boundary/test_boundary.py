"""Nothing runs, nothing is deleted, nobody gets more than they may have: every row of the table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boundary.catalog import all_rows
from boundary.hostile import HostileFolder
from boundary.place import Place
from boundary.table import CannotAttackError, Row, Verdict

ROWS = all_rows()


def _marks(row: Row) -> list[pytest.MarkDecorator]:
    return [pytest.mark.real_cli] * row.real + [pytest.mark.slow] * row.slow


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=_marks(row)) for row in ROWS])
def test_nothing_ran_or_was_deleted_or_escaped(
    row: Row, tmp_path: Path, token: str, request: pytest.FixtureRequest
) -> None:
    claude = request.getfixturevalue("claude") if row.real else None
    with Place(tmp_path / "place", token, claude) as place:
        try:
            row.carry_out(place)
        except CannotAttackError as error:
            pytest.skip(f"{row.name}: {error}")
        assert place.verdict() == Verdict()


def test_every_row_has_a_name_of_its_own() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))


def test_the_traps_of_a_sent_folder_work(tmp_path: Path, token: str) -> None:
    """Whoever runs git there, or a program that the folder names, or deletes, is counted."""
    with Place(tmp_path / "place", token, None) as place:
        folder = HostileFolder(place)
        subprocess.run(["git", "status"], cwd=folder.trap.path, env=place.stub_env(), check=True)
        for program in folder.programs.values():
            subprocess.run([program], check=True)
        (folder.victims["whole"] / "precious.txt").unlink()
        place.escaped("something")
        verdict = place.verdict()
    assert verdict.ran == ("check", "claude", "filter", "setup")
    assert verdict.deleted == ("victim-whole: precious.txt",)
    assert [words.partition(",")[0] for words in verdict.escaped] == ["something", "git in trap"]
