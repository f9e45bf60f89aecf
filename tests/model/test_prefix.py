"""The estimate of what a task pays before its own prompt."""

from __future__ import annotations

from typing import Any

import pytest

from cpr_nb.model.prefix import DEFERRED, TOOL_TOKENS, known_tools, prefix_tokens
from cpr_nb.model.tools import MODE_TOOLS, SEARCH

SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}}


def test_every_tool_of_a_mode_has_a_price() -> None:
    for mode in MODE_TOOLS:
        assert set(known_tools({"permissions": mode})) - {SEARCH} <= set(TOOL_TOKENS)
    assert set(DEFERRED) < set(TOOL_TOKENS)


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        ({"tools": []}, {"tools": ["Read"]}),
        ({"permissions": "read"}, {"permissions": "edits"}),
        ({"permissions": "edits"}, {"permissions": "all"}),
        ({"permissions": "read"}, {"permissions": "read", "allow": ["Bash(git log:*)"]}),
        ({"deny": ["Bash"]}, {}),
        ({"tools": []}, {"tools": [], "schema": SCHEMA}),
        ({"system_prompt": {"append": "Label."}}, {"system_prompt": {"append": "x" * 99}}),
        ({"tools": [SEARCH, *DEFERRED]}, {"tools": list(DEFERRED)}),
        ({"system_prompt": "Label.", "tools": []}, {"tools": []}),
        ({"permissions": "edits"}, {"permissions": "sandbox"}),
    ],
)
def test_what_a_task_lacks_it_does_not_pay(cheap: dict[str, Any], dear: dict[str, Any]) -> None:
    assert prefix_tokens(cheap) < prefix_tokens(dear)
