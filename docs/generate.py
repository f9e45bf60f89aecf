"""Makes docs/options.md and docs/tables.md, the two pictures, and the outputs of the notebooks.

Usage: python docs/generate.py [options|tables|picture|live-view|notebooks]

The pictures (docs/watch.svg of the terminal, docs/live-view.png of JupyterLab in a headless
Chromium) are of a real session: eight tasks of the real Claude Code CLI, with the scripted API of
`cpr demo` behind it, caught while two of them run.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.model.options import OPTIONS

if TYPE_CHECKING:
    from cpr_nb import Session

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


def tables_page() -> str:
    """The text of docs/tables.md."""
    from cpr_nb.frames.columns import CATEGORIES
    from cpr_nb.frames.tables import TABLES

    words = [
        f"- {name}: {' < '.join(f'`{w}`' for w in known)}" for name, known in CATEGORIES.items()
    ]
    lines = [*_ABOUT_TABLES, "", *words, ""]
    for name, table in TABLES.items():
        lines += [f"## {name}", "", table.doc, "", "| column | dtype | unit | source | meaning |"]
        lines.append("|---|---|---|---|---|")
        for column in table.columns:
            shown = f"**`{column.name}`**" if column.default else f"`{column.name}`"
            dtype = f"category: {column.dtype}" if column.dtype in CATEGORIES else column.dtype
            unit = next((u for end, u in _UNITS.items() if column.name.endswith(end)), "")
            lines.append(f"| {shown} | {dtype} | {unit} | {column.source} | {column.doc} |")
        lines.append("")
    return "\n".join(lines)


_UNITS = {
    "_usd": "US dollars",
    "_s": "seconds",
    "_tokens": "tokens",
    "_bytes": "bytes",
    "_at": "UTC",
    "_until": "UTC",
}
_ABOUT_TABLES = [
    "# Tables",
    "",
    "Each is a function of `cpr_nb` over all sessions of a results directory",
    '(`cpr.tasks_df(states="failed", since="2d", name="review-*", results_dir=…)`) and a method of a',
    "`Session`; `events_df` and `tool_calls_df` are methods of a `Task` too. Live sessions and those",
    "of the Perl script are in them. `since` is a moment (without a zone: local time) or how long ago",
    '(a timedelta, `"2d"`, `"90min"`). `states` are states of sessions in `sessions_df`, states and',
    "outcomes of tasks in all others. (Made by `python docs/generate.py`.)",
    "",
    "**Bold** columns are always there, the others with `full=True`. What is not known is missing,",
    "never guessed; an empty table has the dtypes of a full one. A cost is the CLI's own estimate at",
    "list price, no bill. What can't be read is an error, `SessionNotUsable`; with `strict=False` the",
    "answer is `(df, errors)`, the table without it and a list of what it is. A last line that is",
    "still being written is no error. A source names a file of the [results",
    "directory](results-directory.md); `stream` is `task-<id>.jsonl`, in which the CLI writes.",
    "",
    "States and outcomes are ordered categories:",
]


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


@contextlib.contextmanager
def _caught() -> Iterator[tuple[Session, dict[str, str]]]:
    """The session while two of its tasks run a tool, and the environment that it has."""
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.plan import plan_launch
    from cpr_nb.launching.start import start
    from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

    with tempfile.TemporaryDirectory() as folder, ScriptedApi(_script()) as api:
        home = Path(folder)
        os.environ["HOME"] = folder  # so that the picture says ~/shop
        shop = home / "shop"
        (shop / "tests").mkdir(parents=True)
        for name in ("token", "roles"):
            os.mkfifo(shop / "tests" / f"test_{name}.fifo")
        env = cli_environment(api.url, home, path=os.environ.get("PATH"))
        planned = plan_launch(
            [f"Review auth/{name}.py" for name in _FILES],
            {
                "results_dir": shop / "results",
                "cwd": shop,
                "name": "review-auth",
                "max_parallel": 2,
                "allow": ["Bash(cat:*)"],
            },
            environ=env,
        )
        session = Session.from_started(start(planned))
        try:
            tools: set[int] = set()
            while len(tools) < 2:
                session.refresh()
                tools = {t.num for t in session if t.running() and t.activity().tool_running}
                tools = tools if session.snapshot.count("n_running") == len(tools) else set()
            yield session, env
        finally:
            session.cancel()
            session.wait()


def picture(path: Path) -> None:
    """Catches the live view of a session in the terminal and writes it as SVG."""
    from rich.console import Console

    from cpr_nb.cli.view import SessionView

    with _caught() as (session, _):
        console = Console(
            record=True, width=104, height=24, force_terminal=True, file=io.StringIO()
        )
        _export(SessionView(session), console, path)


def live_view(path: Path) -> None:
    """Catches the live view of a session in JupyterLab and writes it as PNG."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from testkit.jupyter import Browser, Notebook, Server

    with _caught() as (session, env), contextlib.ExitStack() as ends:
        home = Path(env["HOME"])
        server = Server(home / "lab", env)
        ends.callback(server.close)
        browser = Browser(home / "profile", width=1060, height=1000, scale=1.5)
        ends.callback(browser.close)
        cell = f"import cpr_nb as cpr\ncpr.attach({str(session.path)!r})"
        notebook = Notebook(server, browser, "view.ipynb", [cell])
        notebook.command("application:toggle-left-area")
        output = notebook.run(0)
        output.locator(".cpr-grid .cpr-row", has_text="token.py").click()
        output.locator(".cpr-step", has_text="Bash").wait_for()
        notebook.page.mouse.move(2, 2)
        path.write_bytes(output.locator(".cpr-box").first.screenshot())
        notebook.close()


def _export(view: object, console: Any, path: Path) -> None:
    import re

    console.print(view)
    svg = console.export_svg(title="cpr watch", unique_id="cpr")
    # No font from the network: the reader's own monospace one.
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


# -- the notebooks --------------------------------------------------------------------------

NOTEBOOKS = DOCS.parent / "notebooks"
#: What would spend is never executed.
NOT_EXECUTED = ("5-real-accounts",)


def execute(path: Path, folder: Path) -> Any:
    """Executes a notebook, from its first cell to its last, and returns it with its outputs.

    Args:
        path: The notebook.
        folder: Where its kernel begins.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, 4)
    # The kernel finds what this Python has beside it, and nothing of this process's own logins:
    # the first cell builds its environment from nothing.
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[0] = sys.executable
    path_variable = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    with tempfile.TemporaryDirectory() as sockets:
        # No ports: whoever talked to an earlier kernel at the same one would talk to this.
        manager.transport, manager.ip = "ipc", f"{sockets}/k"
        client.execute(env={"PATH": path_variable})
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    notebook.metadata.pop("widgets", None)  # a session that has ended needs none
    return notebook


def notebooks() -> None:
    """Executes the notebooks in their place."""
    import nbformat

    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        if path.stem not in NOT_EXECUTED:
            with tempfile.TemporaryDirectory() as folder:
                nbformat.write(execute(path, Path(folder)), path)


if __name__ == "__main__":
    WANTED = sys.argv[1:] or ["options", "tables", "picture", "live-view", "notebooks"]
    if "options" in WANTED:
        (DOCS / "options.md").write_text(options_page(), "utf-8")
    if "tables" in WANTED:
        (DOCS / "tables.md").write_text(tables_page(), "utf-8")
    if "picture" in WANTED:
        picture(DOCS / "watch.svg")
    if "live-view" in WANTED:
        live_view(DOCS / "live-view.png")
    if "notebooks" in WANTED:
        notebooks()
