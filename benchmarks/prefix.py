"""``python -m benchmarks.prefix``: the tokens that a task pays before its own prompt.

Runs the real CLI against the scripted API on the loopback interface, once for each permission mode
and for each tool, and prints the figures of `cpr_nb.model.prefix` beside those of this CLI. The
scripted API counts four bytes as one token.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.real_cli import real_claude
from cpr_nb.model import prefix
from cpr_nb.model.option_values import check_options
from cpr_nb.model.options import PERMISSIONS
from cpr_nb.model.tools import SEARCH
from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
from cpr_nb.runner.command import build_argv, cli_variables

_SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}


def measure_tokens(claude: str, folder: Path, options: Mapping[str, Any]) -> int:
    """The tokens of the first request of a task with these options."""
    checked = check_options(options)
    set_variables = cli_variables(checked, user_only=False)
    more = {os.fsdecode(name): os.fsdecode(text) for name, text in set_variables.items()}
    work, home = Path(tempfile.mkdtemp(dir=folder)), Path(tempfile.mkdtemp(dir=folder))
    with ScriptedApi() as api:
        subprocess.run(
            build_argv(claude, checked, str(uuid.uuid4()), has_key=True),
            cwd=work,
            env={**cli_environment(api.url, home), **more},
            input=b"hello",
            capture_output=True,
            check=False,
        )
        first = next(r for r in api.requests if r.path.endswith("/v1/messages") and r.step == 0)
        return first.cache_read_tokens + first.cache_write_tokens


def figures(claude: str, folder: Path) -> Iterator[tuple[str, int, int]]:
    """What each figure is of, what `cpr_nb.model.prefix` says, and what was measured."""

    def measured(**options: Any) -> int:
        return measure_tokens(claude, folder, options)

    nothing, reading = measured(tools=[]), measured(tools=["Read"])
    yield "no tools", prefix.NO_TOOLS_TOKENS, nothing
    yield "Read", prefix.TOOL_TOKENS["Read"], reading - nothing
    for tool, tokens in prefix.TOOL_TOKENS.items():
        if tool != "Read":
            yield tool, tokens, measured(tools=["Read", tool]) - reading
    deferred = measured(tools=["Read", SEARCH, "NotebookEdit"]) - measured(tools=["Read", SEARCH])
    yield SEARCH, prefix.SEARCH_TOKENS, deferred
    for mode in PERMISSIONS:
        options = {"permissions": mode}
        if mode != "sandbox":  # its tools are those of edits, and bubblewrap may be missing
            yield f"permissions={mode}", prefix.prefix_tokens(options), measured(**options)
    label = {"tools": [], "schema": _SCHEMA}
    yield "tools=[] and a schema", prefix.prefix_tokens(label), measured(**label)
    light = {"light": True}
    yield "light", prefix.prefix_tokens(light, has_key=True), measured(**light)
    light["schema"] = _SCHEMA
    yield "light and a schema", prefix.prefix_tokens(light, has_key=True), measured(**light)


def main() -> int:
    """Measures and prints the table."""
    claude = str(real_claude())
    version = subprocess.run([claude, "--version"], capture_output=True, text=True, check=False)
    print(f"cpr_nb.model.prefix is of {prefix.MEASURED_WITH}, this CLI: {version.stdout.strip()}")
    with tempfile.TemporaryDirectory() as folder:
        for name, estimate, tokens in figures(claude, Path(folder)):
            print(f"{name:24}{estimate:8,}{tokens:8,}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
