"""Whatever a person reads in a terminal goes through the functions that make it fit for one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from architecture.sizes import PACKAGE

#: Where something is written: the functions for it, the live view, and texts of our own.
WRITERS = {
    "cli/common.py": {"print_lines", "print_text", "print_answer", "print_json"},
    # Its text is fit already: cli/session_list.py makes it so by parts, for 10,000 sessions.
    "cli/commands/list.py": {"run"},
    "cli/view.py": {"watch"},
    "cli/main.py": {"_run", "_show_bug"},
    "magics/magic.py": {"_call"},
    "handles/notebook.py": {"show"},
    "handles/trust.py": {"confirm"},
}
#: What makes text fit for a terminal.
FIT = {"visible", "visible_line", "one_line"}


def writes(source: str) -> dict[str, int]:
    """The functions that print or write to a standard stream, and the line of the first call."""
    found: dict[str, int] = {}
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _is_write(node.func):
                    found.setdefault(function.name, node.lineno)
    return found


def _is_write(called: ast.expr) -> bool:
    if isinstance(called, ast.Name):
        return called.id == "print"
    if not isinstance(called, ast.Attribute) or called.attr not in ("write", "writelines"):
        return False
    stream = ast.unparse(called.value)
    return "stdout" in stream or "stderr" in stream


def unfit_warnings(source: str) -> list[int]:
    """The lines on which a warning's text is not made fit for a terminal, nor our own."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
        if not (isinstance(node.args[0], ast.Call) and ast.unparse(node.args[0].func) in FIT)
        if not isinstance(node.args[0], ast.Constant)
    ]


def test_only_the_functions_that_make_text_fit_write() -> None:
    found = {}
    for room in ("cli", "magics", "handles"):
        for path in sorted((PACKAGE / room).rglob("*.py")):
            name = str(path.relative_to(PACKAGE))
            for function in writes(path.read_text("utf-8")):
                if function not in WRITERS.get(name, ()):
                    found[name] = function
    assert found == {}


def test_every_warning_is_fit_for_a_terminal() -> None:
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in sorted(PACKAGE.rglob("*.py"))
        if (lines := unfit_warnings(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "line", ["print(name)", "sys.stdout.write(name)", "sys.stderr.writelines([name])"]
)
def test_a_write_is_seen(line: str) -> None:
    assert writes(f"def f(name):\n    {line}\n") == {"f": 2}
    assert writes("def f(name):\n    print_lines([name])\n") == {}


def test_an_unfit_warning_is_seen() -> None:
    assert unfit_warnings("warnings.warn(name)\nwarnings.warn(f'{name}')") == [1, 2]
    assert unfit_warnings("warnings.warn(visible_line(name))\nwarnings.warn('ours')") == []


def test_every_declared_writer_exists() -> None:
    for name, functions in WRITERS.items():
        assert functions <= writes(Path(PACKAGE / name).read_text("utf-8")).keys(), name
