"""docs/architecture.md: its pictures and tables, from the import contracts and the docstrings.

The pictures are the layers that `lint-imports` enforces (pyproject.toml). What each module is for is
the first line of its docstring. The rest of the page is written by hand.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "cpr_nb"
_PART = re.compile(r"(?<=<!-- generated: )(.+?)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def architecture_page() -> str:
    """The current page with its generated parts updated."""

    def make(part: re.Match[str]) -> str:
        name, _, argument = part[1].partition(" ")
        return part[1] + part[2] + "\n".join(_PARTS[name](argument)) + "\n"

    return _PART.sub(make, PAGE.read_text("utf-8"))


def _contracts(kind: str) -> list[dict[str, Any]]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    return [contract for contract in contracts if contract["type"] == kind]


def _draw_layers(container: str) -> Iterator[str]:
    """One line per member of a package, the highest layer first; a brace joins siblings."""
    (contract,) = [c for c in _contracts("layers") if c["containers"] == [container]]
    layers = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    width = max(len(name) for layer in layers for name in layer)
    yield "```text"
    for layer in layers:
        for name, brace in zip(layer, _braces(len(layer)), strict=True):
            module = f"{container}.{name}"
            yield f"{brace} {name:<{width}}  {_first_line(_path_of(module))}"
    yield "```"


def _braces(count: int) -> str:
    return "─" if count == 1 else "┌" + "├" * (count - 2) + "└"


def _list_importers(_argument: str) -> Iterator[str]:
    """Which modules only few may import."""
    yield "| only | may import |"
    yield "|---|---|"
    for contract in _contracts("protected"):
        importers = ", ".join(f"`{_short(name)}`" for name in contract["allowed_importers"])
        protected = ", ".join(f"`{_short(name)}`" for name in contract["protected_modules"])
        yield f"| {importers} | {protected} |"


def _list_modules(_argument: str) -> Iterator[str]:
    """A table of modules for each room without a picture, in the order of the layers."""
    pictures = [container for c in _contracts("layers") for container in c["containers"]]
    (contract,) = [c for c in _contracts("layers") if c["containers"] == ["cpr_nb"]]
    for room in (name.strip() for layer in contract["layers"] for name in layer.split("|")):
        folder = PACKAGE / room
        if folder.is_dir() and f"cpr_nb.{room}" not in pictures:
            yield from ["", f"### {room}", "", "| module | |", "|---|---|"]
            for path in sorted(folder.rglob("*.py")):
                if path.name != "__init__.py":
                    line = _first_line(path, code="`").replace("|", "\\|")
                    yield f"| `{path.relative_to(PACKAGE)}` | {line} |"
    yield ""


def _short(name: str) -> str:
    return name.removeprefix("cpr_nb.")


def _path_of(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _first_line(path: Path, code: str = "") -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return re.sub("``?", code, docstring.partition("\n")[0])


_PARTS = {"layers": _draw_layers, "importers": _list_importers, "modules": _list_modules}
