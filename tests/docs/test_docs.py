"""The documentation says what the code does."""

from __future__ import annotations

import re
import runpy
from dataclasses import make_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Literal

from cpr_nb.cli.main import COMMANDS
from cpr_nb.frames.schema_columns import answer_columns
from cpr_nb.model import states
from cpr_nb.model.schemas.answer import read_schema

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_options_is_that_of_the_declaration() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "generate.py"))["options_page"]()
    assert (ROOT / "docs" / "options.md").read_text("utf-8") == made


def test_the_page_of_tables_is_that_of_the_declaration() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "generate.py"))["tables_page"]()
    assert (ROOT / "docs" / "tables.md").read_text("utf-8") == made


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"cpr {name}" not in readme] == []


def test_the_page_of_the_results_directory_names_every_outcome() -> None:
    page = (ROOT / "docs" / "results-directory.md").read_text("utf-8")
    assert [word for word in states.OUTCOMES if word not in page] == []


def test_the_page_of_schemas_tells_the_columns_of_types() -> None:
    page = (ROOT / "docs" / "schemas.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(.+)` \| .+ \| `(.+)` \|$", page.partition("## Columns")[2], re.MULTILINE
    )
    known = {"Literal": Literal, "date": date, "datetime": datetime}
    known |= {
        "Level": Enum("Level", {"LOW": "low"}),
        "Place": make_dataclass("Place", [("city", str)]),
    }
    for told, dtype in rows:
        hint = eval(told.replace("\\|", "|"), known)
        assert [c.dtype for c in answer_columns(read_schema({"n": hint}))] == [dtype], told
    assert len(rows) == 13


def test_the_readme_has_the_two_commands_that_ci_and_a_newcomer_run() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    for marker, word in (
        ("<!-- demo command -->", "cpr demo"),
        ("<!-- test command -->", "check.py --all"),
    ):
        at = lines.index(marker)
        assert at < 30 and lines[at + 1] == "```bash" and lines[at + 3] == "```"
        assert word in lines[at + 2]
