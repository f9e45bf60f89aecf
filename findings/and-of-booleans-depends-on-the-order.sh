#!/usr/bin/env bash
# pandas 3.1.1, pyarrow 26.0.1: & between a "boolean" column and a comparison of texts.
#
# Both sides hold a missing value. A comparison of a "string" column is "bool[pyarrow]".
# Expected: `ok & is_other` and `is_other & ok` are the same, by the rules for missing values.
# Seen: with the Arrow side first it works; with the "boolean" side first it raises TypeError,
# "boolean value of NA is ambiguous". So does |. Without a missing value in the comparison, and with
# texts of dtype "string[python]", either order works.
#
# Exits with 0 while this behaves so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pandas==3.1.1 pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import operator
import sys

import pandas as pd

ok = pd.Series([True, None, False], dtype="boolean")
TEXTS = {
    "arrow, one missing": pd.Series(["done", "cut", None], dtype="string"),
    "arrow, none missing": pd.Series(["done", "cut", "cut"], dtype="string"),
    "python, one missing": pd.Series(["done", "cut", None], dtype="string[python]"),
}


def outcome(combine, one, other):
    """The result of an operation, or the words of its error."""
    try:
        return str(combine(one, other).tolist())
    except TypeError as error:
        return f"TypeError: {error}"


failed = {}
for name, texts in TEXTS.items():
    is_other = texts != "done"
    for sign, combine in (("&", operator.and_), ("|", operator.or_)):
        first, second = outcome(combine, ok, is_other), outcome(combine, is_other, ok)
        print(f"{name} ({is_other.dtype}): ok {sign} is_other: {first}")
        print(f"{name} ({is_other.dtype}): is_other {sign} ok: {second}")
        failed[name, sign] = (first.startswith("TypeError"), second.startswith("TypeError"))
arrow = "arrow, one missing"
expected = {key: (key[0] == arrow, False) for key in failed}
sys.exit(failed != expected)
PYTHON
