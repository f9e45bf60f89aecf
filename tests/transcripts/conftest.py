"""Transcripts in a folder of the test, and an index that is the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.transcript_lines import TranscriptWriter

Write = Callable[..., TranscriptWriter]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder during the test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr("cpr_nb.frames.transcripts.transcript_index.MIN_READ_S", 0.0)
    return folder


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    folder.mkdir()
    return folder


@pytest.fixture
def write(projects: Path) -> Write:
    """Begins a transcript: `write("s1")`, `write("s1", agent="a1")`."""
    return lambda session_id, **fields: TranscriptWriter(projects, session_id, **fields)
