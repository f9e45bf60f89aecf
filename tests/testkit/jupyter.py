"""A real JupyterLab (or Notebook 7), driven through a headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Locator, Page, sync_playwright

START_S = 120.0  # a loaded machine needs long; no test's outcome depends on it
LIMIT_MS = 60_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--disable-dev-shm-usage",
]
_SETTINGS: dict[str, dict[str, Any]] = {
    # Else a cell that is not on the screen has no output in the page.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
}
_THEMES = "@jupyterlab/apputils-extension/themes"
_CELLS = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"


def chromium() -> str | None:
    """The browser's program, if there is one."""
    return next(filter(None, map(shutil.which, CHROMIUM)), None)


class Server:
    """A Jupyter server in a folder, with settings, runtime and history of its own.

    Args:
        folder: Where it keeps all of these; its notebooks lie in ``folder/work``.
        env: The environment of the server and of its kernels.
        app: ``lab`` or ``notebook``.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], app: str = "lab") -> None:
        self.app, self.work = app, folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        for name, settings in _SETTINGS.items():
            file = folder / "settings" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))
        own = {
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "IPYTHONDIR": "ipython",
        }
        root = ["--allow-root"] if os.geteuid() == 0 else []
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter", app, "--no-browser", "--ip=127.0.0.1"),
                    *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
                    *(f"--ServerApp.root_dir={self.work}", "--expose-app-in-browser", *root),
                ],
                cwd=self.work,
                env={**env, **{name: str(folder / place) for name, place in own.items()}},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._await_start()
        except BaseException:
            self.close()
            raise

    def _await_start(self) -> None:
        end = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/api/status", timeout=1):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    log = self._log.read_text("utf-8", "replace")[-2000:]
                    raise RuntimeError(f"the Jupyter server does not start: {log}") from None
                time.sleep(0.05)

    def close(self) -> None:
        """Ends it, and with it its kernels."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Browser:
    """A headless Chromium with a profile of its own.

    Args:
        folder: Where the profile goes.
        width: Of the window, in pixels.
        height: Of the window, in pixels.
        scale: How many pixels of a picture a pixel of the window is.
    """

    def __init__(
        self, folder: Path, width: int = 1200, height: int = 900, scale: float = 1
    ) -> None:
        self._playwright = sync_playwright().start()
        try:
            self.context = self._playwright.chromium.launch_persistent_context(
                str(folder),
                executable_path=chromium(),
                headless=True,
                args=_ARGUMENTS,
                viewport={"width": width, "height": height},
                device_scale_factor=scale,
            )
        except BaseException:
            self._playwright.stop()
            raise
        self.context.set_default_timeout(LIMIT_MS)

    def close(self) -> None:
        """Ends it."""
        try:
            self.context.close()
        finally:
            self._playwright.stop()


class Notebook:
    """One notebook, open in a page.

    Args:
        server: The server.
        browser: The browser.
        name: The file's name, in the server's folder.
        cells: The source of its cells; None to open one that is there.
        dark: Whether in the dark theme.
    """

    def __init__(
        self,
        server: Server,
        browser: Browser,
        name: str,
        cells: list[str] | None,
        *,
        dark: bool = False,
    ) -> None:
        self.path = server.work / name
        if cells is not None:
            write_notebook(self.path, cells)
        self.page: Page = browser.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", self._note)
        place = f"lab/tree/{name}?reset" if server.app == "lab" else f"notebooks/{name}"
        self.page.goto(f"{server.url}/{place}")
        self.await_ready()
        if dark == (self.page.get_attribute("body", "data-jp-theme-light") == "true"):
            self.set_dark(dark)

    def _note(self, error: Error) -> None:
        """Keeps an error of ours: a widget's module is a blob, the frontend is not."""
        if "blob:" in (error.stack or ""):
            self.errors.append(f"{error.message} {error.stack}")

    def await_ready(self) -> None:
        """Waits until the notebook is there and its kernel answers."""
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell.currentWidget?.sessionContext !== undefined"
        )
        self.page.evaluate(
            """async () => {
                const widget = window.jupyterapp.shell.currentWidget;
                await widget.context.ready;
                await widget.sessionContext.ready;
                await widget.sessionContext.session?.kernel?.info;
            }"""
        )
        self.page.wait_for_selector(".jp-Cell")

    def set_dark(self, dark: bool = True) -> None:
        """Changes the theme."""
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.command("apputils:change-theme", {"theme": name})
        self.page.wait_for_selector(
            f'body[data-jp-theme-light="{str(not dark).lower()}"]', state="attached"
        )
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def command(self, name: str, args: dict[str, Any] | None = None) -> None:
        """Executes a command of the frontend and waits for its end."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, args or {}],
        )

    def start(self, index: int) -> None:
        """Begins to run a cell; returns at once."""
        self.page.evaluate(
            """(index) => {
                const content = window.jupyterapp.shell.currentWidget.content;
                content.activeCellIndex = index; content.deselectAll();
                window.cprRun = window.jupyterapp.commands.execute("notebook:run-cell");
            }""",
            index,
        )

    def finish(self) -> None:
        """Waits until the cell that was started has ended."""
        self.page.evaluate("() => window.cprRun.then(() => null)")

    def run(self, index: int) -> Locator:
        """Runs a cell; returns what it has put out."""
        self.start(index)
        self.finish()
        for output in self.cells()[index]["outputs"]:
            assert output["output_type"] != "error", output["traceback"]
        return self.output(index)

    def output(self, index: int) -> Locator:
        """What a cell has put out, in the page."""
        return self.page.locator(".jp-Cell").nth(index).locator(".jp-OutputArea")

    def shot(self, path: Path) -> None:
        """Takes a picture of the page."""
        path.write_bytes(self.page.screenshot())  # with a path, Playwright starts a thread

    def cells(self) -> list[dict[str, Any]]:
        """The cells as they would be saved now."""
        return self.page.evaluate(_CELLS)  # type: ignore[no-any-return]

    def interrupt(self) -> None:
        """Interrupts the kernel, as the button does."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
        )

    def restart(self) -> None:
        """Restarts the kernel."""
        self.page.evaluate(
            """async () => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.session.kernel.restart();
                await context.session.kernel.info;
            }"""
        )

    def save(self) -> None:
        """Saves the notebook."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def close(self) -> None:
        """Ends the kernel and closes the page."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)"
        )
        self.page.close()


def write_notebook(path: Path, cells: list[str]) -> None:
    """Writes a notebook of code cells that were never run."""
    code = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [{**code, "id": f"c{n}", "source": source} for n, source in enumerate(cells)],
    }
    path.write_text(json.dumps(notebook), "utf-8")


def launching(prompts: list[str], stub: object, *, then: str = "s", **options: object) -> str:
    """A cell that launches a session."""
    keywords = "".join(f", {name}={value!r}" for name, value in options.items())
    return (
        "import json, os\nimport cpr_nb as cpr\n"
        f"os.environ['CPR_CLAUDE'] = {str(stub)!r}\n"
        f"s = cpr.launch(json.loads({json.dumps(prompts)!r}){keywords})\n{then}"
    )
