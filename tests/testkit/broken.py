"""Files as a crash, a full disk or a stranger may leave them: JSON with something wrong in it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["", "ended", "running", "succeeded", "completed", "../x", "a\0b", "\ud800", 10**400, -1]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    paths = [path]
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        paths += places(child, (*path, key))
    return paths


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with something else at one place."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def broken_json(draw: st.DrawFn, good: Any) -> bytes:
    """A JSON document with wrong values in it, wrong bytes, or a part missing."""
    value = good
    for _ in range(draw(st.integers(0, 3))):
        value = replaced(value, draw(st.sampled_from(places(value))), draw(VALUES))
    data = bytearray(json.dumps(value).encode())
    for _ in range(draw(st.integers(0, 2))):
        if data:
            at = draw(st.integers(0, len(data) - 1))
            data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])
