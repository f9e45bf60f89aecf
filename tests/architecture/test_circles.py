"""No module imports itself through others, whatever kind of import closes the circle.

Python only notices a circle of imports at module level. An import inside a function or under
``TYPE_CHECKING`` hides it from Python, but not from the reader: neither module can be understood
without the other. So every import counts here, also the commands that are imported by a name made
at run time.
"""

from __future__ import annotations

import ast
import functools
from fnmatch import fnmatchcase
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
#: The circles that may exist: each found circle must lie within one of them, and each of them must
#: still be there.
ALLOWED = ({"cpr_nb.handles.*", "cpr_nb.launching.*", "cpr_nb.pandas"},)


@functools.cache
def build_graph() -> grimp.ImportGraph:
    """All imports of the package, lazy, type-only and computed ones included."""
    graph = grimp.build_graph("cpr_nb", cache_dir=None, exclude_type_checking_imports=False)
    for importer in sorted(graph.modules):
        for package in _packages_imported_by_name(importer):
            for module in graph.find_children(package):
                graph.add_import(importer=importer, imported=module)
    return graph


def _packages_imported_by_name(module: str) -> list[str]:
    """`a.b` for each ``import_module(f"a.b.{name}")`` in a module."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    packages = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="import_module"),
                args=[ast.JoinedStr(values=[ast.Constant(value=str(prefix)), *_])],
            ):
                packages.append(prefix.rstrip("."))
    return packages


def find_circles(graph: grimp.ImportGraph) -> list[set[str]]:
    """The strongly connected components of more than one module."""
    imported = {module: graph.find_upstream_modules(module) for module in graph.modules}
    circles: list[set[str]] = []
    for module in sorted(graph.modules):
        circle = {other for other in imported[module] if module in imported[other]} | {module}
        if len(circle) > 1 and circle not in circles:
            circles.append(circle)
    return circles


def _is_within(circle: set[str], patterns: set[str]) -> bool:
    return all(any(fnmatchcase(module, pattern) for pattern in patterns) for module in circle)


def test_there_are_no_circles_but_those_declared() -> None:
    circles = find_circles(build_graph())
    assert [c for c in circles if not any(_is_within(c, allowed) for allowed in ALLOWED)] == []


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda names: min(names))
def test_a_declared_circle_still_exists(allowed: set[str]) -> None:
    assert any(_is_within(circle, allowed) for circle in find_circles(build_graph()))


def test_imports_of_every_kind_close_a_circle(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "circular_package"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "eager": "from circular_package import lazy",
        "lazy": "def f():\n    from circular_package import typed",
        "typed": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from circular_package import eager",
        "alone": "from circular_package import eager",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    graph = grimp.build_graph("circular_package", cache_dir=None)
    assert find_circles(graph) == [{f"circular_package.{n}" for n in ("eager", "lazy", "typed")}]


def test_commands_imported_by_name_are_in_the_graph() -> None:
    imported = build_graph().find_modules_directly_imported_by("cpr_nb.cli.main")
    assert "cpr_nb.cli.commands.retry" in imported
