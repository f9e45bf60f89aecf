"""Files and functions stay short, and no file name stands for two subjects."""

from __future__ import annotations

import statistics
from pathlib import Path

from architecture.sizes import PACKAGE, file_lines, function_lines, shared_names

#: Files that may share a name, because one is the door to what the other does.
FRONTS = {
    "handles/dashboard.py": "display/dashboard.py",
    "handles/results.py": "frames/results.py",
    "handles/tables.py": "frames/tables.py",
    "handles/trust.py": "launching/trust.py",
    "frames/events.py": "model/events.py",
    "cli/options.py": "model/options.py",
    "magics/completion.py": "cli/commands/completion.py",
}


def test_no_file_has_more_than_400_lines_and_half_of_them_at_most_160() -> None:
    lengths = file_lines(PACKAGE)
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert statistics.median(lengths.values()) <= 160


def test_no_file_of_tests_has_more_than_400_lines() -> None:
    lengths = file_lines(PACKAGE.parent / "tests")
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_function_has_more_than_60_lines() -> None:
    lengths = function_lines(PACKAGE)
    assert {name: length for name, length in lengths.items() if length > 60} == {}


def test_a_file_shares_its_name_only_with_the_one_that_it_fronts() -> None:
    undeclared = {}
    for name, paths in shared_names(PACKAGE).items():
        # A command is called what its subject is called.
        subjects = [p for p in paths if p not in FRONTS and p != f"cli/commands/{name}.py"]
        if len(subjects) > 1:
            undeclared[name] = paths
    assert undeclared == {}


def test_every_declared_pair_of_files_exists_and_shares_its_name() -> None:
    pairs = [*FRONTS.items()]
    assert [p for pair in pairs for p in pair if not (PACKAGE / p).is_file()] == []
    assert [pair for pair in pairs if Path(pair[0]).name != Path(pair[1]).name] == []


def test_decorators_signature_and_docstring_belong_to_a_function(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for path in (tmp_path / "odd.py", tmp_path / "deep" / "odd.py"):
        path.write_text(
            'class A:\n    @staticmethod\n    def f(\n        a,\n    ):\n        """D."""\n'
        )
    assert function_lines(tmp_path) == {"odd.py:3 f": 5, "deep/odd.py:3 f": 5}
    assert file_lines(tmp_path) == {"odd.py": 6, "deep/odd.py": 6}
    assert shared_names(tmp_path) == {"odd": ["deep/odd.py", "odd.py"]}
