"""Makes docs/options.md from the declaration, and docs/watch.svg from a real session.

Usage: python docs/generate.py [options|picture]

The picture is a real session: eight tasks of the real Claude Code CLI, with the scripted API of
`cpr demo` behind it, caught while two of them run.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from cpr_nb.model.options import OPTIONS

DOCS = Path(__file__).resolve().parent
_VALUES = {
    "text": "text",
    "count": "whole number",
    "seconds": "seconds",
    "usd": "US dollars",
    "flag": "true, false",
    "command": "shell command",
    "rules": "list of rules",
    "arguments": "list of texts",
    "env": "names and values",
    "schema": "JSON schema",
    "folder": "folder",
}


def options_page() -> str:
    """The text of docs/options.md."""
    rows = []
    for option in OPTIONS.values():
        value = ", ".join(option.choices) or _VALUES[option.kind]
        flag = f"`{option.flag}`" + (", repeated" if option.is_list else "")
        if option.name == "max_parallel":
            flag = "`-j`, " + flag
        scope = "session, task" if option.per_task else "session"
        rows.append(f"| `{option.name}` | {flag} | {value} | {scope} | {option.help} |")
    return "\n".join(
        [
            "# Options",
            "",
            "The same names everywhere: keywords of `cpr_nb.launch` and `Session.retry`, flags of",
            "`cpr run` and `cpr retry`, keys of a prompt in a `.json` or `.jsonl` file, columns of a",
            "`.csv`, keys of `[tool.cpr]` in `pyproject.toml`. A task's own option goes before the",
            "session's, a flag or keyword before `[tool.cpr]`. A `pyproject.toml` comes with a",
            "repository, so it may not set `claude_path`, `claude_args`, `env` or",
            '`permissions = "all"`. (Made by `python docs/generate.py`.)',
            "",
            "| option | flag | value | for | |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "Beside these: `results_dir` (`--results-dir`, `CPR_RESULTS_DIR`) is where sessions are",
            "kept, `claude_path` (`--claude-path`, `CPR_CLAUDE`) is the CLI to run, `dry_run`",
            "(`--dry-run`) checks everything and starts nothing.",
            "",
        ]
    )


# -- the picture ----------------------------------------------------------------------------

_FILES = ("login", "session", "oauth", "mfa", "reset", "token", "roles", "audit")
_ANSWERS = {
    "login": "2 bugs, severity high",
    "session": "No bugs.",
    "mfa": "No bugs.",
    "reset": "1 bug, severity low",
}


def _script() -> dict[str, Any]:
    rules: list[dict[str, Any]] = [
        {"match": f"auth/{name}.py", "steps": [{"text": text}]} for name, text in _ANSWERS.items()
    ]
    denied = {"tool": "Bash", "input": {"command": "pytest -q", "description": "Run the tests"}}
    refused = {"fail": {"status": 400, "message": "the request is refused"}}
    rules[1]["steps"].insert(0, denied)
    rules.append({"match": "auth/oauth.py", "steps": [refused]})
    for name in ("token", "roles"):
        command = {"command": f"cat tests/test_{name}.fifo", "description": "Wait"}
        rules.append({"match": f"auth/{name}.py", "steps": [{"tool": "Bash", "input": command}]})
    return {"rules": rules}


def picture(path: Path) -> None:
    """Catches the live view of a session and writes it as SVG."""
    from rich.console import Console

    from cpr_nb import _launch
    from cpr_nb.cli.view import SessionView
    from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

    with tempfile.TemporaryDirectory() as folder, ScriptedApi(_script()) as api:
        home = Path(folder)
        os.environ["HOME"] = folder  # so that the picture says ~/shop
        shop = home / "shop"
        (shop / "tests").mkdir(parents=True)
        for name in ("token", "roles"):
            os.mkfifo(shop / "tests" / f"test_{name}.fifo")
        planned = _launch.plan(
            [f"Review auth/{name}.py" for name in _FILES],
            {
                "results_dir": shop / "results",
                "cwd": shop,
                "name": "review-auth",
                "max_parallel": 2,
                "allow": ["Bash(cat:*)"],
            },
            environ=cli_environment(api.url, home, path=os.environ.get("PATH")),
        )
        session = planned.start()
        view = SessionView(session)
        tools: set[int] = set()
        while len(tools) < 2:
            session.refresh()
            tools = {t.num for t in session if t.running() and t.activity().tool_running}
            tools = tools if session.snapshot.count("n_running") == len(tools) else set()
        _export(
            view,
            Console(record=True, width=104, height=24, force_terminal=True, file=io.StringIO()),
            path,
        )
        session.cancel()
        session.wait()


def _export(view: object, console: Any, path: Path) -> None:
    import re

    console.print(view)
    svg = console.export_svg(title="cpr watch", unique_id="cpr")
    # No font from the network: the reader's own monospace one.
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    WANTED = sys.argv[1:] or ["options", "picture"]
    if "options" in WANTED:
        (DOCS / "options.md").write_text(options_page(), "utf-8")
    if "picture" in WANTED:
        picture(DOCS / "watch.svg")
