"""A login that may come back: a program prints the key, as where a person logs in to a vault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def with_helper(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without a credential of its own; the CLI asks a program for the key.

    Args:
        env: An environment for the real CLI, with a configuration folder of its own.
    """
    folder = Path(env["CLAUDE_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps({"apiKeyHelper": "echo dummy"}))
    return {name: value for name, value in env.items() if name != "ANTHROPIC_API_KEY"}
