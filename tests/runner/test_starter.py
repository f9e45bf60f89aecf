"""What starts a task: the ids that a journal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpr_nb.runner.starter import Starter
from cpr_nb.store.layout import SessionPaths

PROMPT = '{"type": "user", "message": {"role": "user", "content": "Do it."}}\n'


@pytest.mark.parametrize(
    ("conversation_id", "exists"),
    [("6f1c2b9e-0a7d-4c55-9a51-0d8f5f6a2b11", True), ("--version", False), ("../elsewhere", False)],
)
def test_only_a_plain_id_is_resumed(tmp_path: Path, conversation_id: str, exists: bool) -> None:
    folder = tmp_path / ".claude" / "projects" / "-somewhere"
    folder.mkdir(parents=True)
    (folder / f"{conversation_id}.jsonl").write_text(PROMPT)
    environ = {b"HOME": bytes(tmp_path)}
    starter = Starter(SessionPaths("."), "/r/session-1", {"session_id": "1"}, environ, {})
    assert starter.has_conversation("a", conversation_id) is exists
