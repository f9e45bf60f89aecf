"""Whether the transcript of a conversation is whole enough to be continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.store.conversation import begins_with_prompt

QUEUED = {"type": "queue-operation", "content": "Do it."}
PROMPT = {"type": "user", "message": {"content": 'Explain "tool_result".'}}
ANSWER = {"type": "assistant", "message": {"content": [{"type": "tool_use"}]}}
TOOL = {"type": "user", "message": {"content": [{"type": "tool_result"}]}}
CAVEAT = {"type": "user", "message": {"content": "<local-command-caveat>The command …"}}
CLEAR = {"type": "user", "message": {"content": "<command-name>/clear</command-name>\n …"}}
#: How the transcript of a task begins that a shared process served.
SERVED = [CAVEAT, CLEAR, {"type": "system", "subtype": "local_command"}]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([QUEUED, PROMPT, ANSWER, TOOL], True),
        ([PROMPT], True),
        ([ANSWER, TOOL], False),
        ([TOOL, ANSWER, PROMPT], False),
        ([QUEUED], False),
        ([*SERVED, QUEUED, PROMPT, ANSWER], True),
        ([*SERVED, QUEUED], False),
        ([*SERVED, ANSWER, TOOL], False),
        ([], False),
    ],
)
def test_a_transcript_that_lacks_its_prompt_is_not_continued(
    tmp_path: Path, entries: list[dict[str, Any]], expected: bool
) -> None:
    path = tmp_path / "transcript.jsonl"
    # 2.1.332 leaves an empty line where the beginning was.
    path.write_text("\n" + "".join(json.dumps(entry) + "\n" for entry in entries))
    assert begins_with_prompt(path) is expected
