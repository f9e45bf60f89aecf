"""No module imports itself through others, whatever kind of import closes the circle.

Python only notices a circle of imports at module level. An import inside a function or under
``TYPE_CHECKING`` hides it from Python, but not from the reader: neither module can be understood
without the other. So every import counts here, also the commands that are imported by a name made
at run time.
"""

from __future__ import annotations

import ast
import copy
import functools
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
#: A task is made by its session; `Task.session` and `Task.follow_up` have the session's type.
TYPE_ONLY = (("cpr_nb.handles.task", "cpr_nb.handles.session"),)


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


def test_there_is_no_circle_without_the_declared_type_only_imports() -> None:
    graph = copy.deepcopy(build_graph())
    for importer, imported in TYPE_ONLY:
        graph.remove_import(importer=importer, imported=imported)
    assert find_circles(graph) == []


@pytest.mark.parametrize(("importer", "imported"), TYPE_ONLY)
def test_a_declared_import_exists_only_for_types(importer: str, imported: str) -> None:
    at_run_time = grimp.build_graph("cpr_nb", cache_dir=None, exclude_type_checking_imports=True)
    assert build_graph().direct_import_exists(importer=importer, imported=imported)
    assert not at_run_time.direct_import_exists(importer=importer, imported=imported)


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
