"""The last result line of a stream, read from its end."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.store import result_line

LINES = st.lists(
    st.one_of(
        st.builds(lambda n: json.dumps({"type": "result", "n": n}), st.integers(0, 9)),
        st.builds(lambda text: json.dumps({"type": "assistant", "text": text}), st.text()),
        st.sampled_from(["", '{"type": "result"', '["result"]', '{"type": "x", "y": "result"}']),
    )
)


@given(LINES, st.integers(1, 80), st.booleans())
def test_it_is_found_wherever_blocks_end(lines: list[str], block: int, ends: bool) -> None:
    text = "\n".join(lines) + "\n" * ends
    found: list[Any] = []
    for line in lines:
        if line.startswith('{"type": "result"') and line.endswith("}"):
            found.append(json.loads(line))
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(result_line, "_BLOCK_BYTES", block),
    ):
        path = Path(folder, "stream")
        path.write_text(text)
        assert result_line.last_result(str(path)) == (found[-1] if found else None)


def test_a_name_that_is_no_path_has_none() -> None:
    assert result_line.last_result("/\0") is None
