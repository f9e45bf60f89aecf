"""Sessions that the library makes of frames, with the stub behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture
def stubbed(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    """The library of this process finds the stub as its CLI."""
    in_env(stub_env)


@pytest.fixture
def transcript(stub_env: dict[str, str]) -> Callable[[str], Path]:
    """Writes what the CLI keeps of a conversation, and the stub does not."""

    def write(conversation_id: str) -> Path:
        folder = Path(stub_env["CLAUDE_CONFIG_DIR"]) / "projects" / "-somewhere"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{conversation_id}.jsonl"
        path.write_text("{}\n")
        return path

    return write
