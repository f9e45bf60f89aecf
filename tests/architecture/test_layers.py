"""Each import contract of pyproject.toml fails as soon as one import violates it.

A contract with a typing error in it, or one whose modules have moved away, would hold for ever.
"""

from __future__ import annotations

import copy
import functools
import itertools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter import Contract
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = read_configuration(str(ROOT / "pyproject.toml"))
CONTRACTS = {options["name"]: options for options in CONFIGURATION["contracts_options"]}
_CLASSES: dict[str, type[Contract]] = {
    "layers": LayersContract,
    "protected": ProtectedContract,
    "forbidden": ForbiddenContract,
}


@functools.cache
def _graph(with_type_only: bool = True) -> grimp.ImportGraph:
    return grimp.build_graph(
        "cpr_nb",
        include_external_packages=True,
        exclude_type_checking_imports=not with_type_only,
        cache_dir=None,
    )


def _is_kept(options: dict[str, Any], graph: grimp.ImportGraph) -> bool:
    contract = _CLASSES[options["type"]](options["name"], CONFIGURATION["session_options"], options)
    return contract.check(graph, verbose=False).kept


def _with_import(importer: str, imported: str) -> grimp.ImportGraph:
    graph = copy.deepcopy(_graph())
    if imported not in graph.modules:
        graph.add_module(imported, is_squashed=True)
    graph.add_import(importer=importer, imported=imported)
    return graph


def _some_module(name: str) -> str:
    """A module of a package; what is no package stands for itself."""
    is_ours = name.startswith("cpr_nb.")
    return min(_graph().find_children(name), default=name) if is_ours else name


def _violations(options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Imports that a contract does not allow, as importer and imported module."""
    if options["type"] == "layers":
        yield from _climbs(options)
        return
    if options["type"] == "protected":
        (importer,) = {"cpr_nb.store.read"} - set(options["allowed_importers"])
        importers, imported = [importer], options["protected_modules"]
    else:
        importers, imported = options["source_modules"], options["forbidden_modules"]
    for pair in itertools.product(importers, imported):
        yield _some_module(pair[0]), _some_module(pair[1])


def _climbs(options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """From each layer to the one above it, and from each sibling to the others."""
    (container,) = options["containers"]
    layers = [
        [_some_module(f"{container}.{name.strip()}") for name in layer.split("|")]
        for layer in options["layers"]
    ]
    for higher, lower in itertools.pairwise(layers):
        yield from itertools.product(lower, higher)
    for siblings in layers:
        yield from itertools.permutations(siblings, 2)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_kept_and_fails_on_each_import_that_violates_it(name: str) -> None:
    options = CONTRACTS[name]
    assert _is_kept(options, copy.deepcopy(_graph()))
    strict = {key: value for key, value in options.items() if key != "ignore_imports"}
    violations = list(_violations(options))
    assert violations
    assert [pair for pair in violations if _is_kept(strict, _with_import(*pair))] == []


LAYERS = {name: options for name, options in CONTRACTS.items() if options["type"] == "layers"}


@pytest.mark.parametrize("name", LAYERS)
def test_a_new_module_must_be_given_its_layer(name: str) -> None:
    graph = copy.deepcopy(_graph())
    graph.add_module(f"{LAYERS[name]['containers'][0]}.new_module")
    assert not _is_kept(LAYERS[name], graph)


IGNORED = [one for options in CONTRACTS.values() for one in options.get("ignore_imports", [])]


@pytest.mark.parametrize("ignored", IGNORED)
def test_an_import_that_a_contract_ignores_is_only_for_types(ignored: str) -> None:
    assert _graph(with_type_only=False).find_matching_direct_imports(ignored) == []
    assert _graph().find_matching_direct_imports(ignored), "nothing needs it any more"


def test_lint_imports_says_the_module_and_the_line_of_a_violation(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "cpr_nb", tmp_path / "cpr_nb", ignore=shutil.ignore_patterns("__pyc*"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "cpr_nb" / "store" / "times.py").open("a", encoding="utf-8") as module:
        module.write("\n\ndef f() -> None:\n    import cpr_nb.views.rows\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "cpr_nb.store is not allowed to import cpr_nb.views" in run.stdout
    assert "cpr_nb.store.times -> cpr_nb.views.rows (l." in run.stdout
