"""docs/options.md: every option, from its declaration."""

from __future__ import annotations

from cpr_nb.model.options import ASKS, LEFT_OUT, OPTIONS, REFUSED, TAKEN

_VALUES = {
    "text": "text",
    "count": "whole number",
    "seconds": "seconds",
    "usd": "US dollars",
    "share": "share from 0 to 1",
    "notice": "where to",
    "moment": "time of day, or date and time",
    "flag": "true, false",
    "command": "shell command",
    "tools": "list of names",
    "rules": "list of rules",
    "arguments": "list of texts",
    "env": "names and values",
    "schema": "JSON schema",
    "folder": "folder",
    "folders": "list of folders",
    "executor": "text, or a client of Dask",
    "system_prompt": "text, or JSON",
    "agents": "JSON, or a file of it",
    "mcp_servers": "JSON, or a file of it",
    "settings": "JSON, or a file of it",
}

_IN_A_REPOSITORY = {TAKEN: "", LEFT_OUT: "🔒", ASKS: "asks", REFUSED: "no"}


def options_page() -> str:
    """The text of docs/options.md."""
    rows = []
    for option in OPTIONS.values():
        value = ", ".join(option.choices) or _VALUES[option.kind]
        flag = f"`{option.flag}`" + (", repeated" if option.is_list else "")
        if option.name == "max_parallel":
            flag = "`-j`, " + flag
        scope = "session, task" if option.per_task else "session"
        place = _IN_A_REPOSITORY[option.from_repository]
        rows.append(f"| `{option.name}` | {flag} | {value} | {scope} | {place} | {option.help} |")
    return "\n".join(
        [
            "# Options",
            "",
            "The names are the same everywhere: keywords of `cpr_nb.launch` and `Session.retry`,",
            "flags of `cpr run` and `cpr retry`, keys of a prompt in a `.json` or `.jsonl` file,",
            "columns of a `.csv`, keys of `[tool.cpr]` in `pyproject.toml` and of your own",
            "`~/.config/cpr/config.toml`. A task's own option overrides the session's; a flag or",
            "keyword overrides both files. A `pyproject.toml` comes with a repository, so some of its",
            "settings need your trust: the column `[tool.cpr]`, explained in",
            "[configuration.md](configuration.md). (Made by `python docs/generate.py`.)",
            "",
            "| option | flag | value | for | `[tool.cpr]` | |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "In addition, `results_dir` (`--results-dir`, `CPR_RESULTS_DIR`) is where sessions are",
            "kept, `claude_path` (`--claude-path`, `CPR_CLAUDE`) is the CLI to run, and `dry_run`",
            "(`--dry-run`) checks everything and starts nothing.",
            "",
        ]
    )
