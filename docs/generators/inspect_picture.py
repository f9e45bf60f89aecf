"""The picture docs/inspect-view.png: a session of `cpr demo` in the viewer of Inspect.

The viewer is the static site that `inspect view bundle` makes; it is served on loopback only.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Beside Python: the programs of the environment that this runs in.
BIN = Path(sys.executable).parent


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def _served(site: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def make_site(home: Path) -> Path:
    """Runs the demo, exports its session, and bundles the log with the viewer."""
    env = {"HOME": str(home), "PATH": f"{BIN}:/usr/bin:/bin"}

    def run(*words: str) -> None:
        command = [str(BIN / words[0]), *words[1:]]
        subprocess.run(command, cwd=home, env=env, check=True, capture_output=True)  # noqa: S603

    run("cpr", "demo")
    (home / "logs").mkdir()
    run("cpr", "export", "demo", "--to", "inspect", "-o", "logs/demo.eval")
    run("inspect", "view", "bundle", "--log-dir", "logs", "--output-dir", "site")
    return home / "site"


def draw_inspect(path: Path) -> None:
    """Writes a task of a session, as Inspect shows it, as PNG."""
    sys.path.insert(0, str(ROOT / "tests"))
    from testkit.jupyter import Browser

    with tempfile.TemporaryDirectory(prefix="cpr-demo-") as folder, contextlib.ExitStack() as ends:
        home = Path(folder)
        url = ends.enter_context(_served(make_site(home)))
        browser = Browser(home / "profile", width=1060, height=700, scale=1.25)
        ends.callback(browser.close)
        page = browser.context.new_page()
        page.goto(url)
        page.get_by_text("demo", exact=True).first.click()
        page.get_by_text("edits", exact=True).first.click()
        page.get_by_text("Tool: Edit", exact=False).first.wait_for()
        page.mouse.move(2, 2)
        path.write_bytes(page.screenshot())
