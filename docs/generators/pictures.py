"""The two pictures: docs/watch.svg of the terminal, docs/live-view.png of JupyterLab.

Both are of a real session: eight tasks of the real Claude Code CLI, with the scripted API of
`cpr demo` behind it, while two of them run and one asks. JupyterLab runs in a headless Chromium.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpr_nb import Session

ROOT = Path(__file__).resolve().parents[2]
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
    tests = {"command": "pytest -q auth/", "description": "Run the tests of auth"}
    refused = {"fail": {"status": 400, "message": "the request is refused"}}
    rules[1]["steps"].insert(0, {"tool": "Bash", "input": tests})
    rules.append({"match": "auth/oauth.py", "steps": [refused]})
    for name in ("token", "roles"):
        command = {"command": f"cat tests/test_{name}.fifo", "description": "Wait"}
        rules.append({"match": f"auth/{name}.py", "steps": [{"tool": "Bash", "input": command}]})
    return {"rules": rules}


@contextlib.contextmanager
def _session_at_work() -> Iterator[tuple[Session, dict[str, str]]]:
    """A session while two of its tasks run a tool and one asks, and the environment of it all."""
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.plan import plan_launch
    from cpr_nb.launching.start import start
    from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment

    with tempfile.TemporaryDirectory() as folder, ScriptedApi(_script()) as api:
        home = Path(folder)
        os.environ["HOME"] = folder  # the picture shows ~/shop
        shop = home / "shop"
        (shop / "tests").mkdir(parents=True)
        for name in ("token", "roles"):
            os.mkfifo(shop / "tests" / f"test_{name}.fifo")
        env = cli_environment(api.url, home, path=os.environ.get("PATH"))
        plan = plan_launch(
            [f"Review auth/{name}.py" for name in _FILES],
            {
                "results_dir": shop / "results",
                "cwd": shop,
                "name": "review-auth",
                "max_parallel": 3,
                "ask": True,
                "allow": ["Bash(cat:*)"],
            },
            environ=env,
        )
        session = Session.from_started(start(plan))
        try:
            while not _is_at_work(session):
                session.refresh()
            yield session, env
        finally:
            session.cancel()
            session.wait()


def _is_at_work(session: Session) -> bool:
    """Whether two tasks run a tool, and one asks."""
    running = [task for task in session if task.running()]
    is_counted = session.snapshot.count("n_running") == len(running) == 3
    busy = [task for task in running if not task.questions and task.activity().tool_running]
    return is_counted and len(session.questions) == 1 and len(busy) == 2


def draw_terminal(path: Path) -> None:
    """Writes the live view of a session in the terminal as SVG."""
    from rich.console import Console

    from cpr_nb.cli.session_view import SessionView

    with _session_at_work() as (session, _):
        console = Console(
            record=True, width=104, height=24, force_terminal=True, file=io.StringIO()
        )
        _write_svg(SessionView(str(session.path)), console, path)


def draw_notebook(path: Path) -> None:
    """Writes the live view of a session in JupyterLab as PNG."""
    sys.path.insert(0, str(ROOT / "tests"))
    from testkit.jupyter import Browser, Notebook, Server

    with _session_at_work() as (session, env), contextlib.ExitStack() as ends:
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
        path.write_bytes(output.locator(".cpr-live").first.screenshot())
        notebook.close()


def _write_svg(view: object, console: Any, path: Path) -> None:
    console.print(view)
    svg = console.export_svg(title="cpr watch", unique_id="cpr")
    # No font from the network: the reader's own monospace one.
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")
