"""JSON without the module json: the same values, the same texts, the same refusals."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import cpr_nb
from cpr_nb.model import quick_json

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


def result(function: Callable[[Any], Any], value: Any) -> str:
    """What a function returns or raises."""
    try:
        return repr(function(value))
    except (ValueError, TypeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(VALUES)
@example(["\ud800", "\u2028", "\x00", 1e22, -0.0])
def test_what_is_written_is_what_json_writes_and_reads(value: Any) -> None:
    text = quick_json.dumps(value)
    assert text == compact(value)
    assert repr(quick_json.loads(text)) == repr(json.loads(text))
    padded = f" \t{text}\r\n".encode("utf-8", "surrogatepass")
    assert repr(quick_json.loads(padded)) == repr(json.loads(padded))


@given(st.binary() | st.text(alphabet='{}[]",:0123456789-+.eEnulNaI \\\n\ufeff'))
@example(b"")
@example(b"[1] x")
@example(b"\xef\xbb\xbf{}")
@example('"\n"')
@example('{"a":1,"a":2}')
@example("{}".encode("utf-16"))
def test_whatever_comes_is_read_or_refused_as_json_does(data: bytes | str) -> None:
    assert result(quick_json.loads, data) == result(json.loads, data)


@pytest.mark.parametrize("value", [object(), {(1, 2): 1}, {1: 2, None: 3, 1.5: 4}, {"a": (1,)}])
def test_what_has_no_form_in_json_is_refused_alike(value: object) -> None:
    assert result(quick_json.dumps, value) == result(compact, value)


def test_a_list_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        quick_json.dumps(value)


def test_what_json_lacks_becomes_what_the_caller_says() -> None:
    assert quick_json.make_loads(str.lower)('[NaN, -Infinity, "NaN"]') == [
        "nan",
        "-infinity",
        "NaN",
    ]
    assert math.isnan(quick_json.loads("NaN"))


def test_what_is_no_json_is_refused_before_the_module_json_is_loaded() -> None:
    code = """
import sys
sys.path.append(sys.argv[1])
from cpr_nb.model import quick_json
assert "json" not in sys.modules
for text in ('{"a": ', '{"a" 1}', "[1,", '"\\n"', "nul", "", "[1] x"):
    try:
        quick_json.loads(text)
    except ValueError:
        continue
    sys.exit(f"read: {text!r}")
"""
    package = Path(cpr_nb.__file__).parents[1]
    for text in ("{", "x"):
        first = code.replace("for text in (", f"for text in ({text!r}, ")
        subprocess.run([sys.executable, "-I", "-S", "-X", "utf8", "-c", first, package], check=True)


def test_a_python_without_these_functions_uses_the_module_json() -> None:
    code = """
import sys
sys.path.append(sys.argv[1])
sys.modules["_json"] = None
from cpr_nb.model import quick_json
assert quick_json._c is None
assert quick_json.loads('[1, "é"]') == [1, "é"]
assert quick_json.dumps([1, "é"]) == '[1,"é"]'
"""
    package = Path(cpr_nb.__file__).parents[1]
    subprocess.run([sys.executable, "-I", "-S", "-X", "utf8", "-c", code, package], check=True)
