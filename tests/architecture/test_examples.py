"""Each docstring with an example has one that runs."""

from __future__ import annotations

import ast
import doctest

from architecture.sizes import PACKAGE


def test_no_docstring_has_only_examples_that_are_skipped() -> None:
    """Pytest counts such a docstring as a skipped test, and CI allows none."""
    parser = doctest.DocTestParser()
    only_skipped = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if (examples := parser.get_examples(ast.get_docstring(node) or ""))
        and all(doctest.SKIP in example.options for example in examples)
    ]
    assert not only_skipped
