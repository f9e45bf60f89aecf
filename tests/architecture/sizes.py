"""How long files and functions are, and which modules share a name.

Usage: python tests/architecture/sizes.py [FOLDER]

Prints the median and the longest files and functions. FOLDER is the package, default `cpr_nb`.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "cpr_nb"


def file_lines(package: Path) -> dict[str, int]:
    """The number of lines of each file of a package."""
    return {
        str(path.relative_to(package)): len(path.read_text("utf-8").splitlines())
        for path in sorted(package.rglob("*.py"))
    }


def function_lines(package: Path) -> dict[str, int]:
    """The number of lines of each function, from its first decorator to its end.

    Signature and docstring count: they are on the screen that a function has to fit on.
    """
    lengths: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(part.lineno for part in node.decorator_list)])
                name = f"{path.relative_to(package)}:{node.lineno} {node.name}"
                lengths[name] = (node.end_lineno or node.lineno) - first + 1
    return lengths


def shared_names(package: Path) -> dict[str, list[str]]:
    """Which files of a package have the same name; those that Python names are left out."""
    paths: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        if not path.stem.startswith("__"):
            paths[path.stem].append(str(path.relative_to(package)))
    return {name: files for name, files in paths.items() if len(files) > 1}


def print_report(package: Path) -> None:
    """Prints the median and the longest files and functions, and names of two files."""
    files, functions = file_lines(package), function_lines(package)
    print(f"{len(files)} files, median {statistics.median(files.values()):g} lines")
    for lengths in (files, functions):
        print()
        for name, length in sorted(lengths.items(), key=lambda pair: -pair[1])[:15]:
            print(f"{length:>5}  {name}")
    print()
    for name, paths in shared_names(package).items():
        print(f"{name}: {', '.join(paths)}")


if __name__ == "__main__":
    print_report(Path(sys.argv[1]).resolve() if sys.argv[1:] else PACKAGE)
