"""The documentation says what the code does."""

from __future__ import annotations

import re
from dataclasses import make_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Literal

import generate
import pytest

from cpr_nb.cli.main import COMMANDS
from cpr_nb.frames.schema_columns import answer_columns
from cpr_nb.model import states
from cpr_nb.model.schemas.answer import read_schema

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """Otherwise run ``python docs/generate.py`` and the page's name."""
    page = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    assert page == generate.PAGES[name]()


def test_the_page_of_the_architecture_shows_every_room_and_every_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    package = ROOT / "cpr_nb"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    picture = page.partition("Inside `handles`")[0]
    assert set(re.findall(r"^[─┌├└] (\w+) ", picture, re.MULTILINE)) == rooms | {"pandas"}
    for path in package.glob("*/**/*.py"):
        if path.name != "__init__.py":
            assert f"| `{path.relative_to(package)}` |" in page or f" {path.stem} " in page, path


def test_every_file_that_the_architecture_names_exists() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    paths = re.findall(r"`(\w+/[\w/]+\.py)`", page)
    assert len(paths) > 100
    assert [path for path in paths if not (ROOT / "cpr_nb" / path).is_file()] == []


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"cpr {name}" not in readme] == []


def test_the_page_of_the_results_directory_names_every_outcome() -> None:
    page = (ROOT / "docs" / "results-directory.md").read_text("utf-8")
    assert [word for word in states.OUTCOMES if word not in page] == []


def test_the_page_of_schemas_says_the_columns_of_types() -> None:
    page = (ROOT / "docs" / "schemas.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(.+)` \| .+ \| `(.+)` \|$", page.partition("## Columns")[2], re.MULTILINE
    )
    names = {"Literal": Literal, "date": date, "datetime": datetime}
    names |= {
        "Level": Enum("Level", {"LOW": "low"}),
        "Place": make_dataclass("Place", [("city", str)]),
    }
    for annotation, dtype in rows:
        hint = eval(annotation.replace("\\|", "|"), names)
        assert [c.dtype for c in answer_columns(read_schema({"n": hint}))] == [dtype], annotation
    assert len(rows) == 13


def test_the_readme_has_the_two_commands_that_ci_and_a_newcomer_run() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    for marker, word in (
        ("<!-- demo command -->", "cpr demo"),
        ("<!-- test command -->", "check.py --all"),
    ):
        index = lines.index(marker)
        assert index < 30 and lines[index + 1] == "```bash" and lines[index + 3] == "```"
        assert word in lines[index + 2]
