"""Vague names: what a module, class, function, parameter or variable is called when nobody decided.

Usage: python tests/architecture/names.py [--all] [FOLDER]

Prints a table per room and every vague module, class, function and parameter with its place;
``--all`` also prints the vague variables and attributes. FOLDER is the package, default `cpr_nb`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[2] / "cpr_nb"
#: These say nothing about a value, and as the first word of a longer name neither.
VAGUE_WORDS = frozenset(
    [
        "told",
        "tell",
        "tells",
        "take",
        "takes",
        "taken",
        "look",
        "looks",
        "looked",
        "looking",
        "asked",
        "found",
        "known",
        "made",
        "given",
        "said",
        "say",
        "says",
        "hear",
        "hears",
        "heard",
        "meant",
        "wanted",
        "thing",
        "things",
    ]
)
#: These are vague on their own only: `started_at` is a time, and `what_is_left` would say enough.
VAGUE_ALONE = frozenset({"at", "what"})
#: The kinds that the ratchet counts. Variables and attributes are reported only.
GATED = ("module", "class", "function", "parameter")


class Binding(NamedTuple):
    """A name and where it is bound."""

    kind: str  # one of GATED, "variable" or "attribute"
    name: str
    path: Path
    line: int


def is_vague(name: str) -> bool:
    """Whether a name consists of a vague word, or begins with one."""
    stem = re.sub(r"\d+$", "", name).strip("_")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", stem).lower().split("_")
    return words[0] in VAGUE_WORDS or stem.lower() in VAGUE_ALONE


def read_bindings(package: Path) -> list[Binding]:
    """All names that the modules of a package bind; no dunders, no ``self``, no ``cls``."""
    bindings: list[Binding] = []
    for path in sorted(package.rglob("*.py")):
        name = path.parent.name if path.stem == "__init__" else path.stem
        bindings.append(Binding("module", name, path, 1))
        for kind, name, line in _bound_in(ast.parse(path.read_text("utf-8"))):
            is_dunder = name.startswith("__") and name.endswith("__")
            if not is_dunder and name not in ("self", "cls"):
                bindings.append(Binding(kind, name, path, line))
    return bindings


def vague_percentage(bindings: list[Binding]) -> float:
    """How many percent of the modules, classes, functions and parameters have a vague name."""
    gated = [binding for binding in bindings if binding.kind in GATED]
    return 100 * sum(is_vague(binding.name) for binding in gated) / len(gated)


def _bound_in(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield "parameter", node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield "variable", node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield "attribute", node.attr, node.lineno


def _room(binding: Binding, package: Path) -> str:
    parts = binding.path.relative_to(package).parts
    return parts[0] if len(parts) > 1 else "(root)"


def print_report(package: Path, *, with_variables: bool = False) -> None:
    """Prints the table per room, then the vague names with their places."""
    bindings = read_bindings(package)
    total: Counter[tuple[str, bool]] = Counter()
    vague: Counter[tuple[str, bool]] = Counter()
    for binding in bindings:
        key = (_room(binding, package), binding.kind in GATED)
        total[key] += 1
        vague[key] += is_vague(binding.name)
    print(f"{'room':<12}{'gated':>8}{'vague':>7}{'%':>7}{'variables':>12}{'vague':>7}")
    for room in sorted({room for room, _ in total}):
        names, bad = total[room, True], vague[room, True]
        others, bad_others = total[room, False], vague[room, False]
        percent = 100 * bad / max(names, 1)
        print(f"{room:<12}{names:>8}{bad:>7}{percent:>7.1f}{others:>12}{bad_others:>7}")
    print(f"\nmodules, classes, functions, parameters: {vague_percentage(bindings):.2f} % vague\n")
    for binding in sorted(bindings, key=lambda binding: (binding.kind not in GATED, binding.path)):
        if is_vague(binding.name) and (with_variables or binding.kind in GATED):
            place = f"{binding.path.relative_to(package)}:{binding.line}"
            print(f"{place:<40} {binding.kind:<10} {binding.name}")


if __name__ == "__main__":
    _folders = [word for word in sys.argv[1:] if not word.startswith("-")]
    print_report(
        Path(_folders[0]).resolve() if _folders else PACKAGE, with_variables="--all" in sys.argv
    )
